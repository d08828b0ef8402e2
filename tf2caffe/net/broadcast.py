"""Two values of the net of which one is smaller: what TensorFlow broadcasts, and Caffe does not."""

from __future__ import annotations

from math import prod

import numpy as np

from tf2caffe.net import axes, windows
from tf2caffe.net.factors import apart, axes_of, of_dimensions, run_of, shrunk
from tf2caffe.net.linear import depthwise, inner_product, pointwise
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tfcaffe.layout import Layout

_TWO_BOTTOMS = {"PROD": "Scale", "SUM": "Bias", "SUB": "Bias"}


def eltwise(site: Site, a: Value, b: Value, operation: str) -> Value:
    """PROD, SUM, SUB or MAX of two values, one of which may be broadcast over the other.

    One number for each of a blob's first axes is the second bottom of a Scale or Bias; anything
    else is spread over the other blob first.
    """
    shape = np.broadcast_shapes(a.tf_shape, b.tf_shape)
    a, b = _with_rank(a, len(shape)), _with_rank(b, len(shape))
    layout = next((v.layout for v in (a, b) if v.tf_shape == shape), None)
    if layout is None:  # each is the smaller one somewhere
        layout = _plain(shape, a)
    elif a.tf_shape != b.tf_shape:
        found = _by_coefficient(site, a, b, operation, layout)
        if found is not None:
            return found
    a, b = spread(site, a, layout), spread(site, b, layout)
    if a.layout != b.layout:
        b = site.to(b, a.layout)
    if operation == "SUB":
        return site.difference(a, b)
    top = site.layer("Eltwise", a, b, hint=operation.lower(), operation=operation)
    return site.like(top, a)


def filled(site: Site, x: Value, shape: tuple[int, ...]) -> Value:
    """A value repeated until it has a shape that it broadcasts to."""
    x = _with_rank(x, len(shape))
    return x if x.tf_shape == shape else spread(site, x, _plain(shape, x))


def _plain(shape: tuple[int, ...], like: Value) -> Layout:
    """One axis for each dimension; the channels on axis 1 if `like` has them there."""
    if len(shape) in (4, 5) and like.plain() != Layout.caffe(like.tf_shape):
        return Layout.of_tensor(shape)
    return Layout.caffe(shape)


def _with_rank(value: Value, rank: int) -> Value:
    """The value with dimensions of size 1 in front."""
    layout = axes.reshaped(value.layout, axes.ranked(value.tf_shape, rank))
    assert layout is not None
    return Value(value.blob, layout)


def _by_coefficient(site: Site, a: Value, b: Value, operation: str, layout: Layout) -> Value | None:
    """A Scale or Bias of two bottoms, where the smaller value's axes stand side by side.

    Source: scale_layer.cpp, Reshape: the second bottom's shape is the first's from `axis` on.
    """
    kind = _TWO_BOTTOMS.get(operation, "")
    data, small = (a, b) if a.layout is layout else (b, a)
    over = _over(small, layout)
    full = apart(layout, over)
    shape = axes.fixed(full.shape)
    spread_axes = axes_of(full, over)
    # The batch counts also where it is 1, so that Caffe may take another later.
    kept = [i for i, size in enumerate(shape) if (size != 1 or not i) and i not in spread_axes]
    first, end = (kept[0], kept[-1] + 1) if kept else (0, 1)
    if any(first <= axis < end for axis in spread_axes) or prod(shape[end:]) == 1:
        return None
    if spread_axes == [1]:  # a 1x1 Convolution spreads as cheaply, and every reader takes that
        return None
    if not kind or not site.dialect.allows(kind, bottoms=2, axis=first):
        return None
    small = _plain_blob(site, small, shrunk(full, over))
    if operation == "SUB" and data is a:
        small = site.power(small, scale=-1.0, hint="neg")
    elif operation == "SUB":
        data = site.power(data, scale=-1.0, hint="neg")
    data = site.to(data, full)
    top = site.layer(
        kind, data, site.reshape(small, shape[first:end]), hint=kind.lower(), axis=first
    )
    return site.like(top, data)


def _plain_blob(site: Site, value: Value, want: Layout) -> Value:
    """A blob with the numbers in this order, in any shape."""
    if not axes.alike(value.layout, want):
        value = site.to(value, want)
    return value.blob.raw


def _over(small: Value, layout: Layout) -> set[int]:
    """The factors of a layout that a value lacks."""
    return of_dimensions(layout, [d for d, size in enumerate(small.tf_shape) if size == 1])


def spread(site: Site, small: Value, layout: Layout) -> Value:
    """A value repeated until it fills a layout, some of whose dimensions it has with size 1."""
    over = _over(small, layout)
    if not over:
        return small
    full = apart(layout, over)
    shape = axes.fixed(full.shape)
    left = axes_of(full, over)
    sizes = [1 if axis in left else size for axis, size in enumerate(shape)]
    y = _plain_blob(site, small, shrunk(full, over))
    while left:
        spatial = [axis for axis in left if axis in (2, 3)] if len(shape) == 4 else []
        run = run_of(spatial or left, shape)
        left = [axis for axis in left if axis not in run]
        y = _over_run(site, site.reshape(y, sizes), run, shape)
        sizes = [shape[i] if i in run else size for i, size in enumerate(sizes)]
    return Value(site.reshape(y, sizes).blob, full)


def _over_run(site: Site, y: Value, run: range, shape: tuple[int, ...]) -> Value:
    """Over neighbouring axes; the shape of what comes is anything with these numbers.

    Layers of ones: no reader of Caffe's files takes Tile (OpenCV and MNN do not).
    """
    length = prod(shape[axis] for axis in run)
    if run.start == 1 and len(shape) > 2 and shape[1] == length:
        return pointwise(site, y, np.ones((length, 1), np.float32), "spread")
    to_end = run.start > 0 and run.stop == len(shape)
    if to_end and len(shape) != 4 and site.dialect.allows("InnerProduct", axis=run.start):
        return inner_product(site, y, np.ones((length, 1), np.float32), run.start, "spread")
    if len(shape) == 4 and run.start > 1:
        kernel = [shape[axis] if axis in run else 1 for axis in (2, 3)]
    else:
        outer = [y.shape[0], prod(y.shape[1 : run.start])] if run.start else [1, 1]
        y = site.reshape(y, [*outer, 1, prod(y.shape[run.stop :])])
        kernel = [length, 1]
    ones, fields = np.ones(kernel, np.float32), windows.fields(kernel=kernel, stride=kernel)
    return depthwise(site, y, ones, "spread", "Deconvolution", **fields).raw
