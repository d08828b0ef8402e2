"""Arithmetic that says something simpler, or nothing that depends on an input."""

from __future__ import annotations

from functools import partial

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern


@pattern("DivNoNan", order=-10)
def divided(node: Node, graph: Graph) -> bool:
    """By constants of which none is 0."""
    if not graph.is_constant(node.inputs[1]) or not np.all(graph.constant(node.inputs[1])):
        return False
    node.op, node.attrs = "RealDiv", {}
    return True


@pattern("Log1p", order=-9)
def softplus(node: Node, graph: Graph) -> bool:
    """log1p(exp(x)), which for a large x is infinite only on the way."""
    power = node.inputs[0]
    if power.op != "Exp":
        return False
    node.op, node.inputs, node.attrs = "Softplus", [power.node.inputs[0]], {}
    return True


@pattern("RealDiv", order=-9)
def mean(node: Node, graph: Graph) -> bool:
    """A sum divided by how many it sums up; factors of 1 before go: `tf.nn.weighted_moments`."""
    total, count = node.inputs
    alike = total.shape == Tensor(node).shape
    if not alike or total.op != "Sum" or not graph.is_constant(total.node.inputs[1]):
        return False
    x, over = total.node.inputs
    dimensions = {int(a) % len(x.shape) for a in np.atleast_1d(graph.constant(over))}
    if graph.number(count) != np.prod([x.shape[d] for d in dimensions]):
        return False
    node.op, node.inputs = "Mean", [_without_ones(x, graph), over]
    node.attrs = {"keep_dims": total.node.attrs.get("keep_dims")}
    return True


def _without_ones(x: Tensor, graph: Graph) -> Tensor:
    """What is multiplied by ones."""
    if x.op == "Mul":
        for ones, other in (x.node.inputs, x.node.inputs[::-1]):
            plain = graph.is_constant(ones) and other.shape == x.shape
            if plain and np.all(graph.constant(ones) == 1):
                return other
    return x


@pattern("AddV2", order=-9)
def constant(node: Node, graph: Graph) -> bool:
    """truth · 0 + c is c: a truth is never infinite. So caffe2tf says a constant of Keras's."""
    for product, term in (node.inputs, node.inputs[::-1]):
        number = graph.number(term)
        if product.op != "Mul" or number is None:
            continue
        for truth, zero in (product.node.inputs, product.node.inputs[::-1]):
            if truth.dtype == "bool" and graph.number(zero) == 0:
                numbers = np.full(Tensor(node).shape, number, np.float32)
                graph.settle(node, partial(np.asarray, numbers))
                return True
    return False
