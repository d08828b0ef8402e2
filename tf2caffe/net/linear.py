"""Blobs whose numbers along one axis are weighted sums, or a choice, of what they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from tf2caffe.net import windows
from tf2caffe.net.site import Site
from tf2caffe.net.value import Blob, Numbers, Value
from tfcaffe.layout import Layout

_PIECES = 16  # slices that are joined again; more are more work than a product


def spread(site: Site, x: Value, dimensions: Sequence[int]) -> Value:
    """The tensor with each of these dimensions on an axis of its own, the first one's apart."""
    alone = all(len(axis) == 1 for axis in x.layout.axes)
    if alone and all(x.axis_of(d) is not None and (d == 0 or x.axis_of(d)) for d in dimensions):
        return x
    return site.to(x, x.plain())


def resized(x: Value, shape: Sequence[int]) -> Layout:
    """The layout of x, each of whose axes is one factor, with other sizes."""
    return Layout(tuple((size,) for size in shape), x.layout.dims)


def applied(site: Site, x: Value, matrices: Mapping[int, np.ndarray], hint: str) -> Value:
    """x times a matrix (old size x new size) along each of some axes of the blob."""
    for axis in sorted(matrices, reverse=True):
        x = _applied(site, x, axis, np.asarray(matrices[axis], np.float32), hint)
    return x


def _applied(site: Site, x: Value, axis: int, matrix: np.ndarray, hint: str) -> Value:
    new = matrix.shape[1]
    shape = (*x.shape[:axis], new, *x.shape[axis + 1 :])
    before, old, after = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    plain = x.blob.raw
    if after == 1:
        first = axis
        if axis > 1 and not site.dialect.allows("InnerProduct", axis=axis):
            plain, first = site.reshape(plain, (before, old)), 1
        made = inner_product(site, plain, matrix.T, first, hint)
    else:
        if axis != 1:
            plain = site.reshape(plain, (before, old, 1, after))
        made = pointwise(site, plain, matrix.T, hint)
    return Value(site.reshape(made, shape).blob, resized(x, shape))


def inner_product(site: Site, x: Value, matrix: np.ndarray, axis: int, hint: str) -> Value:
    """A matrix (outputs x inputs) times the numbers of each row of the axes from `axis` on."""
    top = site.layer(
        "InnerProduct",
        x,
        caffe={"weights": matrix},
        hint=hint,
        num_output=len(matrix),
        axis=axis,
        bias_term=False,
    )
    return top.raw


def pointwise(site: Site, x: Value, matrix: np.ndarray, hint: str) -> Value:
    """A matrix (outputs x inputs) times the numbers along axis 1: a Convolution of size 1."""
    batch, channels, *rest = x.shape
    if not site.dialect.allows("Convolution", axes=len(x.shape)):
        flat = site.reshape(x, [batch, channels, prod(rest), 1])
        return site.reshape(pointwise(site, flat, matrix, hint), [batch, len(matrix), *rest])
    top = site.layer(
        "Convolution",
        x,
        caffe={"weights": matrix.reshape(*matrix.shape, *(1,) * (len(x.shape) - 2))},
        hint=hint,
        num_output=len(matrix),
        **windows.fields(kernel=[1] * (len(x.shape) - 2)),
        bias_term=False,
    )
    return top.raw


def depthwise(
    site: Site,
    x: Value,
    kernel: np.ndarray,
    hint: str,
    kind: str = "Convolution",
    bias: Numbers | None = None,
    **fields: Any,
) -> Blob:
    """One kernel (of spatial axes alone) over each channel of a blob N, C, …

    Args:
        kind: Convolution or Deconvolution.
        bias: a number for each channel, added then.
    """
    channels = x.shape[1]
    numbers: dict[str, Numbers] = {"weights": np.broadcast_to(kernel, (channels, 1, *kernel.shape))}
    if bias is not None:
        numbers["bias"] = bias
    return site.layer(
        kind,
        x.blob.raw,
        caffe=numbers,
        hint=hint,
        num_output=channels,
        bias_term=bias is not None,
        group=channels,
        **fields,
    )


def chosen(site: Site, x: Value, axis: int, index: np.ndarray, hint: str) -> Value:
    """The rows of a blob's axis that `index` names, in its order."""
    size = x.shape[axis]
    if np.array_equal(index, np.arange(size)):
        return x
    ends = np.flatnonzero(np.diff(index) != 1) + 1
    runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(index, ends)]
    points = sorted({point for run in runs for point in run})
    whole = points[0] == 0 and points[-1] == size and len(points) <= _PIECES
    used = len({*index.tolist()}) == size or site.dialect.allows("Slice", ends=True)
    if axis > 1 and whole and used:
        return _joined(site, x, axis, runs, points, hint)
    return applied(site, x, {axis: np.eye(size, dtype=np.float32)[:, index]}, hint)


def _joined(
    site: Site,
    x: Value,
    axis: int,
    runs: Sequence[tuple[int, int]],
    points: Sequence[int],
    hint: str,
) -> Value:
    """Slices that take part of the axis each, put together anew."""
    parts = site.slices(x, axis, points[1:-1], f"{hint}_slice") if points[2:] else [x.blob.raw]
    order = [i for a, b in runs for i, p in enumerate(points[:-1]) if a <= p < b]
    top = site.layer("Concat", *[parts[i] for i in order], hint=hint, axis=axis)
    return Value(top, resized(x, top.shape))


def folds_scale(x: Value) -> bool:
    """Whether OpenCV folds a Scale behind a blob into the layer that made it, whatever its axis is.

    It fails there, or the numbers are wrong. Source: modules/dnn/src/layers, tryFuse.
    """
    maker, through = x.blob.maker, False
    while maker is not None and maker.type in ("BatchNorm", "Power", "Scale"):
        through = through or maker.type == "BatchNorm"
        maker = maker.bottoms[0].maker
    kernels = ("Convolution", "Deconvolution", "InnerProduct")
    return through or (maker is not None and maker.type in kernels)


def scaled_map(
    site: Site, x: Value, factors: np.ndarray, hint: str, terms: np.ndarray | None = None
) -> Value:
    """x times a number for each place in the last axes of the blob, which fixes their sizes.

    Then `terms` are added. The places are made one axis where readers need that.
    """
    count = factors.ndim
    axis = len(x.shape) - count
    numbers = {"gamma": factors} | ({} if terms is None else {"beta": terms})
    flat = x.blob.raw
    if folds_scale(x) or not site.dialect.allows("Scale", axis=axis, num_axes=count):
        flat = site.reshape(flat, (prod(x.shape[:axis]), factors.size))
        numbers = {role: array.reshape(-1) for role, array in numbers.items()}
        axis, count = 1, 1
    top = site.layer(
        "Scale",
        flat,
        caffe=numbers,
        hint=hint,
        axis=axis,
        num_axes=count,
        bias_term=terms is not None,
    )
    return site.like(site.reshape(top.raw, x.shape).blob, x)
