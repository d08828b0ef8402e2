"""Mean, sum, largest, smallest and product over any dimensions, and where the largest is."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tf2caffe.net import axes, windows
from tf2caffe.net.along import alone
from tf2caffe.net.batch import joined
from tf2caffe.net.factors import apart, axes_of, of_dimensions, run_of, shrunk
from tf2caffe.net.linear import inner_product, pointwise
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import no_op, op
from tf2caffe.ops.lookup import reordered
from tfcaffe.layout import Layout

_KINDS = {"Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min", "Prod": "prod"}
_KINDS |= {"Any": "max", "All": "min"}  # of zeros and ones


@op(*_KINDS)
def reduced(site: Site) -> Value:
    """Over the dimensions that the second input names."""
    x = site.value()
    rank = len(x.tf_shape)
    over = sorted({int(a) % rank for a in np.atleast_1d(site.constant(1))})
    joined(site, x, over)
    x = reduce(site, x, over, _KINDS[site.node.op])
    return x if site.attrs.get("keep_dims") else _without(x, over)


@op("ArgMax", "ArgMin")
def argmax(site: Site) -> Value:
    """ArgMax along an axis, from the last to the first; its numbers are whole, in float.

    Of equal numbers TensorFlow takes the first, Caffe the last (argmax_layer.cpp sorts pairs of
    value and place).
    """
    x = site.value()
    dimension = int(site.constant(1)) % len(x.tf_shape)
    last = x.tf_shape[dimension] - 1
    x, axis = alone(site, reordered(site, x, dimension, np.arange(last, -1, -1)), dimension)
    name = site.node.op.lower()
    if name == "argmin":
        x = site.power(x, scale=-1.0, hint="neg")
    top = site.layer("ArgMax", x, hint=name, axis=axis)
    places = Value(top, shrunk(x.layout, of_dimensions(x.layout, [dimension])))
    return _without(site.power(places, scale=-1.0, shift=last, hint="place"), [dimension])


@no_op("TopKV2", "TopK")
def top_k(site: Site) -> Value:
    """Refused: Caffe's ArgMax gives either values or places, and orders equal ones otherwise."""
    raise site.refusal(
        "stock Caffe has no layer that gives the places of the k largest in TensorFlow's order; "
        "use the values alone, or cut the net before it with --outputs"
    )


def _without(x: Value, over: Sequence[int]) -> Value:
    """A value without some dimensions of size 1."""
    shape = [size for d, size in enumerate(x.tf_shape) if d not in over]
    layout = axes.reshaped(x.layout, shape)
    assert layout is not None
    return Value(x.blob, layout)


def reduce(site: Site, x: Value, over: Sequence[int], kind: str) -> Value:
    """The value with these dimensions of size 1.

    Args:
        kind: mean, sum, max, min or prod.
    """
    gone = of_dimensions(x.layout, over)
    if any(x.tf_shape[d] == 1 and (x.axis_of(d) or 0) > 1 for d in over):
        site.fixes(x)  # a mean of one number is none
    if not gone:
        return x
    if kind == "min":
        turned = reduce(site, site.power(x, scale=-1.0, hint="neg"), over, "max")
        return site.power(turned, scale=-1.0, hint="neg")
    x = site.to(x, apart(x.layout, gone))
    y = x.blob.raw
    sizes = list(x.shape)
    left = axes_of(x.layout, gone)
    spatial = [a for a in left if a in (2, 3)]
    if len(sizes) == 4 and spatial and kind != "prod":
        if spatial != [2, 3] or kind == "sum":
            site.fixes(y)
        y = _pooled(site, y, kind, spatial)
        sizes = list(y.shape)
        left = [a for a in left if a not in spatial]
    while left:
        run = run_of(left, sizes)
        left = [a for a in left if a not in run]
        y = _over_run(site, site.reshape(y, sizes), run, kind)
        sizes = [1 if a in run else size for a, size in enumerate(sizes)]
    return Value(site.reshape(y, sizes).blob, shrunk(x.layout, gone))


def _over_run(site: Site, y: Value, run: range, kind: str) -> Value:
    """Over neighbouring axes; the shape of what comes is anything with these numbers."""
    shape = y.shape
    length = prod(shape[a] for a in run)
    if kind in ("mean", "sum") and run.start > 0:
        if len(shape) > 2 and shape[1] == length and run.start == 1:
            return pointwise(site, y, _row(kind, y.shape[1]), kind)
        if run.stop == len(shape) and site.dialect.allows("InnerProduct", axis=run.start):
            return inner_product(site, y, _row(kind, length), run.start, kind)
    inner = prod(shape[run.stop :])
    outer = [shape[0], prod(shape[1 : run.start])] if run.start else [1, 1]
    y = site.reshape(y, [*outer, length, inner])
    return _multiplied(site, y) if kind == "prod" else _pooled(site, y, kind, [2])


def _row(kind: str, count: int) -> np.ndarray:
    """What `count` numbers are multiplied by for their mean or sum."""
    return np.full((1, count), 1 / count if kind == "mean" else 1.0, np.float32)


def _pooled(site: Site, y: Value, kind: str, over: Sequence[int]) -> Value:
    """Over axes 2 and 3 of four, or one of them."""
    kernel = [y.shape[a] if a in over else 1 for a in (2, 3)]
    everywhere = kernel == list(y.shape[2:])
    top = site.layer(
        "Pooling",
        Value(y.blob, Layout.channels_last(y.shape)),
        hint="pool",
        pool="MAX" if kind == "max" else "AVE",
        **({"global_pooling": True} if everywhere else windows.fields(kernel=kernel)),
    )
    y = top.raw
    return site.power(y, scale=float(prod(kernel)), hint="sum") if kind == "sum" else y


def _multiplied(site: Site, y: Value) -> Value:
    """The product over axis 2 of four, by halves."""
    while (length := y.shape[2]) > 1:
        half = length // 2
        points = [half, 2 * half] if length % 2 else [half]
        first, second, *odd = site.slices(y, 2, points, "half")
        y = site.product(first, second)
        for last in odd:
            y = _joined(site, y, last) if half > 1 else site.product(y, last)
    return y


def _joined(site: Site, a: Value, b: Value) -> Value:
    top = site.layer("Concat", a, b, hint="concat", axis=2)
    return top.raw
