"""Activations that TensorFlow has written out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from tf2caffe.graph import Array, Graph, Node, Tensor
from tf2caffe.patterns import pattern
from tf2caffe.patterns.pooling import never_negative

_ARITHMETIC = ("AddV2", "Sub", "Mul", "RealDiv", "Neg", "Pow", "Square")
_DEPTH = 6
Polynomial = dict[tuple[Tensor, ...], float]  # what is multiplied (sorted), and its coefficient


@pattern("Mul", "RealDiv")
def gelu(node: Node, graph: Graph) -> bool:
    """x/2 · (1 + erf(x / √2)), x/2 · erfc(-x / √2), or the form with tanh, however written."""
    for inner in _within(Tensor(node), ("Erf", "Erfc", "Tanh"), 4):
        argument = inner.node.inputs[0]
        for x in _within(argument, (), _DEPTH):
            if graph.is_constant(x) or x.shape != Tensor(node).shape:
                continue
            whole = _expanded(Tensor(node), (x, inner), graph, _DEPTH)
            within = _expanded(argument, (x,), graph, _DEPTH)
            if whole is not None and within is not None and _is_gelu(whole, within, x, inner):
                node.op = "geluTanh" if inner.op == "Tanh" else "gelu"
                node.inputs, node.attrs = [x], {}
                return True
    return False


def _is_gelu(whole: Polynomial, within: Polynomial, x: Tensor, inner: Tensor) -> bool:
    half = math.sqrt(0.5)
    if inner.op == "Erfc":
        return _close(whole, {(x, inner): 0.5}) and _close(within, {(x,): -half})
    if not _close(whole, {(x,): 0.5, (x, inner): 0.5}):
        return False
    if inner.op == "Erf":
        return _close(within, {(x,): half})
    a = math.sqrt(2 / math.pi)
    return _close(within, {(x,): a, (x, x, x): 0.044715 * a})


def _close(found: Polynomial, wanted: Polynomial) -> bool:
    wanted = {_sorted(key): value for key, value in wanted.items()}
    return found.keys() == wanted.keys() and all(
        math.isclose(found[key], wanted[key], rel_tol=1e-6) for key in wanted
    )


def _sorted(factors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(sorted(factors, key=lambda t: (t.node.name, t.index)))


def _within(tensor: Tensor, wanted: tuple[str, ...], depth: int) -> Iterator[Tensor]:
    """The tensors of these ops (or all, if none are named) that arithmetic makes another of."""
    if not wanted or tensor.op in wanted:
        yield tensor
    if depth and tensor.op in _ARITHMETIC:
        for source in dict.fromkeys(tensor.node.inputs):
            yield from _within(source, wanted, depth - 1)


def _expanded(
    tensor: Tensor, atoms: tuple[Tensor, ...], graph: Graph, depth: int
) -> Polynomial | None:
    """A tensor as a polynomial of others; None if it is none."""
    if tensor in atoms:
        return {(tensor,): 1.0}
    if graph.is_constant(tensor):
        number = graph.number(tensor)
        return None if number is None else {(): number}
    if not depth or tensor.op not in _ARITHMETIC:
        return None
    parts = [_expanded(t, atoms, graph, depth - 1) for t in tensor.node.inputs]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    if tensor.op in ("AddV2", "Sub"):
        return _summed(known[0], known[1], -1.0 if tensor.op == "Sub" else 1.0)
    if tensor.op == "Neg":
        return _summed({}, known[0], -1.0)
    if tensor.op == "Mul":
        return _times(known[0], known[1])
    if tensor.op == "Square":
        return _times(known[0], known[0])
    if known[1].keys() != {()} or known[1][()] == 0:
        return None
    number = known[1][()]
    if tensor.op == "RealDiv":
        return _times(known[0], {(): 1 / number})
    if number not in (2.0, 3.0):
        return None
    square = _times(known[0], known[0])
    return square if number == 2 else _times(square, known[0])


def _summed(a: Polynomial, b: Polynomial, sign: float) -> Polynomial:
    total = dict(a)
    for key, value in b.items():
        total[key] = total.get(key, 0.0) + sign * value
    return total


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for one, p in a.items():
        for two, q in b.items():
            key = _sorted(one + two)
            total[key] = total.get(key, 0.0) + p * q
    return total


@pattern("AddV2", "Sub")
def prelu(node: Node, graph: Graph) -> bool:
    """relu(x) + (-slope) · relu(-x), as Keras writes PReLU."""
    for positive, product in (node.inputs, node.inputs[::-1]):
        if positive.op != "Relu" or product.op != "Mul":
            continue
        if node.op == "Sub" and positive is not node.inputs[0]:
            continue
        x = positive.node.inputs[0]
        for slope, negative in (product.node.inputs, product.node.inputs[::-1]):
            if not graph.is_constant(slope) or negative.op != "Relu":
                continue
            turned = negative.node.inputs[0]
            if turned.op != "Neg" or turned.node.inputs[0] != x:
                continue
            if node.op == "Sub":
                pass
            elif slope.op == "Neg":
                slope = slope.node.inputs[0]
            else:
                slope = graph.later(
                    f"{slope.node.name}:negated", slope.shape, partial(_negated, graph, slope)
                )
            return become_prelu(node, graph, x, slope)
    return False


def become_prelu(node: Node, graph: Graph, x: Tensor, slope: Tensor) -> bool:
    """A node becomes x where x > 0, else slope · x; not where the slope is larger than x."""
    if x.shape != Tensor(node).shape:
        return False
    single = graph.number(slope) if slope.shape == () else None
    if single is not None:
        node.op, node.inputs, node.attrs = "LeakyRelu", [x], {"alpha": single}
    else:
        node.op, node.inputs, node.attrs = "pRelu", [x, slope], {}
    return True


def _negated(graph: Graph, slope: Tensor) -> Array:
    return -graph.constant(slope)


@pattern("AddV2")
def old_prelu(node: Node, graph: Graph) -> bool:
    """relu(x) + slope · (x - |x|) · 0.5, as networks of TensorFlow 1 write PReLU."""
    for positive, product in (node.inputs, node.inputs[::-1]):
        if positive.op != "Relu" or product.op != "Mul":
            continue
        x = positive.node.inputs[0]
        factors, number, slopes = list(_factors(product)), 1.0, []
        for factor in factors:
            single = graph.number(factor) if factor.shape == () else None
            if single is not None:
                number *= single
            elif graph.is_constant(factor):
                slopes.append(factor)
        rest = [f for f in factors if not graph.is_constant(f)]
        if number != 0.5 or len(slopes) != 1 or len(rest) != 1 or rest[0].op != "Sub":
            continue
        one, size = rest[0].node.inputs
        if (
            x.shape == Tensor(node).shape
            and one == x
            and size.op == "Abs"
            and size.node.inputs[0] == x
        ):
            node.op, node.inputs, node.attrs = "pRelu", [x, slopes[0]], {}
            return True
    return False


def _factors(product: Tensor) -> Iterator[Tensor]:
    if product.op == "Mul":
        for factor in product.node.inputs:
            yield from _factors(factor)
    else:
        yield product


@pattern("Maximum")
def leaky(node: Node, graph: Graph) -> bool:
    """max(x, slope · x) with a slope from 0 to 1."""
    for x, product in (node.inputs, node.inputs[::-1]):
        if product.op == "Mul" and x in product.node.inputs:
            a, b = product.node.inputs
            slope = graph.number(b if a == x else a)
            alike = x.shape == Tensor(node).shape  # no constant is larger
            if alike and slope is not None and 0 <= slope <= 1:
                node.op, node.inputs, node.attrs = "LeakyRelu", [x], {"alpha": slope}
                return True
    return False


@pattern("Maximum")
def positive(node: Node, graph: Graph) -> bool:
    """max(x, 0) of an x that is never negative: half of a clip behind a ReLU."""
    for x, bound in (node.inputs, node.inputs[::-1]):
        number = graph.number(bound)
        alike = x.shape == Tensor(node).shape  # the constant is not larger
        if alike and number is not None and number <= 0 and never_negative(x, graph):
            node.op, node.inputs, node.attrs = "same", [x], {}
            return True
    return False


@pattern("Tanh")
def tanh_softplus(node: Node, graph: Graph) -> bool:
    """tanh(softplus(x)), the factor of Mish."""
    inner = node.inputs[0]
    if inner.op != "Softplus":
        return False
    node.op, node.inputs = "tanhSoftplus", [inner.node.inputs[0]]
    return True
