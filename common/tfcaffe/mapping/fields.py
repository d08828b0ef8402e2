"""What a mapping file's nodes hold, or an error with their place."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from difflib import get_close_matches
from typing import TypeVar

from tfcaffe.mapping.document import Listing, Node, Section, Text, wrong

_T = TypeVar("_T")
_Sized = TypeVar("_Sized", bound=Sized)
_LARGEST = 3.4028234e38  # of a float32


def check_keys(section: Section, known: tuple[str, ...], what: str) -> None:
    """Raises:
    MappingError: a key that is not one of these; it names what was probably meant.
    """
    for key, _ in section.items:
        if key.value not in known:
            near = get_close_matches(key.value, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; {what} has {', '.join(known)}"
            raise wrong(key.place, f"{key.value!r} is no key of {what}{hint}")


def expect(kind: type[_T], node: Node, what: str) -> _T:
    """The node, as what it has to be.

    Raises:
        MappingError: it is something else; so do all below.
    """
    if not isinstance(node, kind):
        raise wrong(node.place, f"{what} is wanted here")
    return node


def text_of(node: Node, what: str) -> str:
    """The text of a node."""
    return expect(Text, node, what).value


def section_of(node: Node | None, what: str) -> Section | None:
    """The keys and values of a node; None if there is nothing in it."""
    if node is None or (isinstance(node, Text) and not node.value):
        return None
    if not isinstance(node, Section):
        raise wrong(node.place, f"{what} holds keys and values")
    return node


def text_at(section: Section, name: str) -> str:
    """The text below a key; "" if there is no such key."""
    node = section.get(name)
    return "" if node is None else _said(text_of(node, f"`{name}`: one word"), node, name)


def texts_at(section: Section, name: str) -> Iterator[Text]:
    """The texts of the list below a key; none if there is no such key."""
    node = section.get(name)
    if node is not None:
        for item in _said(expect(Listing, node, f"`{name}`: a list").items, node, name):
            yield expect(Text, item, f"a word of `{name}`")


def number_at(section: Section, name: str) -> float | None:
    """The number below a key; None if there is no such key."""
    node = section.get(name)
    if node is None:
        return None
    text = text_of(node, f"`{name}`: a number")
    try:
        value = float(text)
    except ValueError:
        raise wrong(node.place, f"`{name}`: {text!r} is no number") from None
    if not abs(value) <= _LARGEST:
        raise wrong(node.place, f"`{name}`: {text!r} is no finite number that a float32 can hold")
    return value


def _said(what: _Sized, node: Node, name: str) -> _Sized:
    if not what:
        raise wrong(node.place, f"`{name}` is empty; say what, or leave the key out")
    return what
