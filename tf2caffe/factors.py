"""Single factors of a layout: which axes hold them, axes of their own for them, without them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tfcaffe.layout import Layout

if TYPE_CHECKING:
    from tf2caffe.site import Site, Value


def of_dimensions(layout: Layout, dimensions: Collection[int]) -> set[int]:
    """The factors larger than 1 of TensorFlow's dimensions."""
    return {i for d in dimensions for i in layout.dims[d] if layout.factors[i] != 1}


def axes_of(layout: Layout, factors: Collection[int]) -> list[int]:
    """The blob's axes that hold any of these factors."""
    owner = [a for a, axis in enumerate(layout.axes) for _ in axis]
    return sorted({owner[i] for i in factors})


def shrunk(layout: Layout, factors: Collection[int]) -> Layout:
    """The layout with these factors of size 1."""
    sizes = iter([1 if i in factors else size for i, size in enumerate(layout.factors)])
    return Layout(tuple(tuple(next(sizes) for _ in axis) for axis in layout.axes), layout.dims)


def alone(site: Site, x: Value, factors: Collection[int]) -> Value:
    """The value with these factors and other ones in different axes: nothing, or a Reshape."""
    split: list[tuple[int | None, ...]] = []
    start = 0
    for axis in x.layout.axes:
        numbers = range(start, start + len(axis))
        start += len(axis)
        inside = {i in factors for i in numbers if x.layout.factors[i] != 1}
        split += [axis] if len(inside) < 2 else [(size,) for size in axis]
    return site.to(x, Layout(tuple(split), x.layout.dims))
