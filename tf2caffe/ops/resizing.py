"""Images of other sizes: whatever the rule, a matrix along H and one along W.

TensorFlow itself makes the matrices, of images that have a single one in each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np

from tf2caffe.graph import Tensor
from tf2caffe.net import windows
from tf2caffe.net.linear import applied, depthwise, resized, scaled_map, spread
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op

_RULES = ("align_corners", "half_pixel_centers", "kernel_type", "antialias")
_EXACT = 1e-6  # of weights that are the same but for rounding
# What takes as long as so many multiply-adds of a matrix product: a number that a depthwise
# (De)convolution adds up, and one times the factor of its place (real Caffe, 14 to 224 rows).
_ADDED, _PLACE = 25, 75


@op("ResizeNearestNeighbor", "ResizeBilinear", "ResizeBicubic", "ResizeArea", "ScaleAndTranslate")
def resize(site: Site) -> Value:
    """See `by_matrices`."""
    value = site.value(0)
    x = site.to(value, site.image_layout(value.tf_shape))
    new = Tensor(site.node).shape[1:3]
    if site.node.inputs[1].op in ("Const", "known"):  # a size, no multiple of the image's
        site.fixes(x)
    return by_matrices(site, x, {2 + i: _matrix(site, x.shape, new, i) for i in range(2)})


@op("repeat")
def repeat(site: Site) -> Value:
    """Each place of some dimensions several times in a row."""
    x = site.value(0)
    times = {d: n for d, n in enumerate(site.attrs["times"]) if n != 1}
    x = spread(site, x, list(times))
    matrices = {}
    for dimension, count in times.items():
        axis = x.axis_of(dimension) or 0
        matrices[axis] = np.repeat(np.eye(x.shape[axis], dtype=np.float32), count, axis=1)
    if 0 in matrices:
        raise site.refusal("repeats the batch, which Caffe's layers never change")
    if 1 in matrices:
        x = applied(site, x, {1: matrices.pop(1)}, hint="repeat")
    return by_matrices(site, x, matrices)


def _matrix(site: Site, shape: tuple[int, ...], new: tuple[int, ...], axis: int) -> np.ndarray:
    """What each new row or column (0 or 1) takes of each old one: old size x new size."""
    import tensorflow as tf

    old = shape[2 + axis]
    images = np.eye(old, dtype=np.float32).reshape(old, *((old, 1) if axis == 0 else (1, old)), 1)
    size = (new[0], 1) if axis == 0 else (1, new[1])
    rules = {name: value for name in _RULES if (value := site.attrs.get(name)) is not None}
    more = {}
    if site.node.op == "ScaleAndTranslate":
        scale, shift = (np.asarray(site.constant(i), np.float32) for i in (2, 3))
        more = {
            "scale": np.where(np.arange(2) == axis, scale, 1),
            "translation": np.where(np.arange(2) == axis, shift, 0),
        }
    made = getattr(tf.raw_ops, site.node.op)(images=images, size=size, **more, **rules)
    return np.asarray(made).reshape(old, new[axis])


def by_matrices(site: Site, x: Value, given: Mapping[int, np.ndarray]) -> Value:
    """An image times a matrix along each of some spatial axes.

    Where windows of one kernel with whole strides do the same, that is a depthwise Deconvolution
    or Convolution, and a factor for each place if the border's weights differ; then the one that
    takes less time is taken.
    """
    matrices = {axis: m for axis, m in given.items() if not _same(m)}
    if not matrices:
        return x
    every = [matrices.get(axis, np.eye(x.shape[axis])) for axis in range(2, len(x.shape))]
    for kind, turned in (("Deconvolution", every), ("Convolution", [m.T for m in every])):
        bands = [band(m, 1 if kind == "Deconvolution" else 0) for m in turned]
        found = [b for b in bands if b is not None]
        if len(found) == len(every) and _worth(x, found, matrices):
            return _windows(site, x, found, kind)
    return applied(site, x, matrices, hint="resize")


def _worth(x: Value, bands: Sequence[Band], matrices: Mapping[int, np.ndarray]) -> bool:
    """Whether windows take no longer than matrices do; by the multiply-adds of either."""
    if all(np.all(b.factors == 1) for b in bands):
        return True  # one layer
    shape, products = list(x.shape), 0
    for axis in sorted(matrices, reverse=True):
        old, shape[axis] = shape[axis], matrices[axis].shape[1]
        products += prod(shape) * old
    smaller = min(prod(x.shape), prod(shape))
    added = smaller * prod(len(b.weights) for b in bands)
    return _ADDED * added + _PLACE * prod(shape) <= products


def _same(matrix: np.ndarray) -> bool:
    return matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix)))


@dataclass(frozen=True)
class Band:
    """A matrix whose every row is the same weights, each time `stride` columns further.

    Args:
        weights: these, as many zeros around them as make the pads even.
        pad: how many columns are cut at either end.
        factors: of the columns (or rows), where they are not all 1.
    """

    weights: np.ndarray
    stride: int
    pad: int
    factors: np.ndarray


def band(matrix: np.ndarray, axis: int) -> Band | None:
    """The matrix so, if it can be; with factors of its columns (`axis` 1) or rows (0)."""
    old, new = matrix.shape
    if new % old:
        return None
    stride, middle = new // old, old // 2
    (places,) = np.nonzero(np.abs(matrix[middle]) > _EXACT)
    if not len(places):
        return None
    first, last = int(places[0]), int(places[-1])
    front, behind = middle * stride - first, last + 1 - (middle + 1) * stride
    pad = max(front, behind, 0)
    weights = np.pad(matrix[middle, first : last + 1], (pad - front, pad - behind))
    whole = np.zeros((old, new + 2 * pad))
    for row in range(old):
        whole[row, row * stride : row * stride + len(weights)] = weights
    made = whole[:, pad : pad + new]
    sums = made.sum(1 - axis, keepdims=True)
    if np.any(np.abs(sums) < _EXACT):
        return None
    factors = matrix.sum(1 - axis, keepdims=True) / sums
    if np.abs(made * factors - matrix).max() > _EXACT:
        return None
    factors[np.abs(factors - 1) < _EXACT] = 1
    return Band(weights, stride, pad, factors.reshape(-1))


def _windows(site: Site, x: Value, bands: Sequence[Band], kind: str) -> Value:
    kernel = reduce(np.multiply.outer, [b.weights for b in bands]).astype(np.float32)
    strides = [b.stride for b in bands]
    stride = windows.fields(stride=strides) or {"stride": 1}  # said even so, for some readers
    fields = windows.fields(kernel=kernel.shape, pad=[b.pad for b in bands])
    top = depthwise(site, x, kernel, "resize", kind, **fields, **stride)
    y = Value(top, resized(x, top.shape))
    factors = reduce(np.multiply.outer, [b.factors for b in bands]).astype(np.float32)
    return y if np.all(factors == 1) else scaled_map(site, y, factors, hint="border")
