"""Transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tf2caffe.graph import Tensor
from tf2caffe.net import windows
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.net.windows import Pads, Windows
from tf2caffe.ops import op
from tf2caffe.ops.convolution import holed, kernel_shape, zero_rows
from tf2caffe.ops.padding import padded

Read = Callable[[], np.ndarray]


@op("Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput")
def transposed(site: Site) -> Value:
    """A Deconvolution; a fourth input is its bias.

    The whole of what it makes is cut by TensorFlow's pads (and by `crops`, a cut behind it). Where
    those are uneven the kernel gets rows of zeros on the side of the smaller one; where that would
    cost more, a layer behind cuts. With `groups` the kernel has the outputs of one of them; so
    does a depthwise one, whose channels are the groups.
    """
    value = site.value(2)
    x = site.to(value, site.image_layout(value.tf_shape))
    shape = kernel_shape(site)
    wanted = site.spatial(Tensor(site.node).shape)
    crops = site.spatial(site.attrs.get("crops") or [(0, 0)] * len(shape))
    before = [w + sum(c) for w, c in zip(wanted, crops, strict=True)]
    found = windows.of_node(site, shape[:-2], before)
    found, apart = windows.sayable(site, "Deconvolution", found)
    if site.attrs.get("fixes"):
        site.fixes(x)
    sides = _sides(found, x.shape[2:], before, crops)
    groups = site.attrs.get("groups", 1)
    if site.node.op == "DepthwiseConv2dNativeBackpropInput":
        groups, shape = shape[-2], (*shape[:-2], 1, x.shape[1])
    pads, more, rest = _evened(found, sides, x.shape[1] // groups)
    laid = shape

    def kernel() -> np.ndarray:
        return zero_rows(holed(site.constant(1).reshape(laid), apart), more)

    weights: dict[str, Read] = {"weights": kernel}
    if len(site.node.inputs) > 3:
        weights["bias"] = lambda: site.constant(3)
    late = "bias" in weights and any(side < 0 for pair in rest for side in pair)
    if late:
        bias = weights.pop("bias")
    given = replace(found, pads=tuple((p, p) for p in pads))
    fields = {"stride": 1 if len(wanted) < 3 else [1] * len(wanted), **given.fields(more)}
    if "stride_h" in fields:
        del fields["stride"]
    top = site.layer(
        "Deconvolution",
        x,
        weights=weights,
        hint="deconv",
        num_output=shape[-2] * groups,
        group=groups,
        bias_term="bias" in weights,
        **fields,
    )
    y = site.image_of(top)
    if any(map(any, rest)):
        y = padded(site, y, [(-a, -b) for a, b in rest], bias if late else None)
    return y


def _sides(
    found: Windows, sizes: Sequence[int], before: Sequence[int], crops: Sequence[tuple[int, int]]
) -> Pads:
    """How much of the whole is cut at either end; below 0, how much it lacks."""
    sides = []
    for size, made, extent, stride, (front, _), (a, b) in zip(
        sizes, before, found.extents, found.strides, found.pads, crops, strict=True
    ):
        whole = stride * (size - 1) + extent
        sides.append((front + a, whole - front - made + b))
    return tuple(sides)


def _evened(found: Windows, sides: Pads, across: int) -> tuple[list[int], Pads, Pads]:
    """Caffe's pads, rows of zeros around the kernel, and what is still to be cut behind."""
    pads, more, rest = [], [], []
    for (a, b), dilation in zip(sides, found.dilations, strict=True):
        rows, left = divmod(abs(a - b), dilation)
        if left or max(a, b) < 0:
            pad = max(min(a, b), 0)
            pads.append(pad)
            more.append((0, 0))
            rest.append((a - pad, b - pad))
        else:
            pads.append(max(a, b))
            more.append((rows, 0) if a < b else (0, rows))
            rest.append((0, 0))
    if windows.worth(found, sides, tuple(more), across):
        return pads, tuple(more), tuple(rest)
    pads = [max(min(pair), 0) for pair in sides]
    rest = [(a - p, b - p) for (a, b), p in zip(sides, pads, strict=True)]
    return pads, ((0, 0),) * len(pads), tuple(rest)
