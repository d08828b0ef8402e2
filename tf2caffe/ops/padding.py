"""Pads that no layer behind takes over, and cuts: depthwise convolutions with a single one."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tf2caffe.net import windows
from tf2caffe.net.linear import applied, chosen, depthwise, resized, scaled_map, spread
from tf2caffe.net.site import Site
from tf2caffe.net.value import Numbers, Value
from tf2caffe.ops import op
from tf2caffe.ops.affine import affine

_LARGEST = 16  # a kernel that works on both axes at once; larger ones are two


@op("Pad", "PadV2")
def pad(site: Site) -> Value:
    """Zeros, or another number, around H and W, behind and before the channels."""
    x = site.value(0)
    pads = _pads(site, x)
    number = site.graph.number(site.node.inputs[2]) if len(site.node.inputs) > 2 else 0.0
    if number is None:
        raise site.refusal("pads with numbers that are not one constant; pad with one constant")
    if (pads < 0).any():
        raise site.refusal(f"pads {pads.tolist()}: one is less than 0; cut by slicing")
    varied = [d for d in range(len(pads)) if pads[d].any()]
    if not varied:
        return x
    x = spread(site, x, varied)
    by_axis = {x.axis_of(d): (int(pads[d][0]), int(pads[d][1])) for d in varied}
    if 0 in by_axis:
        raise site.refusal("pads the batch, which Caffe's layers never change; pad other axes")
    channels = by_axis.pop(1, None)
    if channels is not None:
        (dimension,) = (d for d in varied if x.axis_of(d) == 1)
        outside = np.pad(np.zeros(x.shape[1]), channels, constant_values=number)
        rows = np.pad(np.eye(x.shape[1], dtype=np.float32), [(0, 0), channels])
        x = applied(site, x, {1: rows}, hint="pad")
        if number != 0:
            sizes = [-1 if d == dimension else 1 for d in range(len(pads))]
            x = affine(site, x, 1.0, outside.reshape(sizes))
    sides = [by_axis.get(axis, (0, 0)) for axis in range(2, len(x.shape))]
    if not any(map(sum, sides)):
        return x
    inner = x.shape[2:]
    x = padded(site, x, sides)
    return x if number == 0 else _framed(site, x, sides, inner, number)


@op("MirrorPad")
def mirror(site: Site) -> Value:
    """Rows and columns from inside, the other way round: REFLECT leaves the edge out."""
    x = site.value(0)
    pads = _pads(site, x)
    mode = "reflect" if site.attrs["mode"] == "REFLECT" else "symmetric"
    varied = [d for d in range(len(pads)) if pads[d].any()]
    if not varied:
        return x
    x = spread(site, x, varied)
    for d in varied:
        axis = x.axis_of(d)
        if not axis:
            raise site.refusal("mirrors the batch, which Caffe's layers never change")
        index = np.pad(np.arange(x.shape[axis]), pads[d], mode=mode)  # type: ignore[call-overload]
        x = chosen(site, x, axis, index, hint="mirror")
    return x


def _pads(site: Site, x: Value) -> np.ndarray:
    return np.asarray(site.constant(1)).reshape(len(x.tf_shape), 2)


def padded(
    site: Site, x: Value, pads: Sequence[tuple[int, int]], bias: Numbers | None = None
) -> Value:
    """Zeros (or, below 0, a cut) before and after the spatial axes of a blob N, C, H, W.

    Then `bias` is added, a number for each channel.

    A kernel with a single one moves the image: with the same pad on both sides the rows that are
    too many are those that the kernel is larger than 1.
    """
    if len(x.shape) == 3 and not site.dialect.allows("Convolution", axes=3):
        made = padded(site, site.reshape(x, (*x.shape, 1)), [*pads, (0, 0)], bias)
        return Value(site.reshape(made, made.shape[:3]).blob, resized(x, made.shape[:3]))
    uneven = [i for i, pair in enumerate(pads) if _extra(pair)]
    if len(uneven) > 1 and prod(_extra(pads[i]) + 1 for i in uneven) > _LARGEST:
        first = uneven[0]
        x = padded(site, x, [pair if i == first else (0, 0) for i, pair in enumerate(pads)])
        pads = [(0, 0) if i == first else pair for i, pair in enumerate(pads)]
        return padded(site, x, pads, bias)
    sides = [max(before, after, 0) for before, after in pads]
    more = [_extra(pair) for pair in pads]
    at = [p - before for p, (before, _) in zip(sides, pads, strict=True)]
    return one_hot(
        site,
        x,
        [m + 1 for m in more],
        at,
        "pad" if any(sides) else "cut",
        bias,
        **windows.fields(kernel=[m + 1 for m in more], pad=sides),
    )


def _extra(pad: tuple[int, int]) -> int:
    """How many rows more than one the kernel has."""
    return 2 * max(*pad, 0) - sum(pad)


def one_hot(
    site: Site,
    x: Value,
    kernel: Sequence[int],
    at: Sequence[int],
    hint: str,
    bias: Numbers | None = None,
    **options: Any,
) -> Value:
    """A depthwise convolution whose kernel is a single one `at` a place: it moves numbers only."""
    ones = np.zeros(kernel, np.float32)
    ones[tuple(at)] = 1
    top = depthwise(site, x, ones, hint, bias=bias, **options)
    return Value(top, resized(x, top.shape))


def _framed(
    site: Site, x: Value, sides: Sequence[tuple[int, int]], inner: Sequence[int], number: float
) -> Value:
    """x + `number` where x has been padded."""
    frame = np.full(x.shape[2:], number, np.float32)
    frame[tuple(slice(b, b + size) for (b, _), size in zip(sides, inner, strict=True))] = 0
    return scaled_map(site, x, np.ones_like(frame), "frame", frame)
