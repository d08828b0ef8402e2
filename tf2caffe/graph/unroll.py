"""Loops whose number of steps is known, written step by step.

TensorFlow 1 has loops as frames: what goes round is a Merge of its first value (Enter) and its next
(NextIteration), LoopCond says whether it goes on, Switch sends it into the body or out (Exit).
What is read and written at each step lies in a TensorArray, whose states ("flows") form a chain.
Source: control_flow_ops.cc, control_flow_ops.py, tensor_array_ops.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tf2caffe.graph import Array, Graph, Node, Tensor
from tf2caffe.graph.constants import run
from tf2caffe.graph.node_def import (
    ENTERS,
    EXITS,
    MERGES,
    SWITCHES,
    become,
    become_constant,
    node_of,
)
from tfcaffe.errors import UnsupportedError

_INNER = re.compile(r"^(.*/)?while/(body/)?")  # the scopes of a loop and its body
_LONGEST = 1024  # steps


class _UnknownError(Exception):
    """A number depends on the data."""


class Loop:
    """A frame of a graph: what goes round in it, and for how long.

    Args:
        name: the frame's.
        scope: the name that people know it by.
        merges: what goes round.
        steps: how often its body is run; None if that depends on the data.
        counters: by a merge's name its whole numbers, one for each step and one for the end.
    """

    def __init__(self, graph: Graph, name: str, nodes: Sequence[Node]) -> None:
        self.graph, self.name = graph, name
        self.scope = name.rpartition("/")[0].removesuffix("while").rstrip("/") or "while"
        self.merges = [node for node in nodes if node.op in MERGES and _goes_round(node)]
        self._values: dict[tuple[Node, int], Array] = {}
        conditions = [node for node in nodes if node.op == "LoopCond"]
        self.steps = self._count(conditions[0].inputs[0]) if len(conditions) == 1 else None
        self.counters = dict(self._counters()) if self.steps is not None else {}

    def _count(self, condition: Tensor) -> int | None:
        try:
            for step in range(_LONGEST + 1):
                if not self._number(condition, step).item():
                    return step
        except (_UnknownError, UnsupportedError, ValueError):
            return None
        return None

    def _counters(self) -> Iterator[tuple[str, list[Array]]]:
        assert self.steps is not None
        for merge in self.merges:
            if "int" in merge.dtypes[0]:
                try:
                    yield merge.name, [self._value(merge, t) for t in range(self.steps + 1)]
                except (_UnknownError, UnsupportedError):
                    continue

    def _value(self, merge: Node, step: int) -> Array:
        if (merge, step) not in self._values:
            first, following = merge.inputs
            if step:
                self._values[merge, step] = self._number(following.node.inputs[0], step - 1)
            else:
                self._values[merge, step] = self._number(first, step)
        return self._values[merge, step]

    def _number(self, tensor: Tensor, step: int) -> Array:
        """What a tensor of the frame is at a step, if that depends on no input."""
        node = tensor.node
        if self.graph.is_constant(tensor):
            return self.graph.constant(tensor)
        if node in self.merges and tensor.index == 0:
            return self._value(node, step)
        if node.op in (*SWITCHES, "Identity"):
            return self._number(node.inputs[0], step)
        if not node.inputs or node in self.graph.volatile or node.op in (*ENTERS, *EXITS):
            raise _UnknownError
        return run(node, [self._number(t, step) for t in node.inputs])[tensor.index]


def _goes_round(merge: Node) -> bool:
    """Whether it begins a loop's body, and does not end a branch."""
    return len(merge.inputs) == 2 and merge.inputs[1].op == "NextIteration"


def frames(graph: Graph) -> list[Loop]:
    """The loops of a graph whose number of steps is known, and that hold no other loop.

    Where a loop is within another, or begins where one ends, the graph has more of them when these
    are unrolled.
    """
    entered: dict[str, list[Node]] = {}
    for node in graph.nodes.values():
        if node.op in ENTERS:
            entered.setdefault(str(node.attrs["frame_name"]), []).append(node)
    readers: dict[Node, list[Node]] = {}
    for node in graph.nodes.values():
        for tensor in node.inputs:
            readers.setdefault(tensor.node, []).append(node)
    found = []
    for name, enters in entered.items():
        body = _body(enters, readers)
        if not any(node.op in ENTERS for node in body):
            loop = Loop(graph, name, body)
            if loop.steps is not None:
                found.append(loop)
    return found


