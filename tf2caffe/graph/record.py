"""A graph that TensorFlow has built, taken down as a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tf2caffe.graph import Graph, Node, Read, Tensor
from tf2caffe.graph.constants import evaluator
from tf2caffe.graph.node_def import MERGES

_SIZES = frozenset(["Shape", "Size", "Rank"])
_NOW = {  # ops of several names
    "Add": "AddV2",
    "BatchMatMul": "BatchMatMulV2",
    "BatchMatMulV3": "BatchMatMulV2",
    "BiasAddV1": "BiasAdd",
    "Inv": "Reciprocal",
}
_FILLED = {"OnesLike": 1, "ZerosLike": 0}


def record(
    operations: Iterable[Any],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    variables: Mapping[str, Read],
    origins: Callable[[str], str],
) -> Graph:
    """The nodes between inputs and outputs.

    Args:
        operations: TensorFlow's.
        inputs, outputs: tensors (`node:0`) by the names that users know.
        variables: who gives the numbers of the nodes that stand for variables.
        origins: the Keras layer or scope of a node by its name.
    """
    nodes: dict[str, Node] = {}
    pending = []
    for op in operations:
        shapes = [_shape(out) for out in op.outputs]
        dtypes = [out.dtype.base_dtype.name for out in op.outputs]
        kind = _NOW.get(op.type, op.type)
        kind = "RealDiv" if kind == "Div" and "float" in dtypes[0] else kind
        origin = origins(op.name)
        node = Node(op.name, kind, [], _Attributes(op), shapes, dtypes, origin)
        nodes[op.name] = node
        pending.append((node, op))
    values = {nodes[name]: read for name, read in variables.items() if name in nodes}
    volatile = set()
    for node, op in pending:
        node.inputs = [Tensor(nodes[t.op.name], t.value_index) for t in op.inputs]
        if node.op == "ReadVariableOp" and node.inputs[0].node in values:
            values[node] = values[node.inputs[0].node]
        elif node.op in _SIZES and (size := _size(node)) is not None:
            values[node] = partial(np.asarray, size)
        elif node.op in _FILLED and (read := _filled(node)) is not None:
            values[node] = read
        elif op.op_def.is_stateful or node.op in MERGES or _draws_anew(node, values):
            volatile.add(node)
    graph = Graph({}, {}, values, evaluator(values), nodes=nodes, volatile=volatile)
    graph.inputs = {name: graph.find(tensor) for name, tensor in inputs.items()}
    graph.outputs = {name: graph.find(tensor) for name, tensor in outputs.items()}
    return graph


def _draws_anew(node: Node, values: Mapping[Node, Any]) -> bool:
    """Whether random numbers come from a seed that is a variable: Keras's SeedGenerator."""
    if node.op != "StatelessRandomGetKeyCounter":
        return False
    stack = [node]
    while stack:
        top = stack.pop()
        if top in values:
            return True
        stack += [t.node for t in top.inputs]
    return False


def _size(node: Node) -> Any:
    """What an op says of a tensor whose sizes are known; None if they are not."""
    shape = node.inputs[0].node.shapes[node.inputs[0].index]
    if shape is not None and node.op == "Rank":
        return np.int32(len(shape))
    if shape is None or any(size is None for size in shape):
        return None
    sizes = [int(size or 0) for size in shape]
    return np.asarray(sizes if node.op == "Shape" else np.prod(sizes, dtype=int), node.dtypes[0])


def _filled(node: Node) -> Read | None:
    """Zeros or ones in the shape of another tensor, if that is known."""
    shape, dtype = node.shapes[0], node.dtypes[0]
    if shape is None or None in shape or dtype not in ("float32", "float64", "int32", "int64"):
        return None
    return partial(np.full, [int(n or 0) for n in shape], _FILLED[node.op], dtype)


class _Attributes(dict[str, Any]):
    """A node's attributes, decoded when they are asked for."""

    def __init__(self, op: Any) -> None:
        super().__init__()
        self._op = op

    def __missing__(self, name: str) -> Any:
        if name == "op_def":  # what its inputs are called
            return self._op.op_def
        value = self._op.get_attr(name)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        self[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute, or `default` where the op has none of that name."""
        try:
            return self[name]
        except ValueError:
            return default


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
