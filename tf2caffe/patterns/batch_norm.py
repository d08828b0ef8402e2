"""Normalisation that TensorFlow has written out: by constants, or by the values' own moments."""

from __future__ import annotations

from dataclasses import dataclass

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.net.axes import ranked
from tf2caffe.patterns import pattern


@dataclass(frozen=True)
class Form:
    """(x - mean) / sqrt(variance + eps) · gamma + beta."""

    x: Tensor
    mean: Tensor
    variance: Tensor
    eps: float
    gamma: Tensor | None
    beta: Tensor | None


@pattern("AddV2", "Sub")
def batch_norm(node: Node, graph: Graph) -> bool:
    """By constant moments."""
    form = form_of(node, graph)
    if form is None or not (graph.is_constant(form.mean) and graph.is_constant(form.variance)):
        return False
    x, mean, variance, gamma, beta = form.x, form.mean, form.variance, form.gamma, form.beta
    axis = _axis(x, [t for t in (mean, variance, gamma, beta) if t is not None])
    if axis is None or graph.is_constant(x):
        return False
    node.op = "batchNorm"
    node.inputs = [x, mean, variance, *([gamma] if gamma else []), *([beta] if beta else [])]
    node.attrs = {
        "eps": form.eps,
        "axis": axis,
        "gamma": 3 if gamma else None,
        "beta": len(node.inputs) - 1 if beta else None,
    }
    return True


@pattern("AddV2", "Sub")
def moments(node: Node, graph: Graph) -> bool:
    """By the mean and variance of x itself: LayerNormalization and its kin."""
    form = form_of(node, graph)
    return form is not None and _by_own_moments(node, graph, form)


@pattern("Mul", "RealDiv")
def plain_moments(node: Node, graph: Graph) -> bool:
    """(x - mean) · rsqrt(variance + eps), or divided by the root, as people write it."""
    if len(node.inputs) != 2:
        return False
    for centred, root in (node.inputs, node.inputs[::-1]):
        if centred.op != "Sub" or not _is_root(root, node.op == "Mul", graph):
            continue
        x, mean = centred.node.inputs
        total = _with_eps(root.node.inputs[0], graph)
        if total is not None:
            form = Form(x, mean, *total, None, None)
            return _by_own_moments(node, graph, form)
    return False


def _is_root(root: Tensor, inverse: bool, graph: Graph) -> bool:
    """Whether it is a square root, or one over it."""
    if root.op == "Pow":
        return graph.number(root.node.inputs[1]) == (-0.5 if inverse else 0.5)
    return root.op == ("Rsqrt" if inverse else "Sqrt")


def form_of(node: Node, graph: Graph) -> Form | None:
    """x · inv + (beta - mean · inv), inv = rsqrt(variance + eps) · gamma.

    Source: nn_impl.py, batch_normalization; Keras 3 writes the second term as -mean · inv + beta.
    """
    if len(node.inputs) != 2:
        return None
    for product, term in (node.inputs, node.inputs[::-1]):
        if node.op == "Sub" and product is not node.inputs[0]:
            break
        if product.op != "Mul":
            continue
        for x, inverse in (product.node.inputs, product.node.inputs[::-1]):
            gamma, root = _factor(inverse)
            total = None if root is None else _with_eps(root.node.inputs[0], graph)
            if total is None:
                continue
            mean, beta = _mean_of(term, inverse) if node.op == "Sub" else _term(term, inverse)
            if mean is not None:
                return Form(x, mean, *total, gamma, beta)
    return None


def _with_eps(total: Tensor, graph: Graph) -> tuple[Tensor, float] | None:
    """variance and eps of a sum."""
    if total.op != "AddV2":
        return None
    for variance, added in (total.node.inputs, total.node.inputs[::-1]):
        eps = graph.number(added)
        if eps is not None:
            return variance, eps
    return None


