"""Layers along an axis: Softmax, Concat, Slice, Tile, Reduction and ArgMax."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from caffe2tf.site import Site, Tensor, builds


@builds("Softmax")
def softmax(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    axis = site.family.axis(site.layer, len(site.bottom.axes))
    return site.add("Softmax", bottoms[0], axis=site.bottom.dim(axis))


@builds("Concat")
def concat(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    if len(bottoms) == 1:
        return bottoms[0]
    axis = site.family.axis(site.layer, len(site.bottom.axes))
    return site.add("Concatenate", *bottoms, axis=site.bottom.dim(axis))


@builds("Slice")
def cut(site: Site, bottoms: Sequence[Tensor]) -> list[Tensor]:
    if len(site.layer.tops) == 1:
        return [bottoms[0]]
    axis = site.family.axis(site.layer, len(site.bottom.axes))
    size = site.bottom.shape[axis]
    points: list[int] | int = list(site.options.slice_point) or len(site.layer.tops)
    if size is not None:
        points = site.family.points(site.layer, size)
    return list(site.op(site.ops.split, bottoms[0], points, axis=site.bottom.dim(axis)))


@builds("Tile")
def tile(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    repeats = [1] * len(site.bottom.dims)
    axis = site.family.axis(site.layer, len(repeats))
    repeats[site.bottom.dim(axis)] = site.options.tiles
    return site.op(site.ops.tile, bottoms[0], repeats)


@builds("Reduction")
def reduction(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Source: reduction_layer.cpp. MEAN divides by the count, then all are times coeff."""
    options = type(site.options)
    x, coeff = bottoms[0], site.options.coeff
    if site.options.operation == options.ASUM:
        x = site.op(site.ops.abs, x)
    elif site.options.operation == options.SUMSQ:
        x = site.add("Multiply", x, x)
    reduce: Any = site.ops.mean if site.options.operation == options.MEAN else site.ops.sum
    rank = len(site.bottom.axes)
    first = site.family.axis(site.layer, rank)
    dims = tuple(site.bottom.dim(axis) for axis in range(first, rank))
    y = site.op(reduce, x, axis=dims)
    return y if coeff == 1 else site.add("Rescaling", y, scale=coeff)


@builds("ArgMax")
def argmax(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """The k largest, the largest index first among equals: so the axis is turned round first."""
    x, k = bottoms[0], site.options.top_k
    rank = len(site.bottom.axes)
    axis = site.family.axis(site.layer, rank)
    if axis is None:
        size = prod(site.fixed(axis) for axis in range(1, rank))
        values, indices = _largest(site, site.reshaped(x, [x.shape[0], 1, size]), size, k)
        if site.options.out_max_val:
            indices = site.add("Concatenate", indices, values, axis=1)
        shape = site.top.tf_shape
        return indices if len(shape) == 3 else site.reshaped(indices, shape)
    dim, size = site.bottom.dim(axis), site.fixed(axis)
    last = rank - 1
    values, indices = _largest(site, _swapped(site, x, dim, last), size, k)
    return _swapped(site, values if site.options.out_max_val else indices, dim, last)


def _swapped(site: Site, x: Tensor, one: int, other: int) -> Tensor:
    dims = list(range(len(x.shape)))
    dims[one], dims[other] = dims[other], dims[one]
    if one == other:
        return x
    if dims[0] == 0:
        return site.add("Permute", x, dims=dims[1:])
    return site.op(site.ops.transpose, x, dims)


def _largest(site: Site, x: Tensor, size: int, k: int) -> tuple[Tensor, Tensor]:
    """Values and indices (as floats) of the k largest along the last dimension."""
    turned = site.op(site.ops.flip, x, axis=-1)
    values, found = site.op(site.ops.top_k, turned, k)
    indices = site.op(site.ops.cast, found, "float32")
    return values, site.add("Rescaling", indices, scale=-1.0, offset=float(size - 1))
