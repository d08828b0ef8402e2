"""Activations that are chosen by the sign of x: x where x > 0, else something of it."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern
from tf2caffe.patterns.activation import become_prelu

_TESTS = ("Greater", "GreaterEqual", "Less", "LessEqual")


def _sides(node: Node, graph: Graph) -> tuple[Tensor, Tensor] | None:
    """x, which is chosen where it is above 0, and what is chosen below; at 0 both must be 0."""
    test, a, b = node.inputs
    if test.op not in _TESTS:
        return None
    left, right = test.node.inputs
    above = test.op.startswith("Greater")
    if graph.number(left) == 0:
        left, right, above = right, left, not above
    x, below = (a, b) if above else (b, a)
    return (x, below) if left == x and graph.number(right) == 0 else None


@pattern("SelectV2", "Select")
def prelu_of_choice(node: Node, graph: Graph) -> bool:
    """x where x > 0, else slope · x."""
    found = _sides(node, graph)
    if found is None or found[1].op != "Mul":
        return False
    x, below = found
    for slope, other in (below.node.inputs, below.node.inputs[::-1]):
        if other == x and graph.is_constant(slope):
            return become_prelu(node, graph, x, slope)
    return False


@pattern("AddV2")
def prelu_of_bounds(node: Node, graph: Graph) -> bool:
    """max(x, 0) + slope · min(x, 0), either as a ReLU."""
    for above, below in (node.inputs, node.inputs[::-1]):
        x = above.node.inputs[0] if above.op == "Relu" else _bounded(above, "Maximum", graph)
        if x is None or below.op != "Mul":
            continue
        for slope, other in (below.node.inputs, below.node.inputs[::-1]):
            if graph.is_constant(slope) and _below(other, graph) == x:
                return become_prelu(node, graph, x, slope)
    return False


def _below(tensor: Tensor, graph: Graph) -> Tensor | None:
    """The x of min(x, 0) or -relu(-x)."""
    if tensor.op == "Neg" and (inner := tensor.node.inputs[0]).op == "Relu":
        turned = inner.node.inputs[0]
        return turned.node.inputs[0] if turned.op == "Neg" else None
    return _bounded(tensor, "Minimum", graph)


def _bounded(tensor: Tensor, op: str, graph: Graph) -> Tensor | None:
    """What is compared with 0."""
    if tensor.op != op:
        return None
    for x, bound in (tensor.node.inputs, tensor.node.inputs[::-1]):
        if graph.number(bound) == 0:
            return x
    return None


@pattern("SelectV2", "Select")
def elu(node: Node, graph: Graph) -> bool:
    """elu(x) where x > 0, else alpha · elu(x): Keras's ELU layer."""
    test, y, product = node.inputs
    if y.op != "Elu" or product.op != "Mul" or y not in product.node.inputs:
        return False
    a, b = product.node.inputs
    alpha = graph.number(b if a == y else a)
    x = y.node.inputs[0]
    if test.op not in ("Greater", "GreaterEqual") or test.node.inputs[0] != x:
        return False
    if alpha is None or graph.number(test.node.inputs[1]) != 0 or x.shape != Tensor(node).shape:
        return False
    node.op, node.inputs, node.attrs = "Elu", [x], {"alpha": alpha}
    return True


@pattern("SelectV2", "Select")
def elu_of_exp(node: Node, graph: Graph) -> bool:
    """x where x > 0, else alpha · (exp(x) - 1)."""
    found = _sides(node, graph)
    alpha = found and _exp_minus_1(found[1], found[0], graph)
    if found is None or alpha is None or found[0].shape != Tensor(node).shape:
        return False
    x = found[0]
    node.op, node.inputs, node.attrs = "Elu", [x], {"alpha": alpha}
    return True


def _exp_minus_1(tensor: Tensor, x: Tensor, graph: Graph) -> float | None:
    """The factor of exp(x) - 1; None if it is something else."""
    if tensor.op == "Mul":
        for inner, factor in (tensor.node.inputs, tensor.node.inputs[::-1]):
            number = graph.number(factor)
            if number is not None and (alpha := _exp_minus_1(inner, x, graph)) is not None:
                return alpha * number
        return None
    if tensor.op == "Expm1":
        return 1.0 if tensor.node.inputs[0] == x else None
    sign = {"Sub": 1.0, "AddV2": -1.0}.get(tensor.op)
    if sign is None or graph.number(tensor.node.inputs[1]) != sign:
        return None
    power = tensor.node.inputs[0]
    return 1.0 if power.op == "Exp" and power.node.inputs[0] == x else None
