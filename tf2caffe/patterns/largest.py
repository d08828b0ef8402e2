"""The largest numbers along a dimension, the last one first among equals; and what goes before."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern

_TINY = 1e-37  # numbers below it are zeros but for float32's smallest


@pattern("AddV2", order=-3)
def places(node: Node, graph: Graph) -> bool:
    """size - 1 - the places in a reversed tensor: the places in the tensor itself."""
    for product, term in (node.inputs, node.inputs[::-1]):
        if product.op != "Mul" or graph.number(term) is None:
            continue
        for found, minus in (product.node.inputs, product.node.inputs[::-1]):
            if found.op != "TopKV2" or found.index != 1 or graph.number(minus) != -1:
                continue
            x = _reversed(found.node.inputs[0], graph)
            if x is None or graph.number(term) != x.shape[-1] - 1:
                return False
            node.op, node.inputs = "argMax", [x]
            node.attrs = {"k": Tensor(node).shape[-1], "values": False}
            return True
    return False


@pattern("TopKV2", order=-2)
def values(node: Node, graph: Graph) -> bool:
    """Where nobody asks for their places."""
    if graph.readers().get(Tensor(node, 1)) or Tensor(node, 1) in graph.outputs.values():
        return False
    x = node.inputs[0]
    node.op, node.inputs = "argMax", [_reversed(x, graph) or x]
    node.shapes, node.dtypes = node.shapes[:1], node.dtypes[:1]
    node.attrs = {"k": Tensor(node).shape[-1], "values": True}
    return True


@pattern("SelectV2")
def negative_zeros(node: Node, graph: Graph) -> bool:
    """x, its zeros of negative sign a hair lower: what `keras.ops.argmax` makes of x first."""
    test, low, x = node.inputs
    number = graph.number(low)
    if x.shape != Tensor(node).shape or test.op != "LogicalAnd":
        return False
    if number is None or not -_TINY < number <= 0:
        return False
    for zeros in test.node.inputs:
        if zeros.op == "Equal" and x in zeros.node.inputs:
            a, b = zeros.node.inputs
            if graph.number(b if a == x else a) == 0:
                node.op, node.inputs, node.attrs = "same", [x], {}
                return True
    return False


def _reversed(tensor: Tensor, graph: Graph) -> Tensor | None:
    """What is turned round along the last dimension."""
    if tensor.op != "ReverseV2" or not graph.is_constant(tensor.node.inputs[1]):
        return None
    last = len(tensor.shape) - 1
    turned = graph.dimensions(tensor.node.inputs[1], last + 1)
    return tensor.node.inputs[0] if turned == [last] else None
