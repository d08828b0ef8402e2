"""Sums, products and the like of two values, and the larger or smaller one of them."""

from __future__ import annotations

from functools import reduce

import numpy as np

from tf2caffe.graph import Array
from tf2caffe.ops import op
from tf2caffe.ops.affine import affine
from tf2caffe.ops.broadcast import eltwise
from tf2caffe.site import Site, Value

_NEAR = 32  # a bound up to here loses no digits of the numbers that it lets pass


@op("AddV2", "Add")
def add(site: Site) -> Value:
    """x + y."""
    if site.node.inputs[0] == site.node.inputs[1]:
        return site.power(site.value(0), scale=2.0, hint="double")
    return eltwise(site, site.value(0), site.value(1), "SUM")


@op("AddN", "AccumulateNV2")
def add_all(site: Site) -> Value:
    """The sum of any number of values, two by two: not every reader takes three bottoms."""
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
    return site.power(difference, power=2.0, hint="square")


@op("Mul")
def multiply(site: Site) -> Value:
    """x · y."""
    if site.node.inputs[0] == site.node.inputs[1]:
        return site.power(site.value(0), power=2.0, hint="square")
    return eltwise(site, site.value(0), site.value(1), "PROD")


@op("RealDiv")
def divide(site: Site) -> Value:
    """x / y for a y that varies: x · y⁻¹."""
    if not site.is_constant(0):
        return eltwise(site, site.value(0), _inverse(site, site.value(1)), "PROD")
    numbers = np.asarray(site.constant(0), np.float64)
    if numbers.size == 1 and numbers.flat[0] != 0:
        return site.power(
            site.value(1), scale=1 / float(numbers.flat[0]), power=-1.0, hint="inverse"
        )
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
    """max(x, c) = relu(x - c) + c, or min(x, c) = c - relu(c - x).

    A far bound on the side where most numbers are would take their digits; there it is a constant
    blob that is compared.
    """
    c = np.asarray(bound, np.float64)
    sign = 1.0 if lower else -1.0
    if np.all(c == -sign * np.inf):
        return x
    if np.all(np.isfinite(c)) and np.all(-sign * c <= _NEAR):
        above = affine(site, x, sign, -sign * c, hint="bound")
        kept = site.like(site.layer("ReLU", above, hint="relu"), above)
        return affine(site, kept, sign, c, hint="bound")
    turned = affine(site, x, sign, hint="neg")
    held = affine(site, x, np.zeros_like(c), sign * c, hint="bound")
    return affine(site, eltwise(site, turned, held, "MAX"), sign, hint="neg")
