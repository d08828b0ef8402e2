"""Scale and Bias that stand alone (one behind a BatchNorm is merged into it)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffe2tf.site import Site, Tensor, builds
from tfcaffe.layout import Layout


@builds("Scale")
def scale(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """x · gamma + beta, gamma a weight or the second bottom."""
    x = bottoms[0]
    if len(bottoms) == 1:
        return _affine(site, x, "gamma", "beta")
    y = site.add("Multiply", x, _spread(site, bottoms))
    return _affine(site, y, None, "beta") if site.has("beta") else y


@builds("Bias")
def shift(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """x + bias, a weight or the second bottom."""
    if len(bottoms) == 1:
        return _affine(site, bottoms[0], None, "bias")
    return site.add("Add", bottoms[0], _spread(site, bottoms))


def _affine(site: Site, x: Tensor, factor: str | None, term: str) -> Tensor:
    """EinsumDense with nothing to sum: the one Keras layer that multiplies by a learnt array."""
    _, dims = _part(site, None)
    letters = "abcdefgh"[: len(x.shape)]
    axes = "".join(letters[d] for d in dims)
    weights: dict[str, np.ndarray | None] = {}
    if factor is None:
        weights["kernel"] = np.ones([int(x.shape[d]) for d in dims], np.float32)
    else:
        weights["kernel"] = site.weight(factor)
    has_term = site.has(term)
    if has_term:
        weights["bias"] = site.weight(term)
    if not axes:
        return _scalar(site, x, weights)
    return site.learn(
        "EinsumDense",
        x,
        weights,
        equation=f"{letters},{axes}->{letters}",
        output_shape=x.shape[1:],
        bias_axes=axes if has_term else None,
    )


def _scalar(site: Site, x: Tensor, weights: dict[str, np.ndarray | None]) -> Tensor:
    """One factor and term for all: a 1×1 Dense over the numbers one by one."""
    single = site.reshaped(x, [*x.shape, 1])
    made = {
        name: None if value is None else value.reshape((1, 1) if name == "kernel" else (1,))
        for name, value in weights.items()
    }
    y = site.learn("Dense", single, made, last=False, units=1, use_bias="bias" in made)
    return site.reshaped(y, x.shape)


def _part(site: Site, rank: int | None) -> tuple[Layout, list[int]]:
    """The axes that the coefficient covers, and their dimensions, in TensorFlow's order."""
    data = site.bottom
    first, end = site.family.span(site.layer, data.shape, rank)
    dims = [d for d, (axis,) in enumerate(data.dims) if first <= axis < end]
    return data.part(first, end), dims


def _spread(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """The second bottom with a size of 1 wherever it broadcasts."""
    x, coefficient = bottoms
    _, dims = _part(site, len(coefficient.shape))
    sizes = [coefficient.shape[dims.index(d)] if d in dims else 1 for d in range(len(x.shape))]
    if len(sizes) == len(coefficient.shape):
        return coefficient
    return site.reshaped(coefficient, sizes)
