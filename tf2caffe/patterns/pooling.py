"""Paddings before poolings."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern
from tf2caffe.patterns.convolution import channel_axis, take_pads

_LOWEST = -3.4e38  # what is below it is as good as no number
_NEVER_NEGATIVE = {
    *("Relu", "Relu6", "Sigmoid", "Softmax", "Square", "Abs", "Exp", "Softplus", "Sqrt"),
}
_OF_NEVER_NEGATIVE = {  # with such inputs alone
    *("MaxPool", "AvgPool", "ConcatV2", "AddV2", "AddN", "Mul", "RealDiv"),
    *("Maximum", "Minimum", "Mean", "Max", "Min", "Sum", "Reshape", "Transpose", "Squeeze"),
    *("ExpandDims", "Pad", "PadV2", "StridedSlice", "Slice"),
}


@pattern("MaxPoolV2", order=-2)
def said_by_inputs(node: Node, graph: Graph) -> bool:
    """Kernel and strides are inputs there."""
    if not all(graph.is_constant(t) for t in node.inputs[1:]):
        return False
    kernel, strides = ([int(n) for n in graph.constant(t)] for t in node.inputs[1:])
    node.attrs["ksize"], node.attrs["strides"] = kernel, strides
    node.op, node.inputs = "MaxPool", node.inputs[:1]
    return True


@pattern("MaxPoolWithArgmax", order=-2)
def without_places(node: Node, graph: Graph) -> bool:
    """Where nobody asks for the places."""
    if graph.readers().get(Tensor(node, 1)) or Tensor(node, 1) in graph.outputs.values():
        return False
    node.op, node.shapes, node.dtypes = "MaxPool", node.shapes[:1], node.dtypes[:1]
    return True


@pattern("MaxPool", order=-1)
def maximum(node: Node, graph: Graph) -> bool:
    """A Pad before MaxPool, where the pooling's own pads, which are no numbers at all, do the same.

    So do zeros around numbers that are never negative: in each window lies one of these. A cut,
    too.
    """
    if node.attrs["padding"] not in ("VALID", "EXPLICIT"):
        return False
    source = node.inputs[0].node
    if source.op == "ExpandDims":
        source = source.inputs[0].node
    if source.op in ("StridedSlice", "Slice"):
        return take_pads(node, graph, _LOWEST)
    if source.op not in ("Pad", "PadV2"):
        return False
    if not _within_windows(node, source, graph):
        return False
    if take_pads(node, graph, _LOWEST):
        return True
    return never_negative(source.inputs[0], graph) and take_pads(node, graph, 0.0)


@pattern("AvgPool", order=-1)
def average(node: Node, graph: Graph) -> bool:
    """A Pad with zeros, or a cut, before AvgPool: the zeros count."""
    if node.attrs["padding"] not in ("VALID", "EXPLICIT") or not take_pads(node, graph, 0.0):
        return False
    node.attrs["counts_pads"] = True
    return True


def _within_windows(node: Node, pad: Node, graph: Graph) -> bool:
    """Whether no window of a pooling can lie in its pads alone."""
    if not graph.is_constant(pad.inputs[1]):
        return False
    pads = np.asarray(graph.constant(pad.inputs[1]))
    kernel = [int(k) for k in node.attrs["ksize"]]
    last = channel_axis(node)
    own = max([0, *(node.attrs.get("explicit_paddings") or [])])
    widths = [k for d, k in enumerate(kernel) if d not in (0, last)]
    if len(pads) < len(kernel):  # the kernel's size along a dimension that is added is 1
        return bool(pads.max() + own < max(widths))
    sides = [int(pair.max()) + own for d, pair in enumerate(pads) if d not in (0, last)]
    return all(side < width for side, width in zip(sides, widths, strict=True))


def never_negative(tensor: Tensor, graph: Graph) -> bool:
    """Whether a tensor is proven to have no number below 0, whatever the net is fed."""
    seen: set[Tensor] = set()
    stack = [tensor]
    while stack:
        top = stack.pop()
        if top in seen:
            continue
        seen.add(top)
        node = top.node
        if graph.is_constant(top):
            if "float" not in top.dtype or bool(np.all(graph.constant(top) >= 0)):
                continue
            return False
        if node.op in _NEVER_NEGATIVE:
            continue
        limits = [graph.number(t) for t in node.inputs]
        if node.op == "Maximum" and any(n is not None and n >= 0 for n in limits):
            continue
        if node.op == "Mul" and node.inputs[0] == node.inputs[1]:
            continue
        if node.op not in _OF_NEVER_NEGATIVE:
            return False
        stack += [t for t in node.inputs if "float" in t.dtype]
    return True
