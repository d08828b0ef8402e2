"""YAML text as a tree of strings, each with its place; nothing is resolved or constructed.

`1_1`, `no` and `0.001` stay the strings that were written. What YAML has beyond scalars, lists and
mappings (anchors, aliases, tags, merge keys, several documents) is refused, as are duplicate keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfcaffe.errors import FileFormatError, MappingError, UsageError

if TYPE_CHECKING:
    import yaml

_DEPTH = 20  # levels of nesting; a mapping needs five
_QUOTE = "names with braces, stars, colons or brackets are quoted"
_LARGEST = 8 << 20  # bytes; the largest net's mapping is far below one MiB


@dataclass(frozen=True)
class Place:
    """Where something stands: file, line and column from 1, and the characters it takes."""

    file: str
    line: int
    column: int
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Text:
    """A scalar, as it was written."""

    value: str
    place: Place


@dataclass(frozen=True)
class Listing:
    """A sequence."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True)
class Section:
    """A mapping; its keys are free of repeats.

    Args:
        flow: whether it is written in braces.
    """

    items: tuple[tuple[Text, Node], ...]
    place: Place
    flow: bool = False

    def get(self, name: str) -> Node | None:
        """The value of a key."""
        return next((node for key, node in self.items if key.value == name), None)


Node = Text | Listing | Section


def wrong(place: Place, message: str) -> MappingError:
    """An error at a place of the file."""
    return MappingError(f"{place}: {message}")


def read_text(path: Path) -> str:
    """The text of a mapping file.

    Raises:
        UsageError: there is no such file.
        FileFormatError: it is no text in UTF-8, or too large.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise FileFormatError(f"{path}: is too large to be a mapping file")
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such mapping file") from None
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: cannot be read as UTF-8 text: {error}") from error


def parse(text: str, file: str) -> Section:
    """The document in `text`.

    Raises:
        MappingError: with line and column: no YAML, or more than scalars, lists and mappings.
    """
    import yaml

    try:
        _check_events(text, file)
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        what = error.problem or error.context
        raise MappingError(f"{at}: no valid YAML: {what}; {_QUOTE}") from error
    except yaml.YAMLError as error:
        raise MappingError(f"{file}: no valid YAML: {error}") from error
    if root is None:
        raise MappingError(f"{file}: is empty")
    node = _node(root, file)
    if not isinstance(node, Section):
        raise wrong(node.place, "a mapping file has keys at its top: mapping, layers …")
    return node


def _check_events(text: str, file: str) -> None:
    """One pass that builds nothing, so that nothing hostile is built afterwards."""
    import yaml

    depth = documents = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        place = _place(event, file)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise wrong(place, "a second document; a mapping file has one")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise wrong(place, "anchors and aliases (&, *) are not read; quote names with stars")
        if tag := getattr(event, "tag", None):
            raise wrong(place, f"the tag {tag} is not read; quote names that begin with `!`")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH:
                raise wrong(place, f"nested deeper than {_DEPTH} levels")
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _node(node: yaml.Node, file: str) -> Node:
    import yaml

    place = _place(node, file)
    if isinstance(node, yaml.ScalarNode):
        return Text(node.value, place)
    if isinstance(node, yaml.SequenceNode):
        return Listing(tuple(_node(item, file) for item in node.value), place)
    assert isinstance(node, yaml.MappingNode)
    return Section(tuple(_pairs(node, file)), place, bool(node.flow_style))


def _pairs(node: yaml.MappingNode, file: str) -> Iterator[tuple[Text, Node]]:
    seen: dict[str, Text] = {}
    for key_node, value_node in node.value:
        key = _node(key_node, file)
        if not isinstance(key, Text):
            raise wrong(key.place, "a key must be a name; quote names with braces")
        if key.value == "<<":
            raise wrong(key.place, "merge keys (<<) are not read; `extends` builds on another file")
        if key.value in seen:
            line = seen[key.value].place.line
            raise wrong(key.place, f"the key {key.value!r} was in line {line} already")
        seen[key.value] = key
        yield key, _node(value_node, file)


def _place(thing: yaml.Node | yaml.Event, file: str) -> Place:
    start, end = thing.start_mark, thing.end_mark
    assert start is not None and end is not None
    return Place(file, start.line + 1, start.column + 1, start.index, end.index)