def _body(enters: Sequence[Node], readers: dict[Node, list[Node]]) -> list[Node]:
    """What reads, directly or not, what goes into the frame, up to where it goes out."""
    seen: dict[Node, None] = {}
    stack = [reader for enter in enters for reader in readers.get(enter, ())]
    while stack:
        node = stack.pop()
        if node not in seen and node.op not in EXITS:
            seen[node] = None
            stack += readers.get(node, ())
    return list(seen)


def unrolled(definition: Any, loops: Sequence[Loop]) -> Any:
    """A GraphDef with the steps of these loops one after the other."""
    import tensorflow as tf

    result = tf.compat.v1.GraphDef()
    result.CopyFrom(definition)
    for loop in loops:
        _Unroller(result, loop).run()
    return result


class _Unroller:
    """Writes the steps of one loop into a GraphDef; its exits become Identities."""

    def __init__(self, definition: Any, loop: Loop) -> None:
        self.definition, self.loop = definition, loop
        self.nodes = {node.name: node for node in definition.node}
        self.merges = {merge.name for merge in loop.merges}
        self.varying = self._varying()
        self.names = self._short()
        while any(name.startswith(f"{loop.scope}/step") for name in self.nodes):
            loop.scope += "_"  # another loop's

    def run(self) -> None:
        assert self.loop.steps is not None
        exits = [
            node
            for node in self.definition.node
            if node.op in EXITS and self._merge_of(node.input[0]) in self.merges
        ]
        body = [n for n in self.definition.node if n.name in self.varying]
        for step in range(self.loop.steps):
            for node in body:
                copy = self.definition.node.add()
                copy.CopyFrom(node)
                copy.name = self._name(node.name, step)
                copy.input[:] = [self._at(name, step) for name in node.input]
        for node in self.definition.node:  # what is the same at each step reads what goes in
            if node.op in ENTERS and node.attr["frame_name"].s.decode() == self.loop.name:
                become(node, "Identity", node.input[:1], node.attr["T"].type)
        for node in exits:
            node.op = "Identity"
            node.input[:] = [self._value(self._merge_of(node.input[0]), self.loop.steps)]

    def _varying(self) -> set[str]:
        """The nodes that are another one at each step."""
        readers: dict[str, list[str]] = {}
        for node in self.definition.node:
            for name in node.input:
                readers.setdefault(node_of(name), []).append(node.name)
        seen: set[str] = set()
        stack = [reader for merge in self.merges for reader in readers.get(merge, ())]
        while stack:
            name = stack.pop()
            if self._merge_of(name) in self.merges:
                stack += [r for r in readers.get(name, ()) if self.nodes[r].op not in EXITS]
            elif name not in seen and self.nodes[name].op not in ("LoopCond", "NextIteration"):
                seen.add(name)
                stack += readers.get(name, ())
        return seen

    def _merge_of(self, switch: str) -> str:
        node = self.nodes[node_of(switch)]
        return node_of(node.input[0]) if node.op in SWITCHES else ""

    def _at(self, name: str, step: int) -> str:
        """What a tensor of the body is called at a step."""
        node = self.nodes[node_of(name)]
        if node.op in ENTERS:
            return str(node.input[0])
        if node.name in self.merges:
            return self._value(node.name, step)
        if self._merge_of(name) in self.merges:
            return self._value(self._merge_of(name), step)
        if node.name in self.varying:
            _, colon, index = name.partition(":")
            return self._name(node.name, step) + colon + index
        return name

    def _value(self, merge: str, step: int) -> str:
        """What goes round, before a step."""
        if merge in self.loop.counters:
            return self._counter(merge, step)
        first, following = self.nodes[merge].input
        if step == 0:
            return str(self.nodes[node_of(first)].input[0])
        return self._at(self.nodes[node_of(following)].input[0], step - 1)

    def _counter(self, merge: str, step: int) -> str:
        name = self._name(merge, step)
        if name not in self.nodes:
            self.nodes[name] = made = self.definition.node.add(name=name)
            become_constant(made, self.loop.counters[merge][step])
        return name

    def _name(self, name: str, step: int) -> str:
        return f"{self.loop.scope}/step{step}/{self.names.get(name, name)}"

    def _short(self) -> dict[str, str]:
        """The nodes' names within the body; in full where two would be the same."""
        full = [*self.varying, *self.merges]
        short = {name: _INNER.sub("", name) for name in full}
        count = Counter(short.values())
        return {name: inner if count[inner] == 1 else name for name, inner in short.items()}
