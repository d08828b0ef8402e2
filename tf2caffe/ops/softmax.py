"""Softmax and its logarithm, over any dimensions."""

from __future__ import annotations

from math import prod

from tf2caffe.net import axes
from tf2caffe.net.broadcast import eltwise
from tf2caffe.net.factors import apart, axes_of, of_dimensions, run_of
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.reduction import reduce
from tfcaffe.layout import Layout


@op("Softmax")
def softmax(site: Site) -> Value:
    """Over the last dimension, or over those that a pattern found."""
    x = site.value()
    rank = len(x.tf_shape)
    over = sorted({int(d) % rank for d in site.attrs.get("over") or [-1]})
    if prod(x.tf_shape[d] for d in over) == 1:
        if any((x.axis_of(d) or 0) > 1 for d in over):
            site.fixes(x)
        return site.power(x, scale=0.0, shift=1.0, hint="one")
    run = _run(x, over)
    if run is None:
        kept = [d for d in range(rank) if d not in over]
        order = [*kept, *over]
        layout = Layout(
            tuple((x.tf_shape[d],) for d in order), tuple((order.index(d),) for d in range(rank))
        )
        x = site.to(x, layout)
        run = range(len(kept), rank)
    x = site.to(x, apart(x.layout, of_dimensions(x.layout, over)))
    shape, axis = x.shape, run.start
    if sum(shape[a] != 1 for a in run) == 1:
        axis = next(a for a in run if shape[a] != 1)
        return site.like(site.layer("Softmax", x, hint="softmax", axis=axis), x)
    y = site.reshape(x, _merged(shape, run))
    y = Value(site.layer("Softmax", y, hint="softmax", axis=axis), y.layout)
    return Value(site.reshape(y, shape).blob, x.layout)


def _merged(shape: tuple[int, ...], run: range) -> tuple[int, ...]:
    return (*shape[: run.start], prod(shape[a] for a in run), *shape[run.stop :])


def _run(x: Value, over: list[int]) -> range | None:
    """The blob's axes that hold these dimensions, if they stand side by side."""
    factors = of_dimensions(x.layout, over)
    layout = apart(x.layout, factors)
    found = axes_of(layout, factors)
    run = run_of(found, axes.fixed(layout.shape))
    return run if set(found) <= set(run) else None


@op("LogSoftmax")
def log_softmax(site: Site) -> Value:
    """(x - max) - log(sum(exp(x - max))): the logarithm of a Softmax would be of 0."""
    x = site.value()
    last = [len(x.tf_shape) - 1]
    below = eltwise(site, x, reduce(site, x, last, "max"), "SUB")
    total = reduce(site, site.like(site.layer("Exp", below, hint="exp"), below), last, "sum")
    return eltwise(site, below, site.like(site.layer("Log", total, hint="log"), total), "SUB")
