"""Nodes of a GraphDef: what they are called, and turned into others in place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

# TensorFlow 1's branches and loops. Source: control_flow_ops.cc.
SWITCHES = frozenset(["Switch", "RefSwitch"])
MERGES = frozenset(["Merge", "RefMerge"])
ENTERS = frozenset(["Enter", "RefEnter"])
EXITS = frozenset(["Exit", "RefExit"])


def node_of(tensor: str) -> str:
    """The node that a tensor (`node:1`) is of."""
    return tensor.partition(":")[0]


def source(nodes: Mapping[str, Any], name: str, passing: Collection[str]) -> str:
    """The tensor that a chain of such ops passes on, as it is called where the chain begins.

    Args:
        nodes: of a GraphDef, which may be damaged, by name.
    """
    for _ in nodes:
        node = nodes.get(node_of(name))
        if node is None or node.op not in passing or not node.input:
            break
        name = node.input[0]
    return name


def become(node: Any, op: str, inputs: Sequence[str], dtype: int) -> None:
    """Another op of one type (`T`)."""
    node.op = op
    node.attr.clear()
    node.attr["T"].type = dtype
    node.input[:] = inputs


def become_constant(node: Any, number: Any, dtype: int | None = None) -> None:
    """A Const."""
    from tensorflow import make_tensor_proto

    tensor = make_tensor_proto(number, dtype)
    node.op = "Const"
    node.attr.clear()
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    del node.input[:]
