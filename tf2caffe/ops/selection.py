"""Comparisons with constants, and choices by them: blobs of 0 and 1."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.net import axes
from tf2caffe.net.broadcast import eltwise, filled, spread
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.affine import affine
from tf2caffe.ops.elementwise import absolute
from tfcaffe.layout import Layout

# Ops that can make infinities or NaN of finite numbers: no factor of 0 takes those away.
_WILD = {"Log", "Log1p", "Exp", "Expm1", "Sqrt", "Rsqrt", "Reciprocal", "RealDiv", "Pow"}
_CHOICES = ("MaxPool", "Max", "Min", "Reshape", "Squeeze", "ExpandDims", "Tile", "BroadcastTo")

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
    x, bound = filled(site, x, Tensor(site.node).shape), np.asarray(c, np.float64)
    if name in ("Less", "GreaterEqual"):
        x, bound = site.power(x, scale=-1.0, hint="neg"), -bound
    if bound.size > 1:
        x, bound = affine(site, x, 1.0, -bound), np.zeros(())
    top = site.layer("Threshold", x, hint="above", threshold=float(bound.reshape(-1)[0]))
    y = site.like(top, x)
    return y if name in ("Greater", "Less") else _not(site, y)


@op("Equal", "NotEqual")
def equal(site: Site) -> Value:
    """Whether |x - y| is above 0: the difference of two floats is 0 only if they are equal.

    Raises:
        UnsupportedError: both are computed; Caffe's may differ in the last digit.
    """
    if not _comparable(site.graph, *site.node.inputs):
        raise site.refusal(
            "tells whether computed numbers are equal, which the rounding of their last digits "
            "decides; write abs(x - y) < a bound, or cut the net before it with --outputs"
        )
    if site.is_constant(0) or site.is_constant(1):
        c = 0 if site.is_constant(0) else 1
        x = affine(site, site.value(1 - c), 1.0, -np.asarray(site.constant(c), np.float64))
    else:
        x = eltwise(site, site.value(0), site.value(1), "SUB")
    y = _nonzero(site, x)
    return y if site.node.op == "NotEqual" else _not(site, y)


def _nonzero(site: Site, x: Value) -> Value:
    """1 where a number is not 0."""
    return site.like(site.layer("Threshold", absolute(site, x), hint="apart", threshold=0.0), x)


@op("OneHot")
def one_hot(site: Site) -> Value:
    """The fourth input, but the third where the place along a new dimension is the index."""
    x, (on, off) = site.value(0), (float(site.constant(i)) for i in (2, 3))
    shape = Tensor(site.node).shape
    at = int(site.attrs["axis"]) % len(shape)
    opened = axes.reshaped(x.layout, [1 if d == at else size for d, size in enumerate(shape)])
    assert opened is not None
    full = Layout.of_tensor(shape) if len(shape) in (4, 5) else Layout.caffe(shape)
    x = spread(site, Value(x.blob, opened), full)
    index = np.arange(shape[at]).reshape([-1 if d == at else 1 for d in range(len(shape))])
    return affine(site, _nonzero(site, affine(site, x, 1.0, -index)), off - on, on)


@op("Cast")
def cast(site: Site) -> Value:
    """To truths; any other that is left cuts decimals off."""
    if site.attrs["DstT"].is_bool:
        return _nonzero(site, site.value())
    if site.attrs["DstT"].is_floating:
        raise site.refusal(
            f"rounds to {site.attrs['DstT'].name}, which no layer of stock Caffe does; convert the "
            "model as it was before it was quantised, or cut the net before it with --outputs"
        )
    raise site.refusal(
        f"makes whole numbers ({site.attrs['DstT'].name}) of others, and no layer of stock Caffe "
        "rounds; cut the net before it with --outputs"
    )


def _comparable(graph: Graph, a: Tensor, b: Tensor) -> bool:
    """Whether they are whole, fed, or chosen out of the same numbers, or a ReLU's and 0."""
    if not any("float" in t.node.dtypes[t.index] for t in (a, b)):
        return True
    roots = []
    for tensor in (a, b):
        while tensor.op in _CHOICES:
            tensor = tensor.node.inputs[0]
        roots.append(tensor)
    zeros = [t for t in roots if t.op == "Relu" or graph.number(t) == 0]
    given = [t for t in roots if t.op == "Placeholder" or graph.is_constant(t)]
    return roots[0] == roots[1] or len(zeros) == 2 or len(given) == 2


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
    """a · mask + b · (1 - mask) where both are finite for certain.

    Raises:
        UnsupportedError: what is not chosen could be infinite.
    """
    for index in (1, 2):
        if (wild := _wild(site.graph, site.node.inputs[index])) is not None:
            raise site.refusal(
                f"{wild} may be infinite where it is not chosen, and stock Caffe chooses by "
                "products with 0 and 1; bound its input, or cut the net with --outputs"
            )
    if site.is_constant(0):
        return _by_constant(site)
    for index in (1, 2):
        if site.is_constant(index) and not np.all(np.isfinite(site.constant(index))):
            raise site.refusal(
                f"its input {index} has numbers that are not finite, and stock Caffe chooses by "
                "products with 0 and 1; use finite ones"
            )
    mask = _along_rows(site, site.value(0))
    a, b = site.is_constant(1), site.is_constant(2)
    if a and b:
        one, two = (np.asarray(site.constant(i), np.float32) for i in (1, 2))
        if np.array_equal((one - two) + two, np.broadcast_to(one, (one - two).shape)):
            return affine(site, mask, np.asarray(one, np.float64) - two, two)
    parts = []
    for index in (1, 2):  # each alone: next to a -1e9 all digits of the other would be lost
        constant = site.constant(index) if site.is_constant(index) else None
        if constant is None:
            truth = mask if index == 1 else _not(site, mask)
            parts.append(eltwise(site, truth, site.value(index), "PROD"))
        elif constant.any():
            scale, shift = (constant, 0.0) if index == 1 else (-constant, constant)
            parts.append(affine(site, mask, scale, shift))
    chosen = parts[0] if len(parts) == 1 else eltwise(site, parts[0], parts[1], "SUM")
    return filled(site, chosen, Tensor(site.node).shape)  # zeros are left out


