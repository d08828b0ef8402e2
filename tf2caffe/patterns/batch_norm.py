"""Batch normalisation that TensorFlow has written out."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern


@pattern("AddV2", "Add")
def batch_norm(node: Node, graph: Graph) -> bool:
    """x · inv + (beta - mean · inv), inv = rsqrt(variance + eps) · gamma (nn_impl.py)."""
    product, term = _split(node, graph)
    if product is None or term is None:
        return False
    x, inverse = _split(product.node, graph)
    if x is None or inverse is None:
        return False
    gamma, root = _factor(inverse)
    if root is None or root.op != "Rsqrt":
        return False
    total = root.node.inputs[0]
    if total.op not in ("AddV2", "Add"):
        return False
    variance, added = total.node.inputs
    eps = graph.number(added)
    if eps is None:
        variance, eps = added, graph.number(variance)
    beta, mean = _term(term, inverse)
    if eps is None or mean is None:
        return False
    inputs = [x, mean, variance, *([gamma] if gamma else []), *([beta] if beta else [])]
    axis = _axis(x, variance)
    if axis is None or any(len(t.shape) > 1 and t.shape != variance.shape for t in inputs[1:]):
        return False
    node.op = "batchNorm"
    node.inputs = inputs
    node.attrs = {
        "eps": eps,
        "axis": axis,
        "gamma": 3 if gamma else None,
        "beta": len(inputs) - 1 if beta else None,
    }
    return True


def _split(node: Node, graph: Graph) -> tuple[Tensor | None, Tensor | None]:
    """The input that varies and the one that is constant, of a sum or product."""
    if node.op not in ("AddV2", "Add", "Mul", "Sub"):
        return None, None
    a, b = node.inputs
    if graph.is_constant(a) == graph.is_constant(b):
        return None, None
    return (b, a) if graph.is_constant(a) else (a, b)


def _factor(inverse: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """gamma and the root."""
    if inverse.op == "Rsqrt":
        return None, inverse
    if inverse.op != "Mul":
        return None, None
    a, b = inverse.node.inputs
    return (b, a) if a.op == "Rsqrt" else (a, b)


def _term(term: Tensor, inverse: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """beta and mean of `beta - mean · inv` or `-mean · inv`."""
    if term.op == "Sub":
        beta, product = term.node.inputs
        return beta, _other(product, inverse)
    if term.op == "Mul":
        mean = _other(term, inverse)
        if mean is not None and mean.op == "Neg":
            return None, mean.node.inputs[0]
    if term.op == "Neg":
        return None, _other(term.node.inputs[0], inverse)
    return None, None


def _other(product: Tensor, factor: Tensor) -> Tensor | None:
    if product.op != "Mul" or factor not in product.node.inputs:
        return None
    a, b = product.node.inputs
    return b if a == factor else a


def _axis(x: Tensor, numbers: Tensor) -> int | None:
    """The dimension that the numbers lie along."""
    rank = len(x.shape)
    shape = (1,) * (rank - len(numbers.shape)) + numbers.shape
    varied = [d for d in range(rank) if shape[d] != 1]
    if not varied:
        return rank - 1 if x.shape[-1] == 1 else None
    return varied[0] if len(varied) == 1 else None
