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
    if difference.op != "Sub" or difference.node.inputs[1].op != "AddV2":
        return False
    x, total = difference.node.inputs
    for logarithm, peak in (total.node.inputs, total.node.inputs[::-1]):
        if logarithm.op != "Log" or peak.op != "same" or x.shape != Tensor(node).shape:
            continue
        over = _kept(peak.node.inputs[0], "Max", x, graph)
        power = logarithm.node.inputs[0].node.inputs[0]
        if over is None or over != _kept(logarithm.node.inputs[0], "Sum", power, graph):
            continue
        below = power.node.inputs[0]
        if power.op == "Exp" and below.op == "Sub" and below.node.inputs == [x, peak]:
            node.op, node.inputs, node.attrs = "Softmax", [x], {"over": over}
            return True
    return False


@pattern("RealDiv")
def written_out(node: Node, graph: Graph) -> bool:
    """exp(x) / sum(exp(x)), whatever is taken away from x along the same dimensions before."""
    power, total = node.inputs
    over = _kept(total, "Sum", power, graph)
    if power.op != "Exp" or over is None or power.shape != Tensor(node).shape:
        return False
    x = power.node.inputs[0]
    if x.op == "Sub":
        whole, peak = x.node.inputs
        if peak.op == "Max" and whole.shape == x.shape:
            same = _kept(peak, "Max", peak.node.inputs[0], graph) == over
            x = whole if same else x
    node.op, node.inputs, node.attrs = "Softmax", [x], {"over": over}
    return True


def _kept(tensor: Tensor, op: str, x: Tensor, graph: Graph) -> list[int] | None:
    """The dimensions over which an op takes x together, keeping them; None for anything else."""
    if tensor.op != op or tensor.node.inputs[0] != x or not tensor.node.attrs["keep_dims"]:
        return None
    return graph.dimensions(tensor.node.inputs[1], len(x.shape))
