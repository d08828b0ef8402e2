"""x · constant + constant: a Power for single numbers, else a Scale over the axes they vary on."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from tf2caffe.graph import Array
from tf2caffe.net import axes
from tf2caffe.net.broadcast import filled
from tf2caffe.net.factors import axes_of, of_dimensions, shrunk
from tf2caffe.net.linear import folds_scale
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.patterns.affine import chained


@op("affine")
def chain(site: Site) -> Value:
    """The steps that a pattern found (patterns/affine.py), in float64 and rounded once."""
    x = site.value()
    factor, term = chained(site.node)
    return affine(site, x, factor, term, learned=site.attrs["learned"])


def affine(
    site: Site,
    x: Value,
    factor: Array | float,
    term: Array | float = 0.0,
    *,
    learned: bool = False,
    hint: str = "",
) -> Value:
    """x · factor + term, of constants that may be larger than x.

    Args:
        learned: whether these are weights of the network; then they stay one for each channel
            even if all are equal.
    """
    factor, term = np.asarray(factor), np.asarray(term)
    x = filled(site, x, np.broadcast_shapes(x.tf_shape, factor.shape, term.shape))
    single = all(a.size == 1 or (not learned and np.all(a == a.flat[0])) for a in (factor, term))
    if single:
        scale, shift = float(factor.flat[0]), float(term.flat[0])
        if scale == 1 and shift == 0:
            return x
        return site.power(x, scale=scale, shift=shift, hint=hint)
    rank = len(x.tf_shape)
    factor, term = (a.reshape(axes.ranked(a.shape, rank)) for a in (factor, term))
    repeated = range(rank)[: 1 if learned else None]  # no weights are of single images
    factor, term = _unrepeated(factor, repeated), _unrepeated(term, repeated)
    varied = [d for d in range(rank) if factor.shape[d] != 1 or term.shape[d] != 1]
    touched = axes_of(x.layout, of_dimensions(x.layout, varied)) or [0]
    first, end = touched[0], touched[-1] + 1
    owner = [axis for axis, axis_ in enumerate(x.layout.axes) for _ in axis_]
    outside = {i for i, axis in enumerate(owner) if not first <= axis < end}
    part = shrunk(x.layout, outside)

    def laid(array: Array) -> Array:
        full = np.broadcast_to(array.astype(np.float32), part.tf_shape)  # type: ignore[arg-type]
        return part.pattern().to_caffe(full).reshape(x.shape[first:end])

    with_term = bool(term.any() or (learned and term.size > 1))
    numbers = {"gamma": laid(factor)} | ({"beta": laid(term)} if with_term else {})
    plain = x.blob.raw
    allowed = site.dialect.allows("Scale", axis=first, num_axes=end - first)
    if first > 0 and (not allowed or ((first, end) != (1, 2) and folds_scale(x))):
        plain, numbers = _on_axis_1(site, plain, first, end, numbers)
        first, end = 1, 2
    top = site.layer(
        "Scale",
        plain,
        caffe=numbers,
        hint=hint or "scale",
        axis=first,
        num_axes=end - first,
        bias_term="beta" in numbers,
    )
    if top.shape == x.shape:
        return Value(top, x.layout)
    return Value(site.reshape(top.raw, x.shape).blob, x.layout)


def _unrepeated(array: Array, over: Iterable[int]) -> Array:
    """Of size 1 along those of these axes where all numbers are the same."""
    for axis in over:
        first = array.take([0], axis)
        if array.shape[axis] > 1 and np.array_equal(array, np.broadcast_to(first, array.shape)):
            array = first
    return array


def _on_axis_1(
    site: Site, x: Value, first: int, end: int, numbers: dict[str, Array]
) -> tuple[Value, dict[str, Array]]:
    """Numbers over axes `first` to before `end` as one for each of as many channels."""
    inner = prod(x.shape[end:])
    shape = (x.shape[0], prod(x.shape[1:end]), *([inner, 1] if inner > 1 else []))
    repeats = prod(x.shape[1:first])
    return site.reshape(x, shape), {
        role: np.tile(array.reshape(-1), repeats) for role, array in numbers.items()
    }
