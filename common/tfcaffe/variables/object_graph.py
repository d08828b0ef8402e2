"""The graph of objects in a TF2 checkpoint: what its variables are called, and what they are for.

Source: trackable_object_graph.proto; checkpoint keys: trackable_utils.py (`object_path`,
`escape_local_name`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tfcaffe.errors import FileFormatError
from tfcaffe.files.wire import Field, WireError, WireType, fields
from tfcaffe.variables.base import Role

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"
_ATTRIBUTES = "/.ATTRIBUTES/"
_SLOTS = "/.OPTIMIZER_SLOT/"
_EXPORTED, _COPIED = "variables/", "_all_variables/"  # Source: keras's export_lib.py
_METRICS = "keras_api/metrics/"  # of Keras 2's SavedModels
_STEPS = {"iter", "iterations", "_iterations"}  # of Keras's optimizers, old and new
_RATES = {"learning_rate", "_learning_rate", "lr"}


@dataclass(frozen=True)
class Told:
    """What the graph tells of one checkpoint key; at `twin` is a copy of the same numbers."""

    key: str
    name: str
    role: Role = ""
    base: str = ""
    twin: str = ""


class _Value(NamedTuple):
    """A variable's numbers, as an attribute of its object."""

    full_name: str
    checkpoint_key: str


@dataclass
class _Node:
    """An object: what hangs on it by name, its numbers, and of slots the variables."""

    children: dict[str, int] = field(default_factory=dict)
    values: list[_Value] = field(default_factory=list)
    slots: dict[int, int] = field(default_factory=dict)


def told(path: Path, serialised: bytes) -> tuple[list[Told], list[str]]:
    """The variables in the order of their objects, and notes.

    A full name that two variables have, or that is empty, is replaced by the path of attributes
    that leads to the variable from the root.

    Raises:
        FileFormatError: the graph is damaged.
    """
    try:
        nodes = _nodes(serialised)
        values, twins = _without_copies(dict(_values(nodes)))
        training = _training(nodes)
        slots = {slot: original for node in nodes for slot, original in node.slots.items()}
        names = Counter(value.full_name for value in values.values())
        found, renamed = [], []
        for index, value in values.items():
            name = value.full_name
            if not name or names[name] > 1:
                name = readable(value.checkpoint_key)
                renamed.append(name)
            role = "slot" if index in slots else training.get(index, "")
            role = "counter" if _METRICS in value.checkpoint_key else role
            base = values[slots[index]].full_name if slots.get(index) in values else ""
            twin = twins.get(value.full_name, "") if names[value.full_name] == 1 else ""
            found.append(Told(value.checkpoint_key, name, role, base, twin))
    except (WireError, IndexError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: its graph of objects is damaged: {error}") from error
    notes = []
    if renamed:
        notes.append(
            f"{len(renamed)} variables have no name of their own, and are called by the attributes "
            f"that lead to them, as {renamed[0]}"
        )
    return found, notes


def _nodes(data: bytes) -> list[_Node]:
    """The objects of a TrackableObjectGraph."""
    return [_node(data, f) for f in _messages(data, 0, len(data), 1)]


def _node(data: bytes, place: Field) -> _Node:
    node = _Node()
    for part in _messages(data, place.start, place.end, 1, 2, 3):
        said = {f.number: f for f in fields(data, part.start, part.end)}
        if part.number == 1:
            node.children[_text(data, said, 2)] = _id(said, 1)
        elif part.number == 3:
            node.slots[_id(said, 3)] = _id(said, 1)
        elif _text(data, said, 1) == _VALUE:
            node.values.append(_Value(_text(data, said, 2), _text(data, said, 3)))
    return node


def _messages(data: bytes, start: int, end: int, *numbers: int) -> Iterator[Field]:
    for found in fields(data, start, end):
        if found.number in numbers:
            found.expect(WireType.BYTES, "a message")
            yield found


def _text(data: bytes, said: Mapping[int, Field], number: int) -> str:
    if number not in said:
        return ""
    said[number].expect(WireType.BYTES, "a text")
    return data[said[number].start : said[number].end].decode()


def _id(said: Mapping[int, Field], number: int) -> int:
    return said[number].value if number in said else 0


def _values(nodes: Sequence[_Node]) -> Iterator[tuple[int, _Value]]:
    for index, node in enumerate(nodes):
        for value in node.values:
            yield index, value


def _without_copies(values: dict[int, _Value]) -> tuple[dict[int, _Value], dict[str, str]]:
    """Keras's `export` saves each variable twice: as one of `variables`, and in a copy.

    Returns:
        The first ones, and the copies' keys by full name.
    """
    own = Counter(v.full_name for v in values.values() if v.checkpoint_key.startswith(_EXPORTED))
    copies = {i: v for i, v in values.items() if v.checkpoint_key.startswith(_COPIED)}
    if Counter(v.full_name for v in copies.values()) - own:
        return values, {}
    kept = {index: value for index, value in values.items() if index not in copies}
    return kept, {value.full_name: value.checkpoint_key for value in copies.values()}


def _training(nodes: Sequence[_Node]) -> dict[int, Role]:
    """The roles of what optimizers hold: their own variables, and those in lists of theirs.

    A list of trainable variables is the model's, though it hangs on the optimizer.
    """
    roles: dict[int, Role] = {}
    for node in nodes:
        local = node.children
        if not (_STEPS & local.keys() and _RATES & local.keys()):
            continue
        for name, index in local.items():
            if "trainable" in name:
                continue
            roles[index] = "counter"
            for child in nodes[index].children.values():
                roles.setdefault(child, "slot")
        for index in (local[name] for name in (_STEPS | _RATES) & local.keys()):
            roles[index] = "counter"
    return roles


def readable(key: str) -> str:
    """A checkpoint key as attributes with "/" between: `net/conv/kernel`."""
    variable = key.split(_SLOTS)[0].split(_ATTRIBUTES)[0]
    slot = key.partition(_SLOTS)[2].partition(_ATTRIBUTES)[0]
    parts = [part.replace(".S", "/").replace("..", ".") for part in variable.split("/")]
    return "/".join([*parts, slot] if slot else parts)
