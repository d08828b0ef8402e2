"""A bias that is added behind a matrix product, perhaps with a reshape between."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from tf2caffe.graph import Array, Graph, Node, Tensor
from tf2caffe.patterns import pattern


@pattern("BiasAdd", "AddV2", order=1)
def bias(node: Node, graph: Graph) -> bool:
    """One number for each output, though a reshape has split the outputs or the rows."""
    if graph.is_constant(node.inputs[0]):
        node.inputs.reverse()
    source, term = node.inputs
    if not graph.is_constant(term) or graph.is_constant(source):
        return False
    if not node.channels_last:
        return False
    between = source.node if source.op == "Reshape" else None
    made = between.inputs[0] if between else source
    if made.op not in ("MatMul", "BatchMatMulV2", "Einsum"):
        return False
    product, readers = made.node, [(source, node), *([(made, between)] if between else [])]
    constants = [graph.is_constant(t) for t in product.inputs]
    if constants != [False, True] or not all(graph.read_only_by(t, r) for t, r in readers if r):
        return False
    outputs = _outputs(product)
    tail = _tail(source.shape, outputs)
    if tail is None or Tensor(node).shape != source.shape:
        return False
    behind, shape = source.shape[tail:], term.shape
    if any(size != 1 for size in shape[: max(len(shape) - len(behind), 0)]):
        return False
    kept = shape[len(shape) - min(len(shape), len(behind)) :]

    def whole() -> Array:
        return np.broadcast_to(graph.constant(term).reshape(kept), behind).reshape(-1)

    numbers = graph.later(f"{term.node.name}:{node.name}", (outputs,), whole, term.dtype)
    inputs = [*product.inputs, numbers]
    if between is None:
        node.op, node.inputs, node.attrs = product.op, inputs, product.attrs
    else:
        biased = replace(product, inputs=inputs)
        node.op, node.attrs = between.op, between.attrs
        node.inputs = [Tensor(biased), *between.inputs[1:]]
    return True


def _outputs(product: Node) -> int:
    """How many numbers each row becomes; 0 where they do not lie behind the rows."""
    if product.op != "Einsum":
        shape = Tensor(product).shape
        return shape[-1]
    terms, _, result = str(product.attrs["equation"]).replace(" ", "").partition("->")
    x, kernel = terms.split(",")
    made = "".join(label for label in kernel if label not in x)
    sizes = product.inputs[1].shape
    return prod(sizes[kernel.index(label)] for label in made) if result.endswith(made) else 0


def _tail(shape: tuple[int, ...], outputs: int) -> int | None:
    """From which dimension on a tensor has just the outputs."""
    return next((d for d in range(len(shape)) if prod(shape[d:]) == outputs), None)
