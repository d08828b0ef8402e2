"""Transposed convolutions that are written as convolutions between zeros."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern
from tf2caffe.patterns.convolution import FORWARD, channel_axis, pads_of


@pattern(*FORWARD, order=-1)
def between_zeros(node: Node, graph: Graph) -> bool:
    """Zeros between an image's numbers and around them, and a convolution with stride 1.

    Each input's numbers then are spread by the kernel turned round: with groups or dilation Keras
    has no other way to say Caffe's Deconvolution.
    """
    if channel_axis(node) == 1 or set(map(int, node.attrs["strides"])) != {1}:
        return False
    if node.attrs["padding"] not in ("VALID", "EXPLICIT") or not graph.is_constant(node.inputs[1]):
        return False
    x = node.inputs[0]
    own = node.attrs.get("explicit_paddings") or [0] * 2 * len(x.shape)
    around = np.asarray(own, int).reshape(-1, 2)
    while (found := pads_of(x.node, graph, 0.0)) is not None and not _spread(x, graph):
        x, around = x.node.inputs[0], around + found
    strides = [1] * len(x.shape)
    while (step := _spread(x, graph)) is not None:
        x, dimension, stride = step
        strides[dimension] *= stride
    if max(strides) == 1 or around[0].any() or around[-1].any():
        return False
    shape = node.inputs[1].shape
    dilations = [int(d) for d in node.attrs.get("dilations") or [1] * len(strides)]
    ends = [(k - 1) * d for k, d in zip(shape[:-2], dilations[1:-1], strict=True)]
    crops = [(e - a, e - b) for e, (a, b) in zip(ends, around[1:-1].tolist(), strict=True)]
    if min(map(min, crops)) < 0:
        return False
    depthwise = node.op == "DepthwiseConv2dNative"
    groups = x.shape[-1] if depthwise else x.shape[-1] // shape[-2]
    kernel = node.inputs[1]
    outputs = shape[-1] if depthwise else shape[-1] // groups
    turned = graph.later(
        f"{node.name}:turned",
        (*shape[:-2], outputs, x.shape[-1]),
        lambda: _turned(graph.constant(kernel), groups, depthwise),
    )
    node.op = "Conv2DBackpropInput" if len(strides) == 4 else "Conv3DBackpropInputV2"
    node.inputs = [graph.leaf(f"{node.name}:sizes", Tensor(node).shape), turned, x]
    node.attrs = {
        "strides": strides,
        "dilations": dilations,
        "padding": "VALID",
        "crops": [(0, 0), *crops, (0, 0)],
        "groups": groups,
    }
    return True


def _spread(tensor: Tensor, graph: Graph) -> tuple[Tensor, int, int] | None:
    """What zeros were put into, along which dimension, and how far its numbers lie apart.

    Each of them got a dimension of its own, which was padded behind; a reshape joined both
    dimensions, and the last zeros were cut off.
    """
    cut = pads_of(tensor.node, graph, 0.0)
    if cut is None or tensor.op not in ("StridedSlice", "Slice"):
        return None
    joined = tensor.node.inputs[0]
    padded = joined.node.inputs[0] if joined.op == "Reshape" else joined
    added = pads_of(padded.node, graph, 0.0) if padded.op in ("Pad", "PadV2") else None
    opened = padded.node.inputs[0] if added is not None else padded
    if added is None or opened.op != "Reshape":
        return None
    x = opened.node.inputs[0]
    for d in range(1, len(x.shape) - 1):
        stride = int(added[d + 1][1]) + 1 if len(added) == len(x.shape) + 1 else 1
        wanted = np.zeros_like(added)
        wanted[d + 1, 1] = stride - 1
        ends = np.zeros_like(cut)
        ends[d, 1] = 1 - stride
        shape = list(x.shape)
        one = [*shape[: d + 1], 1, *shape[d + 1 :]]
        many = [*shape[:d], shape[d] * stride, *shape[d + 1 :]]
        shapes = list(opened.shape) == one and list(joined.shape) == many
        pads = np.array_equal(added, wanted) and np.array_equal(cut, ends)
        if stride > 1 and shapes and pads:
            return x, d, stride
    return None


def _turned(kernel: np.ndarray, groups: int, depthwise: bool) -> np.ndarray:
    """[…, outputs of a group, inputs] of a convolution's kernel, end to end."""
    spatial = kernel.ndim - 2
    turned = np.flip(kernel, tuple(range(spatial)))
    if depthwise:  # [h, w, groups, outputs]
        return np.moveaxis(turned, -1, -2)
    inputs, outputs = turned.shape[-2:]
    apart = turned.reshape(*turned.shape[:-2], inputs, groups, outputs // groups)
    # [h, w, inputs of a group, group, outputs of it] to [h, w, outputs, (group, input)]
    moved = np.moveaxis(apart, (-1, -2), (-3, -2))
    return moved.reshape(*turned.shape[:-2], outputs // groups, groups * inputs)
