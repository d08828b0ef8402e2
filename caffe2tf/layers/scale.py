"""Scale and Bias that stand alone (one behind a BatchNorm is merged into it)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe2tf.layers.learnt import learnt
from caffe2tf.layers.training import training
from caffe2tf.site import Site, Tensor, builds
from tfcaffe.layout import Layout


@builds("Scale")
def scale(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """x · gamma + beta, gamma a weight or the second bottom."""
    x = bottoms[0]
    _, dims = _part(site, None)
    if len(bottoms) == 1 and dims:
        return _learnt_scale(site, x, dims)
    gamma = bottoms[1] if len(bottoms) == 2 else learnt(site, "gamma", x)
    y = site.op(site.ops.multiply, _spread(site, x, gamma), x)
    return _plus(site, y, learnt(site, "beta", x)) if site.has("beta") else y


@builds("Bias")
def shift(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """x + bias, a weight or the second bottom."""
    x = bottoms[0]
    return _plus(site, x, bottoms[1] if len(bottoms) == 2 else learnt(site, "bias", x))


def _learnt_scale(site: Site, x: Tensor, dims: list[int]) -> Tensor:
    """EinsumDense with nothing to sum: the one Keras layer that multiplies by a learnt array.

    Its own bias serves on the last dimension only: see `_plus`.
    """
    letters = "abcdefgh"[: len(x.shape)]
    axes = "".join(letters[d] for d in dims)
    inside = site.has("beta") and dims == [len(x.shape) - 1]
    beta = {"bias": site.weight("beta")} if inside else {}
    y = site.learn(
        "EinsumDense",
        x,
        {"kernel": site.weight("gamma"), **beta},
        last=inside or not site.has("beta"),
        roles=("gamma", "beta") if inside else ("gamma",),
        equation=f"{letters},{axes}->{letters}",
        output_shape=x.shape[1:],
        bias_axes=axes if inside else None,
        **training(site, kernel="gamma", **({"bias": "beta"} if inside else {})),
    )
    return y if inside or not site.has("beta") else _plus(site, y, learnt(site, "beta", x))


def _plus(site: Site, x: Tensor, term: Tensor) -> Tensor:
    """x + term. The term comes first: Keras's `add` on TensorFlow takes a second operand of one
    size only for a bias of whatever dimension has that size, the last one before all others.
    """
    return site.op(site.ops.add, _spread(site, x, term), x)


def _part(site: Site, rank: int | None) -> tuple[Layout, list[int]]:
    """The axes that the coefficient covers, and their dimensions, in TensorFlow's order."""
    data = site.bottom
    first, end = site.family.span(site.layer, data.shape, rank)
    dims = [d for d, (axis,) in enumerate(data.dims) if first <= axis < end]
    return data.part(first, end), dims


def _spread(site: Site, x: Tensor, coefficient: Tensor) -> Tensor:
    """The coefficient with a size of 1 wherever it broadcasts."""
    _, dims = _part(site, len(coefficient.shape))
    sizes = [coefficient.shape[dims.index(d)] if d in dims else 1 for d in range(len(x.shape))]
    if len(sizes) == len(coefficient.shape):
        return coefficient
    return site.reshaped(coefficient, sizes)
