"""Numbers that are written as if they depended on an input, and do not."""

from __future__ import annotations

from functools import partial

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern


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
