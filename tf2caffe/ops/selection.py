"""Comparisons with constants, and choices by them: blobs of 0 and 1."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.net.broadcast import eltwise
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.affine import affine

# Ops that can make infinities or NaN of finite numbers: no factor of 0 takes those away.
_WILD = {"Log", "Log1p", "Exp", "Expm1", "Sqrt", "Rsqrt", "Reciprocal", "Inv", "RealDiv", "Pow"}
_STEPS = 24

_TURNED = {"Greater": "Less", "Less": "Greater", "GreaterEqual": "LessEqual"}
_TURNED["LessEqual"] = "GreaterEqual"


@op(*_TURNED)
def compared(site: Site) -> Value:
    """Threshold: 1 where x > c. x ≥ c is where not -x > -c."""
    name = site.node.op
    if site.is_constant(0):
        name, x, c = _TURNED[name], site.value(1), site.constant(0)
    elif site.is_constant(1):
        x, c = site.value(0), site.constant(1)
    else:
        x, c = eltwise(site, site.value(0), site.value(1), "SUB"), np.zeros(())
    bound = np.asarray(c, np.float64)
    if name in ("Less", "GreaterEqual"):
        x, bound = site.power(x, scale=-1.0, hint="neg"), -bound
    if bound.size > 1:
        x, bound = affine(site, x, 1.0, -bound), np.zeros(())
    top = site.layer("Threshold", x, hint="above", threshold=float(bound.reshape(-1)[0]))
    y = site.like(top, x)
    return y if name in ("Greater", "Less") else _not(site, y)


def _not(site: Site, x: Value) -> Value:
    return site.power(x, scale=-1.0, shift=1.0, hint="not")


@op("LogicalNot")
def logical_not(site: Site) -> Value:
    """1 - x."""
    return _not(site, site.value())


@op("LogicalAnd")
def logical_and(site: Site) -> Value:
    """x · y."""
    return eltwise(site, site.value(0), site.value(1), "PROD")


@op("LogicalOr")
def logical_or(site: Site) -> Value:
    """The larger of x and y."""
    return eltwise(site, site.value(0), site.value(1), "MAX")


@op("SelectV2", "Select")
def select(site: Site) -> Value:
    """b + mask · (a - b) where both are finite for certain; mask · a where b is 0.

    Raises:
        UnsupportedError: what is not chosen could be infinite.
    """
    if site.is_constant(0):
        raise site.refusal("chooses by a constant mask; cut the net before it with --outputs")
    for index in (1, 2):
        if (wild := _wild(site.graph, site.node.inputs[index])) is not None:
            raise site.refusal(
                f"{wild} may be infinite where it is not chosen, and stock Caffe chooses by "
                "products with 0 and 1; bound its input, or cut the net with --outputs"
            )
    mask = site.value(0)
    a, b = site.is_constant(1), site.is_constant(2)
    if a and b:
        one, two = site.constant(1), site.constant(2)
        return affine(site, mask, np.asarray(one, np.float64) - two, two)
    if b:
        kept = affine(site, site.value(1), 1.0, -site.constant(2))
        return affine(site, eltwise(site, mask, kept, "PROD"), 1.0, site.constant(2))
    if a:
        kept = affine(site, site.value(2), 1.0, -site.constant(1))
        return affine(site, eltwise(site, _not(site, mask), kept, "PROD"), 1.0, site.constant(1))
    chosen = eltwise(site, mask, site.value(1), "PROD")
    return eltwise(site, chosen, eltwise(site, _not(site, mask), site.value(2), "PROD"), "SUM")


def _wild(graph: Graph, tensor: Tensor) -> Node | None:
    """A node before a tensor, of the same shape, that can make something infinite."""
    stack = [tensor]
    for _ in range(_STEPS):
        if not stack:
            return None
        here = stack.pop()
        if here.op in _WILD and not _whole_power(graph, here.node):
            return here.node
        stack += [
            t for t in here.node.inputs if t.node.shapes and t.node.shapes == here.node.shapes
        ]
    return None


def _whole_power(graph: Graph, node: Node) -> bool:
    """Whether it is x², x³ and so on."""
    exponent = graph.number(node.inputs[1]) if node.op == "Pow" else None
    return exponent is not None and exponent >= 1 and exponent % 1 == 0
