"""BatchNorm (with the Scale that is merged into it), LRN and MVN."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from caffe2tf.layers.training import training
from caffe2tf.site import Site, Tensor, builds, is_trainable
from tfcaffe.layers.normalisation import ACROSS_CHANNELS, of_batch

_AFFINE = ("gamma", "beta")  # the Scale's roles, and Keras's names


@builds("BatchNorm")
def batch_norm(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """BatchNormalization; its gamma and beta are those of the Scale that is merged into it.

    Not trainable, it uses the statistics that it has, as Caffe does with `use_global_stats`; else
    training uses and collects those of the batches. BatchNorm's own lr_mult are always 0 in Caffe
    and freeze nothing; the Scale's may. Source: batch_norm_layer.cpp.
    """
    x, scale = bottoms[0], site.merged
    if of_batch(site.layer):
        return _by_its_own_statistics(site, x)
    affine = {} if scale is None else {r: scale.weight(r) for r in _AFFINE if scale.has(r)}
    free = scale is None or is_trainable(scale.planned)
    fixed = site.options.HasField("use_global_stats") and site.options.use_global_stats
    axis = site.bottom.dim(1)
    return site.learn(
        "BatchNormalization",
        x,
        {
            "moving_mean": site.weight("mean"),
            "moving_variance": site.weight("variance"),
            **affine,
        },
        axis=-1 if axis == len(x.shape) - 1 else axis,  # Keras reshapes nothing for -1
        epsilon=site.options.eps,
        momentum=site.options.moving_average_fraction,
        center="beta" in affine,
        scale="gamma" in affine,
        trainable=free and not fixed,
        **({} if scale is None else training(scale, gamma="gamma", beta="beta")),
    )


def _by_its_own_statistics(site: Site, x: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + eps) with the mean and variance of the batch."""
    dims = tuple(d for d in range(len(x.shape)) if d != site.bottom.dim(1))
    mean = site.op(site.ops.mean, x, axis=dims, keepdims=True)
    centred = site.op(site.ops.subtract, x, mean)  # Subtract would take the mean's batch of 1
    squares = site.add("Multiply", centred, centred)
    variance = site.op(site.ops.mean, squares, axis=dims, keepdims=True)
    variance = site.add("Rescaling", variance, scale=1.0, offset=site.options.eps)
    return site.op(site.ops.divide, centred, site.op(site.ops.sqrt, variance))


@builds("LRN")
def lrn(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """x · (k + alpha · mean of squares) ^ -beta; `alpha` is Caffe's own, over the window's mean."""
    x, options = bottoms[0], site.options
    size = options.local_size
    squares = site.add("Multiply", x, x)
    if options.norm_region == ACROSS_CHANNELS:
        total = _over_channels(site, squares, size)
        scale, offset = options.alpha / size, options.k
    else:
        reach = (size - 1) // 2
        padded = site.add("ZeroPadding2D", squares, padding=reach)
        total = site.add("AveragePooling2D", padded, pool_size=size, strides=1)
        scale, offset = options.alpha, 1.0
    base = site.add("Rescaling", total, scale=scale, offset=offset)
    return site.add("Multiply", x, site.op(site.ops.power, base, -options.beta))


def _over_channels(site: Site, squares: Tensor, size: int) -> Tensor:
    """The sum over `size` neighbouring channels: as many shifted slices, added."""
    if size == 1:
        return squares
    reach, channels = (size - 1) // 2, site.fixed(1)
    padded = site.op(site.ops.pad, squares, [[0, 0]] * 3 + [[reach, reach]])
    slices = [
        site.op(operator.getitem, padded, (Ellipsis, slice(i, i + channels))) for i in range(size)
    ]
    return site.add("Add", *slices)


@builds("MVN")
def mvn(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """(x - mean) / (standard deviation + eps), over H and W or over all of an image."""
    x, options = bottoms[0], site.options
    axes = range(1, 4) if options.across_channels else range(2, 4)
    dims = tuple(site.bottom.dim(axis) for axis in axes)
    mean = _mean(site, x, dims)
    centred = site.add("Subtract", x, mean)
    if not options.normalize_variance:
        return centred
    variance = _mean(site, site.add("Multiply", centred, centred), dims)
    deviation = site.op(site.ops.sqrt, variance)
    deviation = site.add("Rescaling", deviation, scale=1.0, offset=options.eps)
    return site.op(site.ops.divide, centred, deviation)


def _mean(site: Site, x: Tensor, dims: tuple[int, ...]) -> Tensor:
    if dims == (1, 2):
        return site.add("GlobalAveragePooling2D", x, keepdims=True)
    return site.op(site.ops.mean, x, axis=dims, keepdims=True)
