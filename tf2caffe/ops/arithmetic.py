"""Sums, products and the like of two values, and the larger or smaller one of them."""

from __future__ import annotations

from functools import reduce

import numpy as np

from tf2caffe.graph import Array, Tensor
from tf2caffe.net.broadcast import eltwise, filled
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.affine import affine


@op("AddV2")
def add(site: Site) -> Value:
    """x + y."""
    if site.node.inputs[0] == site.node.inputs[1]:
        return site.power(site.value(0), scale=2.0, hint="double")
    return eltwise(site, site.value(0), site.value(1), "SUM")


@op("AddN", "AccumulateNV2")
def add_all(site: Site) -> Value:
    """The sum of any number of values."""
    values = [site.value(i) for i in range(len(site.node.inputs))]
    return reduce(lambda a, b: eltwise(site, a, b, "SUM"), values)


@op("Sub")
def subtract(site: Site) -> Value:
    """x - y."""
    return eltwise(site, site.value(0), site.value(1), "SUB")


@op("SquaredDifference")
def squared_difference(site: Site) -> Value:
    """(x - y)²."""
    if site.is_constant(0) or site.is_constant(1):
        c = 0 if site.is_constant(0) else 1
        difference = affine(site, site.value(1 - c), 1.0, -site.constant(c))
    else:
        difference = eltwise(site, site.value(0), site.value(1), "SUB")
    return site.square(difference)


@op("Mul")
def multiply(site: Site) -> Value:
    """x · y."""
    if site.node.inputs[0] == site.node.inputs[1]:
        return site.square(site.value(0))
    return eltwise(site, site.value(0), site.value(1), "PROD")


@op("RealDiv")
def divide(site: Site) -> Value:
    """x / y for a y that varies: x · y⁻¹."""
    if not site.is_constant(0):
        return eltwise(site, site.value(0), _inverse(site, site.value(1)), "PROD")
    numbers = np.asarray(site.constant(0), np.float64)
    if numbers.size == 1 and numbers.flat[0] != 0:
        x = filled(site, site.value(1), Tensor(site.node).shape)
        return site.power(x, scale=1 / float(numbers.flat[0]), power=-1.0, hint="inverse")
    return affine(site, _inverse(site, site.value(1)), numbers)


@op("DivNoNan", "FloorDiv", "Div", "TruncateDiv", "FloorMod", "Mod")
def other_division(site: Site) -> Value:
    """Refused."""
    raise site.refusal(
        "stock Caffe has no layer that rounds a quotient or tests for 0; cut the net before it "
        "with --outputs, or divide plainly"
    )


def _inverse(site: Site, x: Value) -> Value:
    return site.power(x, power=-1.0, hint="inverse")


@op("Maximum")
def maximum(site: Site) -> Value:
    """The larger of two values, or no less than a constant."""
    for c in (0, 1):
        if site.is_constant(c):
            return bounded(site, site.value(1 - c), site.constant(c), lower=True)
    return eltwise(site, site.value(0), site.value(1), "MAX")


@op("Minimum")
def minimum(site: Site) -> Value:
    """The smaller of two values, or no more than a constant: -max(-x, -y)."""
    for c in (0, 1):
        if site.is_constant(c):
            return bounded(site, site.value(1 - c), site.constant(c), lower=False)
    a, b = (site.power(site.value(i), scale=-1.0, hint="neg") for i in (0, 1))
    return site.power(eltwise(site, a, b, "MAX"), scale=-1.0, hint="neg")


@op("ClipByValue")
def clip(site: Site) -> Value:
    """No less than the second input and no more than the third."""
    low = bounded(site, site.value(0), site.constant(1), lower=True)
    return bounded(site, low, site.constant(2), lower=False)


def bounded(site: Site, x: Value, bound: Array | float, *, lower: bool) -> Value:
    """max(x, c) = x + relu(c - x), or min(x, c) = x - relu(x - c): within the bound x itself.

    Chains like c - relu(c - x) need no second blob, but take the digits of what is far below c;
    where nothing is, above a c > 0 or below a c < 0, they keep those of c for an x far beyond.
    """
    c = np.asarray(bound, np.float64)
    x = filled(site, x, np.broadcast_shapes(x.tf_shape, c.shape))
    sign = 1.0 if lower else -1.0
    if np.all(c == -sign * np.inf):
        return x
    if not np.all(np.isfinite(c)):
        raise site.refusal("its bound is no number; use a finite one")
    if lower and not c.any():
        return site.like(site.layer("ReLU", x, hint="relu"), x)
    if np.all(sign * c > 0):
        within = affine(site, x, sign, -sign * c, hint="within")
        within = site.like(site.layer("ReLU", within, hint="relu"), within)
        return affine(site, within, sign, c)
    beyond = affine(site, x, -sign, sign * c, hint="beyond")
    beyond = site.like(site.layer("ReLU", beyond, hint="relu"), beyond)
    x = site.to(x, beyond.layout)
    return site.sum(x, beyond) if lower else site.difference(x, beyond)
