"""Blobs with an axis for one of TensorFlow's dimensions, and constants as blobs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf2caffe.graph import Tensor
from tf2caffe.net import axes
from tf2caffe.net.site import Site
from tf2caffe.net.value import Blob, Numbers, Value
from tfcaffe.layout import Layout

_RESHAPE = 1  # what a Reshape costs, where a number that moves costs 1000
_MOVE = 1000


def alone(site: Site, value: Value, dimension: int) -> tuple[Value, int]:
    """The value with an axis for one dimension alone, and that axis."""
    layout = _layout(value, dimension)
    value = site.to(value, layout)
    return value, _axis(value, dimension)


def together(site: Site, values: Sequence[Value], dimension: int) -> tuple[list[Value], int]:
    """Values that agree in all sizes but one, lying alike with an axis for it; and that axis.

    Of the ways in which one of them lies the one that moves the fewest numbers is taken.
    """
    best: list[Layout] = []
    least = None
    for layout in [_layout(value, dimension) for value in values] + [values[0].plain()]:
        axis = Value(Blob(axes.fixed(layout.shape)), layout).axis_of(dimension)
        if axis is None:
            continue
        wanted = [axes.resized(layout, axis, dimension, v.tf_shape[dimension]) for v in values]
        cost = sum(_cost(v, w) for v, w in zip(values, wanted, strict=True))
        if least is None or cost < least:
            best, least = wanted, cost
    found = [site.to(v, w) for v, w in zip(values, best, strict=True)]
    return found, _axis(found[0], dimension)


def changed(value: Value, axis: int, dimension: int, size: int) -> Layout:
    """How a value lies after a layer that gives its axis for a dimension another size."""
    return axes.resized(value.layout, axis, dimension, size)


def operand(site: Site, index: int) -> Value:
    """An input as a blob, also a constant."""
    if not site.is_constant(index):
        return site.value(index)
    tensor: Tensor = site.node.inputs[index]
    return parameter(site, tensor.shape, lambda: site.constant(index))


def parameter(site: Site, shape: Sequence[int], numbers: Numbers, hint: str = "constant") -> Value:
    """Fixed numbers as a blob: a Parameter layer, whose weights are its top."""
    top = site.layer("Parameter", caffe={"weights": numbers}, hint=hint, shape={"dim": list(shape)})
    return top.raw


def _layout(value: Value, dimension: int) -> Layout:
    """How the value has an axis for the dimension with the least effort."""
    if value.axis_of(dimension) is not None:
        return value.layout
    own = axes.isolated if value.tf_shape[dimension] > 1 else axes.inserted
    return own(value.layout, dimension) or value.plain()


def _axis(value: Value, dimension: int) -> int:
    axis = value.axis_of(dimension)
    assert axis is not None
    return axis


def _cost(value: Value, want: Layout) -> int:
    if not axes.alike(value.layout, want):
        return _MOVE * int(np.prod(value.shape))
    return 0 if value.shape == want.shape else _RESHAPE
