"""Single factors of a layout: which axes hold them, axes of their own for them, without them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tfcaffe.layout import Layout


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


def apart(layout: Layout, factors: Collection[int]) -> Layout:
    """The layout with no axis that holds one of these factors and another one."""
    split: list[tuple[int | None, ...]] = []
    start = 0
    for axis in layout.axes:
        numbers = range(start, start + len(axis))
        start += len(axis)
        inside = {i in factors for i in numbers if layout.factors[i] != 1}
        split += [axis] if len(inside) < 2 else [(size,) for size in axis]
    return Layout(tuple(split), layout.dims)


def run_of(some_axes: Sequence[int], sizes: Sequence[int]) -> range:
    """The first of some axes with those behind it that are among them or of size 1."""
    end = some_axes[0] + 1
    while end < len(sizes) and (end in some_axes or sizes[end] == 1):
        end += 1
    return range(some_axes[0], end)
