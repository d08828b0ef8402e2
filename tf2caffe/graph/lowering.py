"""Loops of TensorFlow 2 (While, of two functions) as frames, which TensorFlow 1 has.

Source: lower_while_op.cc: a frame's Enter, Merge, Switch, Exit and NextIteration for each thing
that goes round, and calls of both functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tf2caffe.graph.inline import Inlined, inline
from tf2caffe.graph.node_def import node_of

_WHILES = frozenset({"While", "StatelessWhile"})
_DEEPEST = 5  # loops within loops
_RESOURCE = 20  # types.proto
_PASSES = frozenset({"Identity", "Enter", "Merge", "Switch", "Exit", "NextIteration"})


def lowered(definition: Any) -> Inlined | None:
    """A GraphDef without calls whose loops are frames; None if it has no loops."""
    import tensorflow as tf

    results: dict[str, Sequence[str]] = {}
    for _ in range(_DEEPEST):
        if not any(node.op in _WHILES for node in definition.node):
            break
        found = inline(_framed(tf.compat.v1.GraphDef(), definition))
        definition, results = found.definition, {**results, **found.results}
    if not results:
        return None
    _type(definition)
    return Inlined(definition, results)


def _framed(result: Any, definition: Any) -> Any:
    result.versions.CopyFrom(definition.versions)
    result.library.CopyFrom(definition.library)
    for node in definition.node:
        if node.op in _WHILES:
            _frame(result, node)
        else:
            result.node.add().CopyFrom(node)
    return result


def _type(definition: Any) -> None:
    """Variables go round as what is in them: placeholders of numbers stand for them."""
    nodes = {node.name: node for node in definition.node}

    def held(name: str) -> int:
        node = nodes[node_of(name)]
        while node.op in _PASSES:
            node = nodes[node_of(node.input[0])]
        return int(node.attr["dtype"].type)

    for node in definition.node:
        if node.op in _PASSES and node.attr["T"].type == _RESOURCE:
            node.attr["T"].type = held(node.name)
        if node.op == "IdentityN":
            types = node.attr["T"].list.type
            for i, dtype in enumerate(types):
                types[i] = held(node.input[i]) if dtype == _RESOURCE else dtype


def _frame(result: Any, node: Any) -> None:
    types = list(node.attr["T"].list.type)
    name, given = node.name, [i for i in node.input if not i.startswith("^")]

    def add(op: str, what: str, inputs: list[str], dtype: int | None) -> Any:
        made = result.node.add()
        made.op, made.name = op, f"{name}/{what}" if what else name
        made.input.extend(inputs)
        if dtype is not None:
            made.attr["T"].type = dtype
        return made

    def call(what: str, function: str, inputs: list[str], answers: list[int]) -> None:
        made = add("PartitionedCall", what, inputs, None)
        made.attr["f"].func.CopyFrom(node.attr[function].func)
        made.attr["Tin"].list.type.extend(types)
        made.attr["Tout"].list.type.extend(answers)

    for i, (source, dtype) in enumerate(zip(given, types, strict=True)):
        enter = add("Enter", f"enter{i}", [source], dtype)
        enter.attr["frame_name"].s = f"{name}/frame".encode()
        enter.attr["is_constant"].b = False
        enter.attr["parallel_iterations"].i = 1
        merge = add("Merge", f"merge{i}", [f"{name}/enter{i}", f"{name}/next{i}"], dtype)
        merge.attr["N"].i = 2
        add("Switch", f"switch{i}", [f"{name}/merge{i}", f"{name}/goes_on"], dtype)
        add("Exit", f"exit{i}", [f"{name}/switch{i}"], dtype)
        add("NextIteration", f"next{i}", [_output(f"{name}/body", i)], dtype)
    count = range(len(types))
    call("cond", "cond", [f"{name}/merge{i}" for i in count], [10])
    add("LoopCond", "goes_on", [f"{name}/cond"], None)
    call("body", "body", [f"{name}/switch{i}:1" for i in count], types)
    made = add("IdentityN", "", [f"{name}/exit{i}" for i in count], None)
    made.attr["T"].list.type.extend(types)


def _output(name: str, index: int) -> str:
    return f"{name}:{index}" if index else name
