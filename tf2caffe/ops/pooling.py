"""Max and average pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np

from tf2caffe.net import windows
from tf2caffe.net.linear import depthwise, scaled_map
from tf2caffe.net.overhang import overhang
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.net.windows import Windows
from tf2caffe.ops import no_op, op
from tf2caffe.ops.convolution import even, zero_rows
from tf2caffe.ops.padding import padded
from tf2caffe.patterns.pooling import never_negative
from tfcaffe.errors import UnsupportedError
from tfcaffe.layers.pooling import pooled_size


@op("MaxPool", "AvgPool")
def pooling(site: Site) -> Value:
    """A Pooling where Caffe's windows are TensorFlow's, else a form that costs a layer more."""
    x = site.image(0)
    sizes = x.shape[2:]
    found = windows.of_node(site, site.spatial(site.attrs["ksize"]), sizes)
    average = site.node.op == "AvgPool"
    if not any(map(any, found.pads)):
        if set(found.kernel) == set(found.strides) == {1}:
            return x
        if found.kernel == sizes:
            site.fixes(x)
            top = site.layer("Pooling", x, hint="pool", pool=_kind(average), global_pooling=True)
            return site.image_of(top)
    if site.attrs.get("fixes"):
        site.fixes(x)
    if max(found.strides) > 1:
        site.changes_by(x, found.strides)  # Caffe rounds up
    if average:
        return _average(site, x, found)
    if set(found.kernel) == {1} and _rounding(site, False, found, sizes) is None:
        return _weighted(site, x, found)  # picks numbers, as a convolution does without cutting
    return _maximum(site, x, found)


@no_op("MaxPool3D", "AvgPool3D")
def three_dimensional(site: Site) -> Value:
    """Refused."""
    raise site.refusal(
        "Caffe's Pooling has two spatial axes; pool by a strided Conv3D, or cut the net before it "
        "with --outputs"
    )


def _kind(average: bool) -> str:
    return "AVE" if average else "MAX"


def _made(found: Windows, sizes: Sequence[int], ceil: bool = True) -> tuple[int, ...]:
    """How many windows Caffe makes with the pads in front on both sides."""
    fronts = [before for before, _ in found.pads]
    return tuple(
        pooled_size(size, k, s, p, ceil=ceil, clip=any(fronts))
        for size, k, s, p in zip(sizes, found.kernel, found.strides, fronts, strict=True)
    )


def _pool(
    site: Site, x: Value, average: bool, found: Windows, rounding: Mapping[str, str]
) -> Value:
    none = ((0, 0),) * len(found.kernel)
    fields = {**found.fields(none), **rounding}
    return site.image_of(site.layer("Pooling", x, hint="pool", pool=_kind(average), **fields))


def _rounding(
    site: Site, average: bool, found: Windows, sizes: Sequence[int]
) -> Mapping[str, str] | None:
    """The field with which Caffe makes TensorFlow's windows and no more; None if none does."""
    if not all(0 <= p < k for (p, _), k in zip(found.pads, found.kernel, strict=True)):
        return None
    wanted = found.counts(sizes)
    if _made(found, sizes) == wanted and _allowed(site, average, found, sizes):
        return {}
    down = {"round_mode": "FLOOR"}
    fits = _made(found, sizes, ceil=False) == wanted
    return down if fits and site.dialect.allows("Pooling", round_mode="FLOOR") else None


def _allowed(site: Site, average: bool, found: Windows, sizes: Sequence[int]) -> bool:
    if site.dialect.allows("Pooling", overhang=True):
        return True
    pads = [before for before, _ in found.pads]
    return not overhang(average, sizes, found.kernel, found.strides, pads)


