"""Pads that no layer behind takes over, and cuts: depthwise convolutions with a single one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf2caffe import windows
from tf2caffe.ops import op
from tf2caffe.site import Site, Value
from tfcaffe.layout import Layout


@op("Pad", "PadV2")
def pad(site: Site) -> Value:
    """Zeros around H and W."""
    x = site.value(0)
    pads = np.asarray(site.constant(1))
    rank = len(x.tf_shape)
    if len(site.node.inputs) > 2 and site.graph.number(site.node.inputs[2]) != 0:
        raise site.refusal("pads with another number than 0")
    if rank != 4 or (pads < 0).any():
        raise site.refusal(f"pads {pads.tolist()} of {rank} dimensions")
    varied = [d for d in range(rank) if pads[d].any()]
    if not varied:
        return x
    layout = x.plain()
    x = site.to(x, layout)
    axes_ = {x.axis_of(d): (int(pads[d][0]), int(pads[d][1])) for d in varied}
    if not set(axes_) <= {2, 3}:
        raise site.refusal("pads the batch or the channels")
    return padded(site, x, [axes_.get(2, (0, 0)), axes_.get(3, (0, 0))])


def padded(site: Site, x: Value, pads: Sequence[tuple[int, int]]) -> Value:
    """Zeros (or, below 0, a cut) before and after H and W of a blob N, C, H, W.

    A kernel with a single one moves the image: with the same pad on both sides the rows that are
    too many are those that the kernel is larger than 1.
    """
    sides = [max(before, after, 0) for before, after in pads]
    more = [2 * p - before - after for p, (before, after) in zip(sides, pads, strict=True)]
    at = [p - before for p, (before, _) in zip(sides, pads, strict=True)]
    kernel = np.zeros([m + 1 for m in more], np.float32)
    kernel[tuple(at)] = 1
    channels = x.shape[1]
    top = site.layer(
        "Convolution",
        Value(x.blob, Layout.channels_last(x.shape)),
        caffe={"weights": np.broadcast_to(kernel, (channels, 1, *kernel.shape))},
        hint="pad" if any(sides) else "cut",
        num_output=channels,
        bias_term=False,
        group=channels,
        **windows.fields(kernel=kernel.shape, pad=sides),
    )
    return Value(top, Layout(tuple((s,) for s in top.shape), x.layout.dims))
