"""Dialects: which layers and forms a reader of Caffe files takes; one YAML file each.

    dialect: 1
    name: mychip
    about: what the maker's importer takes
    extends: portable            # a shipped dialect, or a file beside this one
    types: [Input, Convolution]  # all that it has; left out, those of what it extends
    without: [Tile]              # taken away from those
    with: [Permute]              # added to those
    header: input_layer          # or input_dim
    eps: 0.00001                 # BatchNorm's; a difference goes into the variance
    forms:                       # allowed values of fields, and of what is no field:
                                 # `bottoms`, their number; `axes`, the first one's; `lists`:
                                 # whether a field has several numbers; Pooling's `overhang`:
                                 # see net/overhang.py; Slice's `ends`: whether a top is unread;
                                 # `thin`: see `windows.thin`
      Eltwise: {bottoms: [2], coeff: ["", "1 -1"]}
    limits: {name: 32}           # longest name
    seen: [where each of these facts was seen]

A dialect never changes what a net computes, only the layers that say it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from tf2caffe.net.families import family
from tfcaffe.errors import MappingError, UsageError
from tfcaffe.mapping.document import Listing, Node, Section, Text, parse, read_text, wrong

_SHIPPED = Path(__file__).parent / "dialects"
_HEADERS = ("input_layer", "input_dim")
_KEYS = ("dialect", "name", "about", "extends", "types", "without", "with", "header", "eps")
_MORE_KEYS = ("forms", "limits", "seen")
_LIMITS = ("name",)
_FORMS = ("axes", "bottoms", "ends", "lists", "overhang", "thin")  # what is no field
_DEPTH = 8  # files that extend each other

Forms = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Dialect:
    """What may be written.

    Args:
        types: its layer types.
        forms: by type, the values that a field may have, as a prototxt says them; those of a
            repeated field are in one string, with spaces.
        header: how inputs are said: `input_layer` or `input_dim`.
        eps: of every BatchNorm; None leaves each its own.
        longest: characters of a name; 0 is no limit.
    """

    name: str
    types: frozenset[str] = frozenset()
    forms: Forms = field(default_factory=dict)
    header: str = "input_layer"
    eps: float | None = None
    longest: int = 0

    def has(self, kind: str) -> bool:
        """Whether it has a layer type."""
        return kind in self.types

    def allows(self, kind: str, bottoms: int = 1, **options: Any) -> bool:
        """Whether it has a layer of this type with these fields; those left out at default."""
        return not list(self.faults(kind, bottoms, options))

    def faults(self, kind: str, bottoms: int, options: Mapping[str, Any]) -> Iterator[str]:
        """What of a layer it does not have, in words."""
        if kind not in self.types:
            yield kind
            return
        for name, values in self.forms.get(kind, {}).items():
            if name == "bottoms":
                said = str(bottoms)
            elif name in options:
                said = _said(options[name])
            else:
                continue
            if said not in values:
                yield f"{kind} with {name} {said or 'unsaid'}"


def faults_of(dialect: Dialect, kind: str, bottoms: int, options: Any, **more: Any) -> list[str]:
    """What of a layer a dialect does not have, in words.

    Args:
        options: the layer's own parameter message, None where the type has none.
        more: what is no field of it.
    """
    fields = [] if options is None else options.DESCRIPTOR.fields
    said = {f.name: _value(f, getattr(options, f.name)) for f in fields if f.message_type is None}
    lists = any(len(value) > 1 for value in said.values() if hasattr(value, "extend"))
    return list(dialect.faults(kind, bottoms, said | {"lists": lists} | more))


def _value(field_: Any, value: Any) -> Any:
    if field_.enum_type is not None and isinstance(value, int):
        return field_.enum_type.values_by_number[value].name
    return value


def _said(value: Any) -> str:
    """As a prototxt says it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int | str):
        return str(value)
    return " ".join(_said(item) for item in value)


def names() -> list[str]:
    """The shipped dialects."""
    return sorted(path.stem for path in _SHIPPED.glob("*.yaml"))


