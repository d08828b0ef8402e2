"""The graph of objects in a TF2 checkpoint: what its variables are called, and what they are for.

Source: trackable_object_graph.proto; checkpoint keys: trackable_utils.py (`object_path`,
`escape_local_name`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcaffe.errors import FileFormatError
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


def told(path: Path, serialised: bytes) -> tuple[list[Told], list[str]]:
    """The variables in the order of their objects, and notes.

    A full name that two variables have, or that is empty, is replaced by the path of attributes
    that leads to the variable from the root.

    Raises:
        FileFormatError: the graph is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    try:
        nodes = TrackableObjectGraph.FromString(serialised).nodes
        values, twins = _without_copies(dict(_values(nodes)))
        training = _training(nodes)
        slots = {
            slot.slot_variable_node_id: slot.original_variable_node_id
            for node in nodes
            for slot in node.slot_variables
        }
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
    except (DecodeError, IndexError, RecursionError) as error:
        raise FileFormatError(f"{path}: its graph of objects is damaged: {error}") from error
    notes = []
    if renamed:
        notes.append(
            f"{len(renamed)} variables have no name of their own, and are called by the attributes "
            f"that lead to them, as {renamed[0]}"
        )
    return found, notes


def _values(nodes: Any) -> Iterator[tuple[int, Any]]:
    for index, node in enumerate(nodes):
        for attribute in node.attributes:
            if attribute.name == _VALUE:
                yield index, attribute


def _without_copies(values: dict[int, Any]) -> tuple[dict[int, Any], dict[str, str]]:
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


def _training(nodes: Any) -> dict[int, Role]:
    """The roles of what optimizers hold: their own variables, and those in lists of theirs.

    A list of trainable variables is the model's, though it hangs on the optimizer.
    """
    roles: dict[int, Role] = {}
    for node in nodes:
        local = {child.local_name: child.node_id for child in node.children}
        if not (_STEPS & local.keys() and _RATES & local.keys()):
            continue
        for name, index in local.items():
            if "trainable" in name:
                continue
            roles[index] = "counter"
            for child in nodes[index].children:
                roles.setdefault(child.node_id, "slot")
        for index in (local[name] for name in (_STEPS | _RATES) & local.keys()):
            roles[index] = "counter"
    return roles


def readable(key: str) -> str:
    """A checkpoint key as attributes with "/" between: `net/conv/kernel`."""
    variable = key.split(_SLOTS)[0].split(_ATTRIBUTES)[0]
    slot = key.partition(_SLOTS)[2].partition(_ATTRIBUTES)[0]
    parts = [part.replace(".S", "/").replace("..", ".") for part in variable.split("/")]
    return "/".join([*parts, slot] if slot else parts)
