"""Normalisation by constants, and by a value's own moments."""

from __future__ import annotations

from math import prod

import numpy as np

from tf2caffe.graph import Array, Tensor
from tf2caffe.net import axes
from tf2caffe.net.batch import joined
from tf2caffe.net.broadcast import eltwise
from tf2caffe.net.factors import apart, axes_of, of_dimensions, run_of
from tf2caffe.net.site import Site
from tf2caffe.net.value import Numbers, Value
from tf2caffe.ops import op
from tf2caffe.ops.affine import affine
from tf2caffe.ops.reduction import reduce
from tf2caffe.patterns.normalisation import FUSED
from tfcaffe.layout import Layout


@op(*FUSED)
def fused(site: Site) -> Value:
    """x, gamma, beta, mean, variance; in training mode by the moments of the batch itself."""
    if site.attrs.get("is_training"):
        return _by_batch(site)
    x = site.image(0)
    return normalised(site, x, 3, 4, 1, 2, float(site.attrs["epsilon"]))


def _by_batch(site: Site) -> Value:
    others = [Tensor(site.node, i) for i in range(1, len(site.node.shapes))]
    if any(site.builder.readers.get(t) or t in site.graph.outputs.values() for t in others):
        raise site.refusal(
            "normalises by the statistics of the batch (is_training), and others read these; "
            "export the network for inference"
        )
    x = site.value(0)
    rank = len(x.tf_shape)
    channel = rank - 1 if site.channels_last else 1
    over = [d for d in range(rank) if d != channel]
    shape = (-1, *[1] * (rank - 1 - channel))
    gamma, beta = (site.constant(i).reshape(shape) for i in (1, 2))
    joined(site, x, over, "normalises by the statistics of the batch (is_training)")
    return _standardised(site, x, over, float(site.attrs["epsilon"]), gamma, beta)


@op("batchNorm")
def decomposed(site: Site) -> Value:
    """x, mean, variance, and what the attributes `gamma` and `beta` say, along `axis`."""
    x, axis = site.value(0), site.attrs["axis"]
    given, eps = (site.attrs["gamma"], site.attrs["beta"]), site.attrs["eps"]
    if x.axis_of(axis) != 1:
        order = [0, axis, *(d for d in range(1, len(x.tf_shape)) if d != axis)]
        sizes = tuple((x.tf_shape[d],) for d in order)
        want = Layout(sizes, tuple((order.index(d),) for d in range(len(order))))
        if not axes.alike(x.layout, want):
            return _as_scale(site, x, given, eps)
        x = site.to(x, want)
    return normalised(site, x, 1, 2, *given, eps)


def _as_scale(site: Site, x: Value, given: tuple[int | None, int | None], eps: float) -> Value:
    """Where the numbers do not lie on the blob's axis 1: a factor and a term for each."""
    gamma, beta = (None if i is None else site.constant(i).astype(np.float64) for i in given)
    factor = 1 / np.sqrt(site.constant(2).astype(np.float64) + eps)
    factor = factor if gamma is None else factor * gamma
    term = -site.constant(1) * factor
    return affine(site, x, factor, term if beta is None else term + beta, learned=True, hint="bn")


def normalised(
    site: Site,
    x: Value,
    mean: int,
    variance: int,
    gamma: int | None,
    beta: int | None,
    eps: float,
) -> Value:
    """BatchNorm and, right behind it, its Scale; without gamma and beta, the BatchNorm alone.

    The node's inputs are given by number.
    """
    own = site.dialect.eps
    more = 0.0 if own is None else eps - own

    def read_variance() -> Array:
        numbers = site.constant(variance).reshape(-1)
        return (numbers.astype(np.float64) + more).astype(np.float32) if more else numbers

    def read(index: int | None, usual: float) -> Numbers:
        if index is None:
            return np.full(x.shape[1], usual, np.float32)
        return lambda: site.constant(index).reshape(-1)

    top = site.layer(
        "BatchNorm",
        x,
        weights={"mean": read(mean, 0), "variance": read_variance},
        hint="bn",
        use_global_stats=True,
        eps=eps if own is None else own,
    )
    if gamma is None and beta is None:
        return site.like(top, x)
    numbers = {"gamma": read(gamma, 1)} | ({} if beta is None else {"beta": read(beta, 0)})
    scale = site.layer(
        "Scale",
        top.raw,
        caffe=numbers,
        hint="scale",
        bias_term="beta" in numbers,
    )
    return site.like(scale, x)


@op("standardise")
def standardise(site: Site) -> Value:
    """(x - mean) · (variance + eps)^-½ · gamma + beta over the dimensions `over` of x.

    MVN alone is wrong: it adds eps behind the root (mvn_layer.cpp).
    """
    given = (site.attrs[name] for name in ("gamma", "beta"))
    gamma, beta = (None if i is None else site.constant(i) for i in given)
    x, over = site.value(0), site.attrs["over"]
    joined(site, x, over, "normalises by the statistics of the batch")
    return _standardised(site, x, over, site.attrs["eps"], gamma, beta)


def _standardised(
    site: Site, x: Value, over: list[int], eps: float, gamma: Array | None, beta: Array | None
) -> Value:
    y = _rows(site, x, over, eps) or _anywhere(site, x, over, eps)
    if gamma is None and beta is None:
        return y
    factor = np.ones(()) if gamma is None else gamma
    term = np.zeros(()) if beta is None else beta
    return affine(site, y, factor, term, learned=True)


def _anywhere(site: Site, x: Value, over: list[int], eps: float) -> Value:
    """Means by layers of one weight, spread over x again."""
    centred = eltwise(site, x, reduce(site, x, over, "mean"), "SUB")
    variance = reduce(site, site.square(centred), over, "mean")
    inverse = site.power(variance, shift=eps, power=-0.5, hint="inverse")
    return eltwise(site, centred, inverse, "PROD")


def _rows(site: Site, x: Value, over: list[int], eps: float) -> Value | None:
    """Where the axes are the last ones: MVN takes away the mean, a Scale multiplies each row."""
    factors = of_dimensions(x.layout, over)
    full = apart(x.layout, factors)
    shape = axes.fixed(full.shape)
    found = axes_of(full, factors)
    if not found or found[0] == 0:
        return None
    run = run_of(found, shape)
    if run.stop != len(shape) or not set(found) <= set(run) or found == [1]:
        return None
    if not (site.dialect.has("MVN") and site.dialect.allows("Scale", bottoms=2, axis=0)):
        return None
    rows, length = prod(shape[1 : run.start]), prod(shape[run.start :])
    y = x.blob.raw
    if not (len(x.shape) == 4 and x.shape[1] == rows):
        y = site.reshape(y, (x.shape[0], rows, length, 1))
    y = Value(site.layer("MVN", y, hint="centred", normalize_variance=False), y.layout)
    square = site.square(y)
    pooled = site.layer("Pooling", square, hint="variance", pool="AVE", global_pooling=True)
    small = site.reshape(pooled.raw, (shape[0], rows))
    small = site.power(small, shift=eps, power=-0.5, hint="inverse")
    y = Value(site.layer("Scale", y, small, hint="standardised", axis=0), y.layout)
    return Value(site.reshape(y, x.shape).blob, x.layout)
