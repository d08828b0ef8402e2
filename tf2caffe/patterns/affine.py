"""Sums and products with constants, one behind the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tf2caffe.graph import Array, Graph, Node, Tensor
from tf2caffe.patterns import pattern

Step = tuple[str, Callable[[], Array]]  # "mul" or "add", and who gives the constant


@pattern("AddV2", "Sub", "Mul", "RealDiv", "BiasAdd", "Neg", order=2)
def affine(node: Node, graph: Graph) -> bool:
    """x · constant + constant, of any constants that broadcast."""
    found = _steps(node, graph)
    if found is None:
        return False
    x, steps, constant = found
    learned = constant is not None and _is_learned(graph, constant)
    before = x.node
    if before.op == "affine" and x.shape == node.shapes[0] and graph.read_only_by(x, node):
        x = before.inputs[0]
        steps = [*before.attrs["steps"], *steps]
        learned = learned or before.attrs["learned"]
    node.op, node.inputs, node.attrs = "affine", [x], {"steps": steps, "learned": learned}
    return True


def _steps(node: Node, graph: Graph) -> tuple[Tensor, list[Step], Tensor | None] | None:
    """What varies, what happens to it, and the constant that does."""
    minus: Step = ("mul", lambda: np.asarray(-1.0))
    if node.op == "Neg":
        return node.inputs[0], [minus], None
    if len(node.inputs) != 2 or not _is_exact(node):
        return None
    x, constant = node.inputs
    turned = graph.is_constant(x)
    if turned:
        x, constant = constant, x
    if graph.is_constant(x) or not graph.is_constant(constant):
        return None
    read = _reader(node, graph, constant)
    if node.op in ("AddV2", "BiasAdd"):
        return x, [("add", read)], constant
    if node.op == "Mul":
        return x, [("mul", read)], constant
    if node.op == "Sub" and turned:
        return x, [minus, ("add", read)], constant
    if node.op == "Sub":
        return x, [("add", lambda: -read())], constant
    return None if turned else (x, [("mul", lambda: 1 / read())], constant)


def _is_exact(node: Node) -> bool:
    """Whether float32 does as the node's type: whole numbers must not wrap round or be divided."""
    dtype = node.dtypes[0]
    return "float" in dtype or (dtype in ("int32", "int64") and node.op != "RealDiv")


def _reader(node: Node, graph: Graph, constant: Tensor) -> Callable[[], Array]:
    behind = 0
    if node.op == "BiasAdd" and not node.channels_last:
        behind = len(node.shapes[0] or ()) - 2

    def read() -> Array:
        array = np.asarray(graph.constant(constant), np.float64)
        return array.reshape(array.shape + (1,) * behind)

    return read


def _is_learned(graph: Graph, constant: Tensor) -> bool:
    """Whether a variable with several numbers is in it."""
    stack, seen = [constant.node], set()
    while stack:
        node = stack.pop()
        numbers = int(np.prod(Tensor(node).shape))
        if node in graph.values and node.op != "known" and numbers > 1:
            return True
        if node not in seen:
            seen.add(node)
            stack += [t.node for t in node.inputs]
    return False


def chained(node: Node) -> tuple[Array, Array]:
    """The factor and the term that the steps of an `affine` make, in float64."""
    factor: Array = np.ones(())
    term: Array = np.zeros(())
    for kind, read in node.attrs["steps"]:
        numbers = np.asarray(read(), np.float64)
        if kind == "mul":
            factor, term = factor * numbers, term * numbers if term.any() else term
        else:
            term = term + numbers
    return factor, term
