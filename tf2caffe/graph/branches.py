"""Branches and loops that hold variables, and branches whose condition is known after all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tf2caffe.graph import Graph, all_nodes
from tf2caffe.graph.node_def import SWITCHES
from tfcaffe.errors import UnsupportedError

BRANCHES = frozenset(["If", "StatelessIf", "Case", "StatelessCase"])
_LOOPS = frozenset(["While", "StatelessWhile"])
_RESOURCE, _FLOAT = 20, 1  # types.proto


def decided(graph: Graph) -> dict[str, int]:
    """Which way each branch goes, by node, whose condition depends on sizes and constants alone."""
    found = {}
    for node in all_nodes(graph.outputs.values()):
        if node.op in BRANCHES or node.op in SWITCHES:
            condition = node.inputs[1 if node.op in SWITCHES else 0]
            try:
                if graph.is_constant(condition):
                    number = graph.constant(condition).reshape(())
                    found[node.name] = int(number if "Case" in node.op else bool(number))
            except UnsupportedError:  # of a shape that nobody knows
                continue
    return found


def closed(node: Any, variables: Collection[str]) -> str:
    """Have a branch or loop that is handed variables read only the rest; gives its op, else "".

    TensorFlow builds it only with resources, which our variables are not.
    """
    handed = [name.partition(":")[0] in variables for name in node.input]
    if node.op not in BRANCHES | _LOOPS or not any(handed):
        return ""
    op = str(node.op)
    if op in _LOOPS:
        taken = given = list(node.attr["T"].list.type)
    else:
        first = node.attr["Tcond"].type if "Tcond" in node.attr else 3
        taken, given = [first, *node.attr["Tin"].list.type], list(node.attr["Tout"].list.type)
    kept = [(name, t) for name, t, v in zip(node.input, taken, handed, strict=True) if not v]
    node.op = "PyFunc"
    node.attr.clear()
    del node.input[:]
    node.input.extend(name for name, _ in kept)
    node.attr["Tin"].list.type.extend(t for _, t in kept)
    node.attr["Tout"].list.type.extend(_FLOAT if t == _RESOURCE else t for t in given)
    node.attr["token"].s = b""
    return op


def changed(definition: Any, variables: Mapping[str, Any]) -> set[str]:
    """The variables that a function assigns to: all of it runs, other than a graph of TF1."""
    nodes = {n.input[0] for n in definition.node if n.op.startswith("Assign") and n.input}
    return {name.partition(":")[0] for name in nodes} & variables.keys()
