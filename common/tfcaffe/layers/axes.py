"""Layers that work along an axis: Softmax, Concat, Slice, Tile, Reduction and ArgMax.

Source: the `.cpp` file of each type's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from tfcaffe.errors import NetError
from tfcaffe.layers.base import (
    Elementwise,
    Family,
    Layer,
    Layout,
    Layouts,
    Shape,
    canonical_axis,
    fields,
    register,
    same,
    simple,
)


@register("Softmax")
class Softmax(Elementwise):
    """exp(x) / sum of exp(x) along `axis` (1: per pixel over the channels)."""

    field = "softmax_param"
    reads = fields("axis")
    inert = fields("engine")
    in_place = True

    def axis(self, layer: Layer, rank: int) -> int:
        """The axis along which the results sum to 1."""
        return canonical_axis(layer, self.options(layer).axis, rank)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        self.axis(layer, len(bottoms[0]))
        return [bottoms[0]]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        return same([simple(bottoms[0])], 1)


@register("Concat")
class Concat(Family):
    """Bottoms joined along `axis`; all their other sizes agree."""

    field = "concat_param"
    reads = fields("axis concat_dim")
    bottoms = (1, None)

    def axis(self, layer: Layer, rank: int) -> int:
        """The axis, from `axis` or the older `concat_dim`, which exclude each other."""
        return _either(layer, self.options(layer), "axis", "concat_dim", rank)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        axis = self.axis(layer, len(bottoms[0]))
        rest = _without(bottoms[0], axis)
        for name, bottom in zip(layer.bottoms, bottoms, strict=True):
            if len(bottom) != len(bottoms[0]) or _without(bottom, axis) != rest:
                raise NetError(
                    f"{layer}: bottom {name!r} has the shape {list(bottom)}, bottom "
                    f"{layer.bottoms[0]!r} {list(bottoms[0])}; they may differ on axis {axis} only"
                )
        joined = sum(bottom[axis] for bottom in bottoms)
        return [(*bottoms[0][:axis], joined, *bottoms[0][axis + 1 :])]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        dims = bottoms[0].dims
        if not all(b.simple and b.dims == dims for b in bottoms):
            dims = Layout.natural(tops[0]).dims
        return Layouts(
            tuple(Layout.caffe(b.shape).ordered(dims) for b in bottoms),
            (Layout.caffe(tops[0]).ordered(dims),),
        )


@register("Slice")
class Slice(Family):
    """One bottom cut along `axis` at `slice_point`, or into equal parts."""

    field = "slice_param"
    reads = fields("axis slice_point slice_dim")
    tops = (1, None)

    def axis(self, layer: Layer, rank: int) -> int:
        """The axis, from `axis` or the older `slice_dim`, which exclude each other."""
        return _either(layer, self.options(layer), "axis", "slice_dim", rank)

    def points(self, layer: Layer, size: int) -> list[int]:
        """Where each top but the first begins, on an axis of this size."""
        points, tops = list(self.options(layer).slice_point), len(layer.tops)
        if not points:
            if size % tops:
                raise NetError(f"{layer}: cuts an axis of {size} into {tops} parts that differ")
            return [i * size // tops for i in range(1, tops)]
        bounds = [0, *points, size]
        if len(points) != tops - 1 or any(a >= b for a, b in pairwise(bounds)):
            raise NetError(
                f"{layer}: slice_point {points} must be {tops - 1} rising numbers between 0 and "
                f"{size}"
            )
        return points

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        bottom = bottoms[0]
        axis = self.axis(layer, len(bottom))
        bounds = [0, *self.points(layer, bottom[axis]), bottom[axis]]
        return [
            (*bottom[:axis], end - start, *bottom[axis + 1 :]) for start, end in pairwise(bounds)
        ]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        needed = simple(bottoms[0])
        return Layouts((needed,), tuple(Layout.caffe(t).ordered(needed.dims) for t in tops))


@register("Tile")
class Tile(Family):
    """The bottom repeated `tiles` times along `axis`."""

    field = "tile_param"
    reads = fields("axis tiles")

    def check(self, layer: Layer) -> None:
        if self.options(layer).tiles < 1:
            raise NetError(f"{layer}: tiles must be at least 1")

    def axis(self, layer: Layer, rank: int) -> int:
        """The axis that grows."""
        return canonical_axis(layer, self.options(layer).axis, rank)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        shape = list(bottoms[0])
        shape[self.axis(layer, len(shape))] *= self.options(layer).tiles
        return [tuple(shape)]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        needed = simple(bottoms[0])
        return Layouts((needed,), (Layout.caffe(tops[0]).ordered(needed.dims),))


@register("Reduction")
class Reduction(Family):
    """SUM, ASUM, SUMSQ or MEAN over all axes from `axis` on, which go away; times `coeff`."""

    field = "reduction_param"
    reads = fields("operation axis coeff")

    def axis(self, layer: Layer, rank: int) -> int:
        """The first axis that goes away."""
        return canonical_axis(layer, self.options(layer).axis, rank)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        return [bottoms[0][: self.axis(layer, len(bottoms[0]))]]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        needed = simple(bottoms[0])
        return Layouts((needed,), (needed.part(0, len(tops[0])),))


@register("ArgMax")
class ArgMax(Family):
    """Indices (as floats) or values of the `top_k` largest; among equals the largest index first.

    Without `axis` over all of C, H and W in Caffe's order: `[N, 1, k, …]`, or `[N, 2, k, …]` with
    indices before values, and 1s up to the bottom's rank. With `axis` that axis becomes k long.
    """

    field = "argmax_param"
    reads = fields("out_max_val top_k axis")

    def axis(self, layer: Layer, rank: int) -> int | None:
        """The axis, or None for everything but the batch."""
        options = self.options(layer)
        return canonical_axis(layer, options.axis, rank) if options.HasField("axis") else None

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        options, bottom = self.options(layer), bottoms[0]
        axis = self.axis(layer, len(bottom))
        size = prod(bottom[1:]) if axis is None else bottom[axis]
        if not 1 <= options.top_k <= size:
            raise NetError(f"{layer}: top_k {options.top_k} is not within 1 and {size}")
        if axis is not None:
            return [(*bottom[:axis], options.top_k, *bottom[axis + 1 :])]
        ones = (1,) * (len(bottom) - 3)
        return [(bottom[0], 2 if options.out_max_val else 1, options.top_k, *ones)]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        if self.axis(layer, len(bottoms[0].axes)) is None:
            return super().layouts(layer, bottoms, tops)
        needed = simple(bottoms[0])
        return Layouts((needed,), (Layout.caffe(tops[0]).ordered(needed.dims),))


def _either(layer: Layer, options: object, new: str, old: str, rank: int) -> int:
    """An axis that has an older, unsigned field beside the newer one."""
    has = options.HasField  # type: ignore[attr-defined]
    if has(new) and has(old):
        raise NetError(f"{layer}: give {new} or {old}, not both")
    return canonical_axis(layer, getattr(options, old if has(old) else new), rank)


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])
