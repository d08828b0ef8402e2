"""Strides that stand behind a convolution."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node
from tf2caffe.patterns import pattern
from tf2caffe.patterns.convolution import FORWARD


@pattern("MaxPool", "AvgPool", order=2)
def pooled(node: Node, graph: Graph) -> bool:
    """A pooling of single numbers behind a convolution with stride 1: that has the strides.

    Keras's convolutions have no strides where they have dilations.
    """
    made = node.inputs[0].node
    single = set(map(int, node.attrs["ksize"])) == {1} and node.attrs["padding"] in (
        "VALID",
        "SAME",
    )
    if not single or made.op not in FORWARD or not graph.read_only_by(node.inputs[0], node):
        return False
    formats = {str(n.attrs.get("data_format") or "NHWC") for n in (node, made)}
    if len(formats) > 1 or made.attrs["padding"] not in ("VALID", "EXPLICIT"):
        return False
    if set(map(int, made.attrs["strides"])) != {1}:
        return False
    strides = [int(s) for s in node.attrs["strides"]]
    node.op, node.inputs, node.attrs = made.op, made.inputs, made.attrs
    node.attrs["strides"] = strides
    return True
