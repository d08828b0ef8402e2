"""Softmax as it is written out."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern


@pattern("SelectV2")
def finite(node: Node, graph: Graph) -> bool:
    """m where m is finite, else 0: what logsumexp does with a maximum. It always is."""
    test, m, zero = node.inputs
    if test.op != "IsFinite" or test.node.inputs[0] != m or graph.number(zero) != 0:
        return False
    if m.op != "Max":
        return False
    node.op, node.inputs, node.attrs = "same", [m], {}
    return True


@pattern("Exp", order=1)
def softmax(node: Node, graph: Graph) -> bool:
    """exp(x - logsumexp(x)) over several dimensions: Keras's Softmax with a list of axes."""
    difference = node.inputs[0]
    if difference.op != "Sub":
        return False
    x, total = difference.node.inputs
    if total.op != "AddV2":
        return False
    for logarithm, peak in (total.node.inputs, total.node.inputs[::-1]):
        if logarithm.op != "Log" or peak.op != "same":
            continue
        peak = peak.node.inputs[0]
        sums = logarithm.node.inputs[0]
        if sums.op != "Sum" or peak.op != "Max" or peak.node.inputs[0] != x:
            continue
        node.op, node.inputs = "Softmax", [x]
        node.attrs = {"over": [int(a) for a in graph.constant(peak.node.inputs[1]).reshape(-1)]}
        return True
    return False


@pattern("RealDiv")
def written_out(node: Node, graph: Graph) -> bool:
    """exp(x) / sum(exp(x)), whatever is taken away from x along the same dimensions before."""
    power, total = node.inputs
    if power.op != "Exp" or total.op != "Sum" or total.node.inputs[0] != power:
        return False
    over = graph.dimensions(total.node.inputs[1], len(power.shape))
    if not total.node.attrs["keep_dims"]:
        return False
    x = power.node.inputs[0]
    if x.op == "Sub" and _is_one_along(x.node.inputs[1], over, graph, x.shape):
        x = x.node.inputs[0]
    node.op, node.inputs, node.attrs = "Softmax", [x], {"over": over}
    return True


def _is_one_along(tensor: Tensor, over: list[int], graph: Graph, shape: tuple[int, ...]) -> bool:
    """Whether a largest number is of these dimensions, so that it goes out of the quotient."""
    if tensor.op != "Max" or not tensor.node.attrs["keep_dims"]:
        return False
    return graph.dimensions(tensor.node.inputs[1], len(shape)) == over
