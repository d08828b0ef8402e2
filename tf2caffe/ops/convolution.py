"""Conv2D, Conv3D and DepthwiseConv2dNative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tf2caffe.net import windows
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.net.windows import Pads, Windows
from tf2caffe.ops import op
from tf2caffe.ops.padding import padded

Read = Callable[[], np.ndarray]


@op("Conv2D", "Conv3D", "DepthwiseConv2dNative")
def convolution(site: Site) -> Value:
    """A Convolution; a third input is its bias."""
    x = site.image(0)
    shape = kernel_shape(site)
    channels = x.shape[1]
    if site.node.op == "DepthwiseConv2dNative":
        groups, outputs = channels, shape[-2] * shape[-1]
    else:
        groups, outputs = channels // shape[-2], shape[-1]
    found = windows.of_node(site, shape[:-2], x.shape[2:])
    kept: tuple[slice, ...] = ()
    is_thin = groups == channels == outputs and windows.thin(found.kernel, x.shape[2:])
    if is_thin and not site.dialect.allows("Convolution", thin=True):
        found, kept = windows.thinned(found, x.shape[2:])
        site.fixes(x)
    found, apart = windows.sayable(site, "Convolution", found)
    x, found, more = even(site, x, found, outputs // groups)
    # As a depthwise kernel has it: each channel's outputs behind the channel.
    laid = (channels, outputs // channels) if groups == channels else shape[-2:]

    def kernel() -> np.ndarray:
        numbers = site.constant(1).reshape((*shape[:-2], *laid))[kept]
        return zero_rows(holed(numbers, apart), more)

    weights: dict[str, Read] = {"weights": kernel}
    if len(site.node.inputs) > 2:
        weights["bias"] = lambda: site.constant(2)
    top = site.layer(
        "Convolution",
        x,
        weights=weights,
        hint="conv",
        num_output=outputs,
        bias_term="bias" in weights,
        group=groups,
        **found.fields(more),
    )
    return site.image_of(top)


def kernel_shape(site: Site) -> tuple[int, ...]:
    """TensorFlow's shape of the kernel, which must not depend on the net's inputs."""
    if not site.is_constant(1):
        raise site.refusal(
            "its kernel is computed from the net's inputs, and Caffe's kernels are weights; cut "
            "the net before it with --outputs"
        )
    return site.node.inputs[1].shape


def even(site: Site, x: Value, found: Windows, across: int) -> tuple[Value, Windows, Pads]:
    """An image and windows over it with even pads, and rows of zeros that the kernel gets.

    Where those would not do, or cost more, a layer before pads the image; each of its channels is
    read by `across` outputs.
    """
    direct = windows.evened(found, x.shape[2:], across)
    if site.attrs.get("fixes"):
        site.fixes(x)
    same = site.attrs["padding"] == "SAME" or site.attrs.get("was_same")
    if (same and max(found.extents) > 1) or (direct and not windows.everywhere(found, *direct)):
        site.changes_by(x, found.strides)
    if direct is not None:
        return x, *direct
    pads = [max(min(pair), 0) for pair in found.pads]
    before = [(a - p, b - p) for p, (a, b) in zip(pads, found.pads, strict=True)]
    x = padded(site, x, before)
    return x, replace(found, pads=tuple((p, p) for p in pads)), ((0, 0),) * len(pads)


def holed(kernel: np.ndarray, apart: Sequence[int]) -> np.ndarray:
    """A kernel's numbers further apart along its first axes, zeros between them."""
    if set(apart) == {1}:
        return kernel
    sizes = [(k - 1) * a + 1 for k, a in zip(kernel.shape, apart, strict=False)]
    wide = np.zeros((*sizes, *kernel.shape[len(sizes) :]), kernel.dtype)
    wide[tuple(slice(None, None, a) for a in apart)] = kernel
    return wide


def zero_rows(kernel: np.ndarray, more: Pads, behind: int = 2) -> np.ndarray:
    """A kernel with rows of zeros around it; `behind` axes follow its spatial ones."""
    if not any(map(sum, more)):
        return kernel
    front = kernel.ndim - behind - len(more)
    return np.pad(kernel, [*[(0, 0)] * front, *more, *[(0, 0)] * behind])
