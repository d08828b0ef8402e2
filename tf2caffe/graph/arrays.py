"""Arrays of tensors that unrolled loops read and write, as the tensors that are in them.

TensorFlow 1 has TensorArrays, whose states ("flows") form a chain, TensorFlow 2 lists that are
handed on. Source: tensor_array_ops.cc, list_ops.cc.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tf2caffe.graph import Graph, Tensor
from tf2caffe.graph.node_def import become, become_constant, node_of

# which input is the index, the value, and the state of the array before
_READS = {"TensorArrayReadV3": (1, 2), "TensorListGetItem": (1, 0)}
_WRITES = {"TensorArrayWriteV3": (1, 2, 3), "TensorListSetItem": (1, 2, 0)}
_FILLS = {"TensorArrayScatterV3": 2, "TensorListFromTensor": 0}
_STACKS = {"TensorArrayGatherV3": 2, "TensorListStack": 0}
_EMPTY = {"TensorArrayV3": 0, "TensorListReserve": 1}  # which input says how many there are
_COUNTED: dict[str, Callable[..., int]] = {
    **dict.fromkeys(["Add", "AddV2"], operator.add),
    "Sub": operator.sub,
    "Mul": operator.mul,
}
_INDICES = 1  # of TensorArrayScatterV3 and TensorArrayGatherV3


def without_arrays(definition: Any, known: Graph) -> bool:
    """Reads become what was written, stacks become Packs; what is not understood stays.

    Args:
        known: the graph as far as it is known, for sizes and indices.

    Returns:
        Whether any was understood: then the sizes of others may be known, too.
    """
    arrays = _Arrays(definition, known)
    changed = False
    for node in definition.node:
        if node.op == "TensorArraySizeV3" and (elements := arrays.complete(node.input[1])):
            become_constant(node, np.int32(len(elements)))
            changed = True
    for node in list(definition.node):
        if node.op in _READS:
            index, state = _READS[node.op]
            written = arrays.elements(node.input[state]) or {}
            place = arrays.index(node.input[index])
            if place is not None and place in written:
                become(node, "Identity", [written[place]], _type(node))
                changed = True
        elif node.op in _STACKS:
            elements = arrays.complete(node.input[_STACKS[node.op]])
            if elements and (node.op == "TensorListStack" or arrays.all_of(node, len(elements))):
                become(node, "Pack", elements, _type(node))
                node.attr["N"].i = len(elements)
                node.attr["axis"].i = 0
                changed = True
    return changed


def _type(node: Any) -> int:
    """Of an array's elements."""
    return int(node.attr["dtype"].type or node.attr["element_dtype"].type)


class _Arrays:
    """What lies in the arrays of a GraphDef."""

    def __init__(self, definition: Any, known: Graph) -> None:
        self.definition, self.known = definition, known
        self.nodes = {node.name: node for node in definition.node}

    def elements(self, state: str) -> dict[int, str] | None:
        """The tensors in an array, by their place; None if that is not known."""
        found: dict[int, str] = {}
        while True:
            node = self._source(state)
            if node.op in _WRITES:
                index, value, before = _WRITES[node.op]
                place = self.index(node.input[index])
                if place is None:
                    return None
                found.setdefault(place, node.input[value])
                state = node.input[before]
            elif node.op in _FILLS:
                return self._filled(node) | found if self._filled(node) else None
            else:
                return found if node.op in _EMPTY else None

    def index(self, tensor: str) -> int | None:
        """A whole number that is constant, as a counter at a step."""
        from tensorflow import make_ndarray

        node = self._source(tensor)
        if node.op == "Const":
            array = make_ndarray(node.attr["value"].tensor)
            return int(array) if array.shape == () else None
        if node.op in _COUNTED:
            numbers = [self.index(name) for name in node.input[:2]]
            return None if None in numbers else _COUNTED[node.op](*numbers)
        return None

    def complete(self, state: str) -> list[str] | None:
        """All elements of an array in order; None if some are not there, or not known."""
        elements = self.elements(state)
        if not elements or sorted(elements) != list(range(len(elements))):
            return None
        begun, grows = self._source(state), False
        while begun.op in _WRITES:
            grows = grows or _is_set(begun, "resize_if_index_out_of_bounds")
            begun = self._source(begun.input[_WRITES[begun.op][2]])
        if begun.op in _EMPTY:
            size = self._whole(begun.input[_EMPTY[begun.op]])
            grows = grows or _is_set(begun, "dynamic_size")
            if size is None or len(elements) < size or (len(elements) > size and not grows):
                return None
        return [elements[i] for i in range(len(elements))]

    def _whole(self, tensor: str) -> int | None:
        """A number that is constant, now or as it was before."""
        if (number := self.index(tensor)) is not None:
            return number
        try:
            found = self.known.find(tensor)
        except KeyError:
            return None
        return int(self.known.constant(found)) if self.known.is_constant(found) else None

    def all_of(self, node: Any, count: int) -> bool:
        """Whether a node of an array asks for all elements in their order."""
        source = self._source(node.input[_INDICES])
        if source.op == "Range" and [self.index(i) for i in source.input] == [0, count, 1]:
            return True
        try:
            indices = self.known.find(node.input[_INDICES])
        except KeyError:
            return False
        if not self.known.is_constant(indices):
            return False
        return np.array_equal(self.known.constant(indices), np.arange(count))

    def _source(self, tensor: str) -> Any:
        node = self.nodes[node_of(tensor)]
        while node.op in ("Identity", "IdentityN", "Enter"):
            tensor = node.input[int(tensor.partition(":")[2] or 0)]
            node = self.nodes[node_of(tensor)]
        return node

    def _filled(self, node: Any) -> dict[int, str]:
        """A tensor that was taken apart along its first axis; empty if it is not known how."""
        value = node.input[_FILLS[node.op]]
        try:
            shape = self._tensor(value).node.shapes[self._tensor(value).index]
        except KeyError:
            return {}
        if not shape or not shape[0]:
            return {}
        if node.op == "TensorArrayScatterV3" and not self.all_of(node, shape[0]):
            return {}
        name = f"{node.name}/unpack"
        if name not in self.nodes:
            self.nodes[name] = made = self.definition.node.add()
            made.name, made.op = name, "Unpack"
            made.input.append(value)
            made.attr["T"].type = node.attr["T"].type or node.attr["element_dtype"].type
            made.attr["num"].i = shape[0]
            made.attr["axis"].i = 0
        return {i: f"{name}:{i}" if i else name for i in range(shape[0])}

    def _tensor(self, name: str) -> Tensor:
        return self.known.find(name)


def _is_set(node: Any, name: str) -> bool:
    return name in node.attr and bool(node.attr[name].b)