def _along_rows(site: Site, mask: Value) -> Value:
    """Select, other than SelectV2, takes a vector as one truth for each row."""
    rank = len(Tensor(site.node).shape)
    if site.node.op != "Select" or len(mask.tf_shape) != 1 or rank < 2:
        return mask
    layout = axes.reshaped(mask.layout, [mask.tf_shape[0], *[1] * (rank - 1)])
    assert layout is not None
    return Value(mask.blob, layout)


def _by_constant(site: Site) -> Value:
    """a · mask + b · (1 - mask)."""
    mask = site.constant(0)
    rank = len(Tensor(site.node).shape)
    if site.node.op == "Select" and mask.ndim == 1:
        mask = mask.reshape(-1, *[1] * (rank - 1))
    parts, term = [], np.zeros(())
    for index, chosen in ((1, mask), (2, ~mask)):
        if site.is_constant(index):
            term = term + np.where(chosen, site.constant(index), 0.0)
        else:
            parts.append((site.value(index), chosen))
    (x, chosen), *others = parts
    y = affine(site, x, chosen.astype(float), term)
    for x, chosen in others:
        y = eltwise(site, y, affine(site, x, chosen.astype(float)), "SUM")
    return y


def _wild(graph: Graph, tensor: Tensor) -> Node | None:
    """A node before a tensor, of the same shape, that can make something infinite."""
    stack, seen = [tensor.node], {tensor.node}
    while stack:
        here = stack.pop()
        if here.op in _WILD and not _whole_power(graph, here):
            return here
        for t in here.inputs:
            if t.node not in seen and t.node.shapes == here.shapes and not graph.is_constant(t):
                seen.add(t.node)
                stack.append(t.node)
    return None


def _whole_power(graph: Graph, node: Node) -> bool:
    """Whether it is x², x³ and so on."""
    exponent = graph.number(node.inputs[1]) if node.op == "Pow" else None
    return exponent is not None and exponent >= 1 and exponent % 1 == 0
