"""Products of single numbers that are written as other ops."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node
from tf2caffe.patterns import pattern


@pattern("Einsum", order=-1)
def einsum(node: Node, graph: Graph) -> bool:
    """abcd,bd->abcd sums nothing up: it is a product with a constant that is broadcast."""
    if len(node.inputs) != 2 or not graph.is_constant(node.inputs[1]):
        return False
    terms, _, result = str(node.attrs["equation"]).replace(" ", "").partition("->")
    x, factor = terms.split(",")
    plain = len(set(result)) == len(result) and "." not in result
    if not plain or x != result or [a for a in x if a in factor] != list(factor):
        return False
    array = node.inputs[1]
    sizes = dict(zip(factor, array.shape, strict=True))
    shape = tuple(sizes.get(letter, 1) for letter in x)
    name = f"{node.name}:factor"
    factors = graph.later(
        name, shape, lambda: np.reshape(graph.constant(array), shape), array.dtype
    )
    node.op, node.inputs, node.attrs = "Mul", [node.inputs[0], factors], {}
    return True


@pattern("BiasAdd", order=-3)
def bias_add(node: Node, graph: Graph) -> bool:
    """A bias that the net computes itself: so Keras adds two values of batch 1."""
    first = not node.channels_last
    if first or any(map(graph.is_constant, node.inputs)):
        return False
    node.op, node.attrs = "AddV2", {}
    return True