def load(name: str) -> Dialect:
    """A shipped dialect by its name, or a file.

    Raises:
        UsageError: there is none.
        MappingError: the file is wrong; with its line.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return _read(path, 0)
    return _shipped(name)


@cache
def _shipped(name: str) -> Dialect:
    if name not in names():
        raise UsageError(f"--dialect {name}: there are {', '.join(names())}, or give a .yaml file")
    return _read(_SHIPPED / f"{name}.yaml", 0)


def _read(path: Path, depth: int) -> Dialect:
    root = parse(read_text(path), str(path))
    for key, _ in root.items:
        if key.value not in (*_KEYS, *_MORE_KEYS):
            known = ", ".join((*_KEYS, *_MORE_KEYS))
            raise wrong(key.place, f"a dialect has no key {key.value!r}: it has {known}")
    version = _text(root, "dialect")
    if version != "1":
        raise MappingError(f"{path}: is no dialect: its first line is `dialect: 1`")
    base = Dialect("")
    if extends := _text(root, "extends"):
        if depth > _DEPTH:
            raise MappingError(f"{path}: dialects extend each other in a circle")
        beside = path.parent / extends
        base = _read(beside, depth + 1) if beside.suffix == ".yaml" else _shipped(extends)
    types = _texts(root, "types")
    found = frozenset(types) if types is not None else base.types
    without = set(_texts(root, "without") or ())
    if missing := sorted(without - found):
        raise MappingError(f"{path}: without: there is no type {missing[0]!r} to take away")
    found = (found - without) | set(_texts(root, "with") or ())
    header = _text(root, "header") or base.header
    if header not in _HEADERS:
        raise MappingError(f"{path}: header {header!r}: it is one of {', '.join(_HEADERS)}")
    eps = _number(root, "eps", path)
    limits = root.get("limits")
    longest = base.longest
    if isinstance(limits, Section):
        for key, _ in limits.items:
            if key.value not in _LIMITS:
                raise wrong(key.place, f"no such limit {key.value!r}: there is {_LIMITS[0]}")
        longest = int(_number(limits, "name", path) or 0)
    return replace(
        base,
        name=_text(root, "name") or path.stem,
        types=found,
        forms={**base.forms, **dict(_forms(root))},
        header=header,
        eps=base.eps if eps is None else eps,
        longest=longest,
    )


def _forms(root: Section) -> Iterator[tuple[str, Mapping[str, tuple[str, ...]]]]:
    node = root.get("forms")
    if node is None:
        return
    if not isinstance(node, Section):
        raise wrong(node.place, "forms are layer types, each with fields")
    for kind, fields in node.items:
        if not isinstance(fields, Section):
            raise wrong(fields.place, f"{kind.value}: fields, each with its values in brackets")
        known = (*_FORMS, *_fields(kind))
        for name, _ in fields.items:
            if name.value not in known:
                raise wrong(name.place, f"{kind.value} has no field {name.value!r}")
        yield kind.value, {name.value: _listed(name.value, values) for name, values in fields.items}


def _fields(kind: Text) -> list[str]:
    """The fields of a layer type's own message; an error if the type is never written."""
    from tfcaffe.files import schema

    try:
        own = family(kind.value).field
    except KeyError:
        raise wrong(kind.place, f"no layer type {kind.value!r} is ever written") from None
    layer = schema.load().message("LayerParameter").DESCRIPTOR
    return [field.name for field in layer.fields_by_name[own].message_type.fields] if own else []


def _listed(name: str, node: Node) -> tuple[str, ...]:
    if not isinstance(node, Listing) or not all(isinstance(i, Text) for i in node.items):
        raise wrong(node.place, f"{name}: its values stand in brackets: [1, 2]")
    return tuple(item.value for item in node.items if isinstance(item, Text))


def _text(root: Section, name: str) -> str:
    node = root.get(name)
    if node is None:
        return ""
    if not isinstance(node, Text):
        raise wrong(node.place, f"{name}: a single text")
    return node.value


def _texts(root: Section, name: str) -> tuple[str, ...] | None:
    node = root.get(name)
    return None if node is None else _listed(name, node)


def _number(root: Section, name: str, path: Path) -> float | None:
    text = _text(root, name)
    try:
        return float(text) if text else None
    except ValueError:
        raise MappingError(f"{path}: {name}: {text!r} is no number") from None
