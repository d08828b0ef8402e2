"""Average poolings that divide by other counts than TensorFlow does."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node
from tf2caffe.patterns import pattern
from tf2caffe.patterns.convolution import channel_axis


@pattern("RealDiv")
def divisors(node: Node, graph: Graph) -> bool:
    """A mean over padded windows, divided by the part of each window that counts.

    The attribute `divisors` then holds a count for each place of the image.
    """
    made, share = node.inputs
    pooling = made.node
    if made.op != "AvgPool" or "divisors" in pooling.attrs or not graph.is_constant(share):
        return False
    if not pooling.attrs.get("counts_pads") or not graph.read_only_by(made, node):
        return False
    alike = (0, channel_axis(pooling))  # every image and channel has the same divisors
    sizes = [size for d, size in enumerate(made.shape) if d not in alike]
    if list(share.shape) != [1 if d in alike else n for d, n in enumerate(made.shape)]:
        return False
    counts = np.asarray(graph.constant(share), np.float64) * np.prod(pooling.attrs["ksize"])
    whole = np.rint(counts)
    if not np.allclose(counts, whole, rtol=1e-6, atol=0) or whole.min() < 1:
        return False
    node.op, node.inputs, node.attrs = pooling.op, pooling.inputs, pooling.attrs
    node.attrs["divisors"] = whole.reshape(sizes)
    return True
