"""Training's half of a graph, cut off: what a switch that is known to be off leads to.

Keras's learning phase, `is_training` placeholders and their like are False; `tf.cond` has only the
branch then that is taken. Random noise that is left in (dropout without a switch) goes, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tf2caffe.graph import Read
from tf2caffe.graph.branches import BRANCHES
from tf2caffe.graph.inline import Inlined, inline
from tf2caffe.graph.node_def import MERGES, SWITCHES, become

_BOOL = 10  # types.proto
_PASSES = frozenset(["Identity", "PlaceholderWithDefault", "StopGradient", "ReadVariableOp"])


def pruned(
    definition: Any,
    inputs: Collection[str],
    variables: Mapping[str, Read],
    decided: Mapping[str, int] | None = None,
) -> Inlined:
    """A GraphDef without calls, control inputs and branches that are never taken.

    Args:
        inputs: nodes that are fed, whose value nobody knows.
        variables: numbers of variables by node.
        decided: which way branches go, by node, if anybody knows.
    """
    ways = decided or {}
    _without_switches(definition, _Known(definition, inputs, variables), ways)
    result = inline(definition)
    while _chosen(result.definition, _Known(result.definition, inputs, variables), ways):
        again = inline(result.definition)
        result = Inlined(again.definition, {**result.results, **again.results})
    return result


class _Known:
    """Truth values that do not depend on the data."""

    def __init__(
        self, definition: Any, inputs: Collection[str], variables: Mapping[str, Read]
    ) -> None:
        self.nodes = {node.name: node for node in definition.node}
        self.inputs, self.variables = inputs, variables
        self._known: dict[str, bool | None] = {}

    def __call__(self, tensor: str) -> bool | None:
        """None if it is not known."""
        name = tensor.partition(":")[0]
        if name not in self._known:
            self._known[name] = None  # a loop reads itself
            self._known[name] = self._value(name)
        return self._known[name]

    def _value(self, name: str) -> bool | None:
        node = self.nodes.get(name)
        if node is None or name in self.inputs:
            return None
        if name in self.variables:
            array = self.variables[name]() if _is_flag(node) else None
            return bool(array) if array is not None and array.shape == () else None
        match node.op:
            case "Const":
                return _constant(node)
            case "Placeholder":
                return False if _is_flag(node) else None
            case "LogicalNot":
                given = self(node.input[0])
                return None if given is None else not given
            case "LogicalAnd" | "LogicalOr":
                both = [self(name) for name in node.input[:2]]
                winner = bool(node.op == "LogicalOr")
                if winner in both:
                    return winner
                return None if None in both else not winner
        if node.op in _PASSES or node.op in SWITCHES:
            return self(node.input[0])
        return None


def _is_flag(node: Any) -> bool:
    return bool(node.attr["dtype"].type == _BOOL)


def _constant(node: Any) -> bool | None:
    from tensorflow import make_ndarray

    tensor = node.attr["value"].tensor
    if tensor.dtype != _BOOL or tensor.tensor_shape.dim:
        return None
    return bool(make_ndarray(tensor))


def _without_switches(definition: Any, known: _Known, ways: Mapping[str, int]) -> None:
    """TF1's conditions: Switch sends its input to one of two outputs, Merge takes what came.

    Source: control_flow_ops.cc. An op of which any input, control inputs too, is dead is dead.
    """
    alias: dict[str, str] = {}
    dead: list[str] = []
    for node in definition.node:
        if node.op not in SWITCHES:
            continue
        taken = ways.get(node.name, known(node.input[1]))
        if taken is not None:
            alias[f"{node.name}:1" if taken else node.name] = node.input[0]
            dead.append(node.name if taken else f"{node.name}:1")
    if not alias:
        return
    gone = _spread(definition, dead)
    for node in definition.node:
        if node.op in MERGES:
            alive = [i for i in node.input if not i.startswith("^") and _name(i) not in gone]
            if len(alive) == 1:
                alias[node.name] = alive[0]
    for node in definition.node:
        inputs = [_resolved(name, alias) for name in node.input if _name(name) not in gone]
        del node.input[:]
        node.input.extend(inputs)
    for node in definition.node:
        if node.name in alias:  # whoever asks for it by name finds it
            become(node, "Identity", [_resolved(alias[node.name], alias)], node.attr["T"].type)


def _spread(definition: Any, dead: Collection[str]) -> set[str]:
    """All tensors that are dead if these are; a node's name is its first output."""
    readers: dict[str, list[Any]] = {}
    for node in definition.node:
        for name in node.input:
            readers.setdefault(_name(name), []).append(node)
    gone = set(dead)
    stack = list(dead)
    while stack:
        for node in readers.get(stack.pop(), ()):
            data = [_name(i) for i in node.input if not i.startswith("^")]
            lost = all(i in gone for i in data) if node.op in MERGES else True
            if lost and node.name not in gone:
                outputs = [node.name, *(t for t in readers if t.startswith(f"{node.name}:"))]
                gone.update(outputs)
                stack += outputs
    return gone


def _name(tensor: str) -> str:
    return tensor.lstrip("^").removesuffix(":0")


def _resolved(tensor: str, alias: Mapping[str, str]) -> str:
    if tensor.startswith("^"):
        return tensor
    while _name(tensor) in alias:
        tensor = alias[_name(tensor)]
    return tensor


def _chosen(definition: Any, known: _Known, ways: Mapping[str, int]) -> bool:
    """TF2's conditions become calls of the branch that is taken; tells whether there were any."""
    found = False
    for node in definition.node:
        if node.op not in BRANCHES:
            continue
        taken = ways.get(node.name, known(node.input[0]))
        if taken is not None:
            branch = _branch(node, taken)
            inputs = list(node.input)[1:]
            node.op = "PartitionedCall"
            node.attr["f"].func.CopyFrom(branch)
            del node.input[:]
            node.input.extend(inputs)
            found = True
    return found


def _branch(node: Any, taken: int) -> Any:
    """The function that is called; a number that no branch has takes the last one (Case)."""
    if "branches" not in node.attr:
        return node.attr["then_branch" if taken else "else_branch"].func
    branches = node.attr["branches"].list.func
    return branches[taken if 0 <= taken < len(branches) else -1]
