"""Values without their mean, perhaps divided by their deviation: Caffe's MVN."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern


@pattern("RealDiv", order=-3)
def normalised(node: Node, graph: Graph) -> bool:
    """(x - mean) / (√ mean of (x - mean)² + eps); eps stands behind the root."""
    centred, deviation = node.inputs
    found = _centred(centred, graph)
    if found is None or deviation.op != "AddV2":
        return False
    root, eps = deviation.node.inputs
    number = graph.number(eps)
    if root.op == "Mul" and 1.0 in (graph.number(t) for t in root.node.inputs):
        root = next(t for t in root.node.inputs if not graph.is_constant(t))
    if number is None or root.op != "Sqrt":
        return False
    variance = root.node.inputs[0]
    squares = variance.node.inputs[0] if variance.op == "Mean" else variance
    x, over = found
    if _over(variance, graph) != over or squares.op != "Mul":
        return False
    if squares.node.inputs != [centred, centred]:
        return False
    node.op, node.inputs, node.attrs = "meanVariance", [x], {"over": over, "eps": number}
    return True


@pattern("Sub", order=3)
def centred(node: Node, graph: Graph) -> bool:
    """x - mean alone, where nothing else was made of it."""
    found = _centred(Tensor(node), graph)
    if found is None:
        return False
    node.op, node.inputs = "meanVariance", [found[0]]
    node.attrs = {"over": found[1], "eps": None}
    return True


def _centred(tensor: Tensor, graph: Graph) -> tuple[Tensor, list[int]] | None:
    """What its own mean is taken from, and over which dimensions."""
    if tensor.op != "Sub":
        return None
    x, mean = tensor.node.inputs
    over = _over(mean, graph)
    if over not in ([1, 2], [2, 3], [1, 2, 3]) or mean.node.inputs[0] != x or len(x.shape) != 4:
        return None
    return x, over


def _over(mean: Tensor, graph: Graph) -> list[int]:
    """The dimensions of a mean that keeps them with size 1."""
    if mean.op != "Mean" or not mean.node.attrs.get("keep_dims"):
        return []
    if not graph.is_constant(mean.node.inputs[1]):
        return []
    return graph.dimensions(mean.node.inputs[1], len(mean.shape))
