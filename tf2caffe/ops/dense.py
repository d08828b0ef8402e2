"""Products of a value and a constant: MatMul, BatchMatMul and Einsum."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod

import numpy as np

from tf2caffe.net import axes
from tf2caffe.net.broadcast import eltwise
from tf2caffe.net.contraction import contracted
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.reduction import reduce

Labels = Sequence[Hashable]  # one for each dimension, as Einsum's letters


@op("MatMul", "BatchMatMulV2")
def product(site: Site) -> Value:
    """Rows times a kernel, or a matrix times columns; a third input is the bias."""
    if (found := _vector(site)) is not None:
        return found
    c = _constant(site)
    shape, rank = site.node.inputs[c].shape, len(site.value(1 - c).tf_shape)
    if any(size != 1 for size in shape[:-2]) or len(shape) > max(rank, 2):
        raise site.refusal(
            f"its constant {list(shape)} is several matrices, and stock Caffe has one for all; "
            "split the value and multiply each part"
        )
    batch = list(range(rank - 2))
    terms: list[list[Hashable]] = [["row", "in"], ["in", "column"]]
    for term, names in zip(
        terms, (("transpose_a", "adj_x"), ("transpose_b", "adj_y")), strict=True
    ):
        if any(site.attrs.get(name) for name in names):
            term.reverse()
    return _said(site, c, [*batch, *terms[1 - c]], terms[c], [*batch, "row", "column"])


def _vector(site: Site) -> Value | None:
    """Two values of which one is a row or column for each sample: PROD, and the sum over it."""
    if len(site.node.inputs) > 2 or site.is_constant(0) or site.is_constant(1):
        return None
    a, b = site.value(0), site.value(1)
    rank = len(a.tf_shape)
    if rank < 3 or len(b.tf_shape) != rank:
        return None
    last = [*range(rank - 2), rank - 1, rank - 2]
    if site.attrs.get("adj_x"):
        a = Value(a.blob, axes.transposed(a.layout, last))
    if site.attrs.get("adj_y"):
        b = Value(b.blob, axes.transposed(b.layout, last))
    shape = (*np.broadcast_shapes(a.tf_shape[:-2], b.tf_shape[:-2]), a.tf_shape[-2], b.tf_shape[-1])
    if b.tf_shape[-1] == 1:  # as rows, which the last dimension is summed of
        b, over = Value(b.blob, axes.transposed(b.layout, last)), rank - 1
    elif a.tf_shape[-2] == 1:
        a, over = Value(a.blob, axes.transposed(a.layout, last)), rank - 2
    else:
        return None
    made = reduce(site, eltwise(site, a, b, "PROD"), [over], "sum")
    layout = axes.reshaped(made.layout, shape)
    assert layout is not None
    return Value(made.blob, layout)


@op("Einsum")
def einsum(site: Site) -> Value:
    """A product over all the dimensions that both have."""
    c = _constant(site)
    equation = str(site.attrs["equation"]).replace(" ", "")
    terms, _, result = equation.partition("->")
    said = terms.split(",")
    ranks = [len(tensor.shape) for tensor in site.node.inputs]
    x, kernel = (_labels(said[i], ranks[i]) for i in (1 - c, c))
    answer = _labels(result, len(site.node.shapes[0] or ()))
    shared = {label for label in x if label in kernel}
    apart = len({*x}) == len(x) and len({*kernel}) == len(kernel) and shared.isdisjoint(answer)
    if not shared or not apart or {*x, *kernel} - shared != {*answer}:
        raise site.refusal(
            f"its equation {equation} is more than one matrix product; say it as several layers"
        )
    return _said(site, c, x, kernel, answer)


def _constant(site: Site) -> int:
    """Which of the two factors is constant."""
    if len(site.node.inputs) < 2 or not (site.is_constant(0) or site.is_constant(1)):
        raise site.refusal(
            "is a product of two matrices that are not weights (as in attention), which no layer "
            "of stock Caffe multiplies; cut the net before it with --outputs"
        )
    return 0 if site.is_constant(0) else 1


def _said(site: Site, c: int, x: Labels, kernel: Labels, answer: Labels) -> Value:
    """The product over the labels that both have; `c` is the constant's input."""
    shape = site.node.inputs[c].shape[-len(kernel) :]
    shared = [label for label in x if label in kernel]
    outputs = [label for label in kernel if label not in shared]
    order = [kernel.index(label) for label in (*shared, *outputs)]
    sizes = [shape[kernel.index(label)] for label in outputs]

    def matrix() -> np.ndarray:
        laid = site.constant(c).reshape(shape).transpose(order)
        return laid.reshape(-1, prod(sizes))

    biased = len(site.node.inputs) > 2
    bias = (lambda: site.constant(2).reshape(-1)) if biased else None
    over = [x.index(label) for label in shared]
    made = contracted(site, site.value(1 - c), over, matrix, sizes, bias)
    have = [*(label for label in x if label not in shared), *outputs]
    return Value(made.blob, axes.transposed(made.layout, [have.index(label) for label in answer]))


def _labels(term: str, rank: int) -> list[Hashable]:
    """The letters of a term, and numbers for the dimensions that `...` stands for."""
    before, dots, after = term.partition("...")
    between = range(rank - len(before) - len(after)) if dots else ()
    return [*before, *between, *after]
