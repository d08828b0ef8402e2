"""Names with placeholders: one line that reads Caffe's name to TensorFlow's, and back.

`{n}` stands for a table called n, or else for one or more characters except "/"; `{n:int}` for
decimal digits without leading zeros; `{n:a=1,b=2}` is a table on the spot, Caffe's text left,
TensorFlow's right. `{{` and `}}` are literal braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tfcaffe.mapping.document import Place, Text, wrong

Side = Literal["caffe", "tensorflow"]
Rows = tuple[tuple[str, str], ...]  # Caffe's text, TensorFlow's
Values = Mapping[str, str]  # what each placeholder stands for, in Caffe's text
_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_INT = re.compile(r"0|[1-9][0-9]*")
_ANY = re.compile(r"[^/]+")


@dataclass(frozen=True)
class Placeholder:
    """A part of a name that varies.

    Args:
        rows: its table, if it has one.
        digits: whether it stands for decimal digits only.
    """

    name: str
    rows: Rows = ()
    digits: bool = False

    def ends(self, text: str, start: int, side: Side) -> Iterator[tuple[int, str]]:
        """Where it may end in `text`, and the Caffe text that it then stands for."""
        if self.rows:
            for row in self.rows:
                shown = row[0] if side == "caffe" else row[1]
                if text.startswith(shown, start):
                    yield start + len(shown), row[0]
            return
        kind = _INT if self.digits else _ANY
        for end in range(start + 1, len(text) + 1):
            if kind.fullmatch(text, start, end):
                yield end, text[start:end]

    def render(self, value: str, side: Side) -> str:
        """The text of a value (in Caffe's text) on either side."""
        if side == "caffe" or not self.rows:
            return value
        return dict(self.rows)[value]


Part = str | Placeholder


@dataclass(frozen=True)
class Template:
    """A name with placeholders, matched whole."""

    parts: tuple[Part, ...]
    text: str
    place: Place

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """In the order in which they stand."""
        return tuple(part for part in self.parts if isinstance(part, Placeholder))

    @property
    def exact(self) -> bool:
        """Whether it is one name."""
        return not self.placeholders

    def read(self, name: str, side: Side) -> Values | None:
        """What the placeholders stand for in `name`; None if it is no such name.

        Raises:
            MappingError: there are two ways to read it.
        """
        found: list[dict[str, str]] = []
        for values in self._readings(name, side):
            if values not in found:
                found.append(values)
            if len(found) == 2:
                ways = " and ".join(str(values) for values in found)
                raise wrong(self.place, f"{self.text!r} reads {name!r} in two ways: {ways}")
        return found[0] if found else None

    def render(self, values: Values, side: Side) -> str:
        """The name for these values."""
        return "".join(
            part if isinstance(part, str) else part.render(values[part.name], side)
            for part in self.parts
        )

    def _readings(self, name: str, side: Side) -> Iterator[dict[str, str]]:
        dead: set[tuple[int, int]] = set()  # where nothing fits: (part, position)

        def rest(part: int, at: int) -> Iterator[dict[str, str]]:
            if part == len(self.parts):
                if at == len(name):
                    yield {}
                return
            if (part, at) in dead:
                return
            fits = False
            this = self.parts[part]
            if isinstance(this, str):
                ends = [(at + len(this), "")] if name.startswith(this, at) else []
            else:
                ends = list(this.ends(name, at, side))
            for end, value in ends:
                for values in rest(part + 1, end):
                    fits = True
                    yield values if isinstance(this, str) else {this.name: value, **values}
            if not fits:
                dead.add((part, at))

        yield from rest(0, 0)


def key_template(text: Text, tables: Mapping[str, Rows]) -> Template:
    """The template of a key, which says what its placeholders are.

    Raises:
        MappingError: a brace that is none, an unknown table or a placeholder that occurs twice.
    """
    return _template(text, lambda inner: _declared(inner, text.place, tables))


def name_template(text: Text, key: Template) -> Template:
    """The template of a variable, whose placeholders are those of its key, each once.

    Raises:
        MappingError: they are not.
    """
    known = {placeholder.name: placeholder for placeholder in key.placeholders}

    def used(inner: str) -> Placeholder:
        if inner not in known:
            listed = ", ".join(f"{{{name}}}" for name in known) or "none"
            raise wrong(
                text.place,
                f"{text.value!r}: the key {key.text!r} has no placeholder {{{inner}}} "
                f"(it has {listed}); write {{{{ and }}}} for braces",
            )
        return known[inner]

    template = _template(text, used)
    missing = known.keys() - {placeholder.name for placeholder in template.placeholders}
    if missing:
        listed = ", ".join(f"{{{name}}}" for name in sorted(missing))
        raise wrong(
            text.place,
            f"{text.value!r} lacks {listed} of its key {key.text!r}; so one variable would "
            "stand for several blobs",
        )
    return template


def rows(pairs: Mapping[str, str] | list[tuple[str, str]], place: Place) -> Rows:
    """A table, whose columns must be free of repeats.

    Raises:
        MappingError: they are not, or there is nothing in it.
    """
    table = tuple(pairs.items() if isinstance(pairs, Mapping) else pairs)
    if not table:
        raise wrong(place, "the table is empty")
    for column, who in ((0, "Caffe's"), (1, "TensorFlow's")):
        texts = [row[column] for row in table]
        twice = {text for text in texts if texts.count(text) > 1}
        if twice:
            raise wrong(place, f"{who} text {min(twice)!r} stands in the table twice")
    return table


def _template(text: Text, placeholder: object) -> Template:
    parts: list[Part] = []
    for found in _PARTS.finditer(text.value):
        whole = found.group()
        if whole in ("{{", "}}"):
            _literal(parts, whole[0])
        elif whole in ("{", "}"):
            raise wrong(text.place, f"{text.value!r} has a single {whole}; a literal one is twice")
        elif found.group(1) is not None:
            parts.append(placeholder(found.group(1)))  # type: ignore[operator]
        else:
            _literal(parts, whole)
    if not parts:
        raise wrong(text.place, "the name is empty")
    names = [part.name for part in parts if isinstance(part, Placeholder)]
    for name in names:
        if names.count(name) > 1:
            raise wrong(text.place, f"{text.value!r} has {{{name}}} twice")
    for a, b in pairwise(parts):
        if isinstance(a, Placeholder) and isinstance(b, Placeholder) and not (a.rows or b.rows):
            raise wrong(
                text.place,
                f"{text.value!r}: {{{a.name}}} and {{{b.name}}} touch, so nobody knows where one "
                "ends; give one a table, or put text between them",
            )
    return Template(tuple(parts), text.value, text.place)


def _literal(parts: list[Part], text: str) -> None:
    if parts and isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)


def _declared(inner: str, place: Place, tables: Mapping[str, Rows]) -> Placeholder:
    name, found, kind = inner.partition(":")
    if not _NAME.fullmatch(name):
        raise wrong(
            place, f"{{{inner}}}: {name!r} is no name for a placeholder; braces are written twice"
        )
    if not found:
        return Placeholder(name, tables.get(name, ()))
    if kind == "int":
        return Placeholder(name, digits=True)
    pairs = []
    for item in kind.split(","):
        caffe, equals, tensorflow = item.partition("=")
        if not equals:
            raise wrong(place, f"{{{inner}}}: a table on the spot is written {{{name}:a=1,b=2}}")
        pairs.append((caffe, tensorflow))
    return Placeholder(name, rows(pairs, place))
