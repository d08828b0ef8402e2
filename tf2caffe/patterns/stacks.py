"""Stacks of tensors that are taken apart again, and the other way round."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.net.slices import cuts
from tf2caffe.patterns import pattern


@pattern("Pack", order=-1)
def stack_of_parts(node: Node, graph: Graph) -> bool:
    """All parts of a tensor, stacked as they lay."""
    source = node.inputs[0].node
    parts = [Tensor(source, i) for i in range(len(source.shapes))]
    if source.op != "Unpack" or node.inputs != parts:
        return False
    if int(source.attrs["axis"]) % len(Tensor(node).shape) != _axis(node):
        return False
    node.op, node.inputs, node.attrs = "same", [source.inputs[0]], {}
    return True


@pattern("StridedSlice", "Slice", order=-1)
def part_of_stack(node: Node, graph: Graph) -> bool:
    """One of the tensors of a stack, or the last step of an LSTM; either may be turned before."""
    places = cuts(node, graph)
    if places is None or any(cut.new for cut in places):
        return False
    varied = [d for d, cut in enumerate(places) if not cut.whole]
    if len(varied) != 1 or len(places[varied[0]].index) != 1:
        return False
    (dimension,), stack, order = varied, node.inputs[0], list(range(len(places)))
    cut = places[dimension]
    if stack.op == "Transpose":
        order = [int(d) for d in graph.constant(stack.node.inputs[1]).reshape(-1)]
        stack = stack.node.inputs[0]
    at = order.pop(dimension)
    if stack.op not in ("Pack", "lstmSteps") or at != _axis(stack.node):
        return False
    turned = [sorted(order).index(d) for d in order]
    if turned != sorted(turned) and not cut.removed:
        return False
    shape = tuple(size for d, size in enumerate(stack.shape) if d != at)
    part = stack.node.inputs[0]
    if stack.op == "Pack":
        part = stack.node.inputs[cut.start]
    elif cut.start == cut.size - 1:
        part = Tensor(Node(f"{node.name}/last", "lstmLast", [part], {}, [shape], ["float32"]))
        part.node.origin = stack.node.origin
    else:
        return False
    if graph.is_constant(part):
        return False
    if turned != sorted(turned):
        perm = graph.leaf(f"{node.name}/order", np.array(turned))
        node.op, node.inputs, node.attrs = "Transpose", [part, perm], {}
    elif cut.removed:
        node.op, node.inputs, node.attrs = "same", [part], {}
    else:
        where = graph.leaf(f"{node.name}/dimension", dimension)
        node.op, node.inputs, node.attrs = "ExpandDims", [part, where], {}
    return True


def _axis(node: Node) -> int:
    return int(node.attrs["axis"]) % len(Tensor(node).shape)