def _maximum(site: Site, x: Value, found: Windows) -> Value:
    """Caffe's windows may be more at either end, as whole strides; what is too many is cut off."""
    sizes = x.shape[2:]
    rounding = _rounding(site, False, found, sizes)
    if rounding is not None:
        return _pool(site, x, False, found, rounding)
    wanted = found.counts(sizes)
    choices = [
        [
            m
            for m in range(kernel)
            if 0 <= before + m * stride < kernel  # Caffe wants pads smaller than kernels
        ]
        for (before, _), kernel, stride in zip(found.pads, found.kernel, found.strides, strict=True)
    ]
    for fronts in sorted(product(*choices), key=sum):
        pads = tuple(
            (before + m * s,) * 2
            for m, (before, _), s in zip(fronts, found.pads, found.strides, strict=True)
        )
        larger = replace(found, pads=pads)
        spare = [
            made - m - want
            for made, m, want in zip(_made(larger, sizes), fronts, wanted, strict=True)
        ]
        if min(spare) >= 0 and _allowed(site, False, larger, sizes):
            y = _pool(site, x, False, larger, {})
            return padded(site, y, [(-m, -s) for m, s in zip(fronts, spare, strict=True)])
    return _maximum(site, *_trimmed(site, x, found))


def _trimmed(site: Site, x: Value, found: Windows) -> tuple[Value, Windows]:
    """An image that the windows fill, and windows with the pads that are left.

    What no window reads is cut off, or so many zeros are added that Caffe drops no window.
    Zeros are as good as pads where no number is below them.

    Raises:
        UnsupportedError: there is nothing to cut or to pad.
    """
    zeros_do = never_negative(site.node.inputs[0], site.graph)
    sides, pads = [], []
    for size, count, stride, kernel, (before, _) in zip(
        x.shape[2:], found.counts(x.shape[2:]), found.strides, found.kernel, found.pads, strict=True
    ):
        pair = (before, (count - 1) * stride + kernel - before - size)
        front, behind = (0, 0) if zeros_do else (max(pair[0], 0), max(pair[1], 0))
        spare = 0 if zeros_do or behind else -front % stride
        sides.append((pair[0] - front, pair[1] - behind + spare))
        pads.append((front, behind - spare))
    if not any(map(any, sides)):
        raise _unsayable(site, found)
    return padded(site, x, sides), replace(found, pads=tuple(pads))


def _average(site: Site, x: Value, found: Windows) -> Value:
    """A Pooling, or a depthwise convolution; then a factor for each place where divisors differ.

    TensorFlow divides by what of a window lies on the image; by all of it where the pads are a
    Pad's (attribute `counts_pads`); or by `divisors`. Caffe counts its pads, but not what
    reaches beyond them.
    """
    sizes = x.shape[2:]
    real = _divisors(found, sizes, [(0, 0)] * len(sizes))
    if site.attrs.get("counts_pads"):
        real = site.attrs.get("divisors", np.full_like(real, prod(found.kernel)))
    fronts = [(before, before) for before, _ in found.pads]
    rounding = _rounding(site, True, found, sizes)
    pooled = _divisors(found, sizes, fronts) / real
    summed = prod(found.kernel) / real
    if rounding is not None and (np.all(pooled == 1) or np.any(summed != 1)):
        y, factors = _pool(site, x, True, found, rounding), pooled
    else:
        y, factors = _weighted(site, x, found), summed
    if np.all(factors == 1):
        return y
    return scaled_map(site, y, factors.astype(np.float32), hint="border")


def _divisors(found: Windows, sizes: Sequence[int], pads: Sequence[tuple[int, int]]) -> np.ndarray:
    """How many numbers of each window lie on the image, or on it and these pads."""
    counts = []
    for size, count, k, s, (front, _), (before, after) in zip(
        sizes, found.counts(sizes), found.kernel, found.strides, found.pads, pads, strict=True
    ):
        starts = np.arange(count) * s - front
        inside = np.minimum(starts + k, size + after) - np.maximum(starts, -before)
        counts.append(np.maximum(inside, 1))
    rows, columns = counts
    return np.outer(rows, columns)


def _weighted(site: Site, x: Value, found: Windows) -> Value:
    """The mean of each window, zeros around the image, as a depthwise convolution."""
    x, found, more = even(site, x, found, across=1)
    kernel = zero_rows(np.full(found.kernel, 1 / prod(found.kernel), np.float32), more, behind=0)
    return site.image_of(depthwise(site, x, kernel, "pool", **found.fields(more)))


def _unsayable(site: Site, found: Windows) -> UnsupportedError:
    return site.refusal(
        f"windows of {list(found.kernel)} with the pads {[list(p) for p in found.pads]} are none "
        "of Caffe's Pooling, whose pads are even and smaller than its kernel; use padding SAME or "
        "VALID"
    )