def _factor(inverse: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """gamma and the root."""
    if inverse.op == "Rsqrt":
        return None, inverse
    if inverse.op == "Mul":
        for root, gamma in (inverse.node.inputs, inverse.node.inputs[::-1]):
            if root.op == "Rsqrt":
                return gamma, root
    return None, None


def _term(term: Tensor, inverse: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """mean and beta of `beta - mean · inv`, `-mean · inv + beta` or `-mean · inv`."""
    if term.op == "Sub":
        beta, product = term.node.inputs
        return _other(product, inverse), beta
    if term.op == "AddV2":
        for product, beta in (term.node.inputs, term.node.inputs[::-1]):
            mean = _negated(product, inverse)
            if mean is not None:
                return mean, beta
    return _negated(term, inverse), None


def _mean_of(term: Tensor, inverse: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """mean of a `mean · inv` that is subtracted."""
    return _other(term, inverse), None


def _negated(product: Tensor, inverse: Tensor) -> Tensor | None:
    """mean of `-mean · inv` or `-(mean · inv)`."""
    if product.op == "Neg":
        return _other(product.node.inputs[0], inverse)
    mean = _other(product, inverse)
    return mean.node.inputs[0] if mean is not None and mean.op == "Neg" else None


def _other(product: Tensor, factor: Tensor) -> Tensor | None:
    if product.op != "Mul" or factor not in product.node.inputs:
        return None
    a, b = product.node.inputs
    return b if a == factor else a


def _axis(x: Tensor, numbers: list[Tensor]) -> int | None:
    """The dimension that all these numbers lie along."""
    rank = len(x.shape)
    varied = set()
    for tensor in numbers:
        shape = ranked(tensor.shape, rank)
        varied |= {d for d in range(rank) if shape[d] != 1}
    if not varied:
        return rank - 1 if x.shape[-1] == 1 else None
    axis = varied.pop()
    sized = all(ranked(t.shape, rank)[axis] == x.shape[axis] for t in numbers)
    return axis if not varied and axis > 0 and sized else None


def _by_own_moments(node: Node, graph: Graph, form: Form) -> bool:
    """Make the node a `standardise`, if mean and variance are those of x."""
    mean, variance = (_with_all_dimensions(t, form.x) for t in (form.mean, form.variance))
    over = _mean_over(mean, form.x, graph)
    if over is None or variance.op != "Mean":
        return False
    square, axes = variance.node.inputs
    if graph.dimensions(axes, len(form.x.shape)) != over or not _keeps(variance.node):
        return False
    if not _is_square_of_difference(square, form.x, mean, graph):
        return False
    extra = [t for t in (form.gamma, form.beta) if t is not None]
    if not all(graph.is_constant(t) for t in extra):
        return False
    node.op = "standardise"
    node.inputs = [form.x, *extra]
    node.attrs = {
        "over": over,
        "eps": form.eps,
        "gamma": 1 if form.gamma else None,
        "beta": len(extra) if form.beta else None,
    }
    return True


def _with_all_dimensions(moment: Tensor, x: Tensor) -> Tensor:
    """What `tf.nn.moments` squeezes to one number for each channel, before it does."""
    if moment.op != "Squeeze" or moment.shape != x.shape[-1:]:
        return moment
    whole = moment.node.inputs[0]
    return whole if whole.shape == (*[1] * (len(x.shape) - 1), x.shape[-1]) else moment


def _mean_over(mean: Tensor, x: Tensor, graph: Graph) -> list[int] | None:
    if mean.op != "Mean" or mean.node.inputs[0] != x or not _keeps(mean.node):
        return None
    return graph.dimensions(mean.node.inputs[1], len(x.shape))


def _keeps(mean: Node) -> bool:
    return bool(mean.attrs.get("keep_dims"))


def _is_square_of_difference(square: Tensor, x: Tensor, mean: Tensor, graph: Graph) -> bool:
    if square.op == "SquaredDifference":
        return set(square.node.inputs) == {x, mean}
    inner, *rest = square.node.inputs
    twice = square.op == "Mul" and rest == [inner]
    twice = twice or (square.op == "Pow" and graph.number(rest[0]) == 2)
    if square.op != "Square" and not twice:
        return False
    return inner.op == "Sub" and inner.node.inputs == [x, mean]
