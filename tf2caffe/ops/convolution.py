"""Conv2D, Conv3D and DepthwiseConv2dNative."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tf2caffe import windows
from tf2caffe.ops import op
from tf2caffe.site import Site, Value
from tfcaffe.errors import UnsupportedError

Read = Callable[[], np.ndarray]


@op("Conv2D", "Conv3D", "DepthwiseConv2dNative")
def convolution(site: Site) -> Value:
    """A Convolution; a third input is its bias.

    Where TensorFlow pads unevenly the kernel gets zero rows or columns on the side of the smaller
    pad, so that both pads are the larger one: nothing shifts, and no size changes.
    """
    x = site.image(0)
    depthwise = site.node.op == "DepthwiseConv2dNative"
    shape = site.node.inputs[1].shape
    kernel, rank = shape[:-2], len(shape) - 2
    strides = site.spatial(site.attrs["strides"])
    dilations = site.spatial(site.attrs.get("dilations") or [1] * (rank + 2))
    explicit = site.attrs.get("explicit_paddings") or []
    pairs = list(zip(explicit[::2], explicit[1::2], strict=True))
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = windows.tf_pads(
        site.attrs["padding"],
        site.spatial(pairs) if pairs else (),  # type: ignore[arg-type]
        x.shape[2:],
        extents,
        strides,
    )
    enlarged = enlargement(pads, dilations)
    if enlarged is None:
        raise uneven(site, pads)
    channels = x.shape[1]
    groups = channels if depthwise else channels // shape[-2]
    outputs = shape[-2] * shape[-1] if depthwise else shape[-1]
    weights: dict[str, Read] = {"weights": zero_rows(lambda: site.constant(1), enlarged)}
    if len(site.node.inputs) > 2:
        weights["bias"] = lambda: site.constant(2)
    options = windows.fields(
        kernel=[k + sum(more) for k, more in zip(kernel, enlarged, strict=True)],
        stride=strides,
        pad=[max(pair) for pair in pads],
        dilation=dilations,
    )
    top = site.layer(
        "Convolution",
        x,
        weights=weights,
        hint="conv",
        num_output=outputs,
        bias_term="bias" in weights,
        group=groups,
        **options,
    )
    return site.image_of(top)


def enlargement(pads: windows.Pads, dilations: Sequence[int]) -> windows.Pads | None:
    """Rows of zeros before and after the kernel that make uneven pads even; None if dilated."""
    found = []
    for (before, after), dilation in zip(pads, dilations, strict=True):
        if before != after and dilation != 1:
            return None
        found.append((max(after - before, 0), max(before - after, 0)))
    return tuple(found)


def zero_rows(read: Read, more: windows.Pads) -> Read:
    """The kernel with rows of zeros around it."""
    if not any(map(sum, more)):
        return read
    return lambda: np.pad(read(), [*more, (0, 0), (0, 0)])


def uneven(site: Site, pads: windows.Pads) -> UnsupportedError:
    """What to raise for uneven pads of a dilated kernel."""
    return site.refusal(f"pads {list(pads)} of a dilated kernel cannot be made even")
