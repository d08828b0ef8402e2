"""Products of a value and a constant: MatMul, BatchMatMul and Einsum."""

from __future__ import annotations

from collections.abc import Hashable
from math import prod

import numpy as np

from tf2caffe.graph import Tensor
from tf2caffe.net import axes
from tf2caffe.net.contraction import contracted
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.pairs import Labels, multiplied


@op("MatMul", "BatchMatMulV2")
def product(site: Site) -> Value:
    """Rows times a kernel, or a matrix times columns; a third input is the bias."""
    c = _constant(site)
    if c is None:
        return _of_values(site)
    shape, rank = site.node.inputs[c].shape, len(site.value(1 - c).tf_shape)
    if any(size != 1 for size in shape[:-2]) or len(shape) > max(rank, 2):
        raise site.refusal(
            f"its constant {list(shape)} is several matrices, and stock Caffe has one for all; "
            "split the value and multiply each part"
        )
    batch, terms = list(range(rank - 2)), _terms(site)
    return _said(site, c, [*batch, *terms[1 - c]], terms[c], [*batch, "row", "column"])


def _terms(site: Site) -> list[list[Hashable]]:
    """Labels of the last two dimensions of either factor."""
    terms: list[list[Hashable]] = [["row", "in"], ["in", "column"]]
    for term, names in zip(
        terms, (("transpose_a", "adj_x"), ("transpose_b", "adj_y")), strict=True
    ):
        if any(site.attrs.get(name) for name in names):
            term.reverse()
    return terms


def _of_values(site: Site) -> Value:
    """Neither factor is constant; both have the same dimensions in front, or lack some."""
    rank = len(Tensor(site.node).shape)
    one, two = (
        [*range(rank - len(tensor.shape), rank - 2), *term]
        for tensor, term in zip(site.node.inputs, _terms(site), strict=True)
    )
    return multiplied(site, one, two, [*range(rank - 2), "row", "column"])


@op("Einsum")
def einsum(site: Site) -> Value:
    """A product over all the dimensions that both have."""
    c = _constant(site)
    equation = str(site.attrs["equation"]).replace(" ", "")
    terms, _, result = equation.partition("->")
    said = terms.split(",")
    ranks = [len(tensor.shape) for tensor in site.node.inputs]
    if c is None and len(said) == 2:
        one, two = (_labels(term, rank) for term, rank in zip(said, ranks, strict=True))
        return multiplied(site, one, two, _labels(result, len(Tensor(site.node).shape)))
    if c is None or len(said) != 2:
        raise site.refusal(
            f"its equation {equation} is no product of two; say it as several layers"
        )
    x, kernel = (_labels(said[i], ranks[i]) for i in (1 - c, c))
    answer = _labels(result, len(site.node.shapes[0] or ()))
    shared = {label for label in x if label in kernel}
    apart = len({*x}) == len(x) and len({*kernel}) == len(kernel) and shared.isdisjoint(answer)
    if not shared or not apart or {*x, *kernel} - shared != {*answer}:
        raise site.refusal(
            f"its equation {equation} is more than one matrix product; say it as several layers"
        )
    return _said(site, c, x, kernel, answer)


def _constant(site: Site) -> int | None:
    """Which of the two factors is constant; None if neither is."""
    found = [i for i in range(min(2, len(site.node.inputs))) if site.is_constant(i)]
    return found[0] if found else None


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
