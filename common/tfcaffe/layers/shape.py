"""Layers that only rearrange: Reshape, Flatten, Crop and Split.

Source: reshape_layer.cpp, flatten_layer.cpp, crop_layer.cpp, split_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    simple,
)
from tfcaffe.layout import reshaped


class _Reshaped(Family):
    """The same numbers in Caffe's memory order under another shape."""

    def check(self, layer: Layer) -> None:
        if set(layer.bottoms) & set(layer.tops):
            raise NetError(f"{layer}: Caffe does not run it in place; give it another top")

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        before, after = reshaped(bottoms[0], tops[0])
        return Layouts((before,), (after,))


@register("Reshape")
class Reshape(_Reshaped):
    """`shape` over the axes from `axis` on: 0 copies the bottom's size, one -1 is what is left."""

    field = "reshape_param"
    reads = fields("shape axis num_axes")

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        options, bottom = self.options(layer), bottoms[0]
        rank = len(bottom)
        start = options.axis if options.axis >= 0 else rank + options.axis + 1
        end = rank if options.num_axes == -1 else start + options.num_axes
        if not 0 <= start <= end <= rank or options.num_axes < -1:
            raise NetError(
                f"{layer}: axis {options.axis} and num_axes {options.num_axes} do not fit its "
                f"bottom {list(bottom)}"
            )
        dims = list(options.shape.dim)
        if dims.count(-1) > 1 or any(d < -1 for d in dims):
            raise NetError(f"{layer}: shape {dims} may have one -1 and no other negative size")
        middle = []
        for i, size in enumerate(dims):
            if size == 0 and start + i >= rank:
                raise NetError(
                    f"{layer}: dim {i} is 0, but its bottom {list(bottom)} has no "
                    f"axis {start + i} to copy"
                )
            middle.append(bottom[start + i] if size == 0 else size)
        if -1 in middle:
            known = prod(bottom[:start]) * prod(bottom[end:]) * -prod(middle)
            if known == 0 or prod(bottom) % known:
                raise NetError(f"{layer}: {list(bottom)} does not divide into the shape {dims}")
            middle[middle.index(-1)] = prod(bottom) // known
        shape = (*bottom[:start], *middle, *bottom[end:])
        if prod(shape) != prod(bottom):
            raise NetError(
                f"{layer}: cannot reshape {list(bottom)} ({prod(bottom)} numbers) to "
                f"{list(shape)} ({prod(shape)})"
            )
        return [shape]


@register("Flatten")
class Flatten(_Reshaped):
    """The axes from `axis` to `end_axis` as one."""

    field = "flatten_param"
    reads = fields("axis end_axis")

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        options, bottom = self.options(layer), bottoms[0]
        start = canonical_axis(layer, options.axis, len(bottom))
        end = canonical_axis(layer, options.end_axis, len(bottom), "end_axis")
        if end < start:
            raise NetError(f"{layer}: end_axis {options.end_axis} is before axis {options.axis}")
        return [(*bottom[:start], prod(bottom[start : end + 1]), *bottom[end + 1 :])]


@register("Crop")
class Crop(Family):
    """The first bottom cut to the second's sizes from `axis` on, beginning at `offset`."""

    field = "crop_param"
    reads = fields("axis offset")
    bottoms = (2, 2)

    def offsets(self, layer: Layer, rank: int) -> list[int]:
        """Where the cut begins on each axis (0 before `axis`)."""
        options = self.options(layer)
        axis = canonical_axis(layer, options.axis, rank)
        given, cropped = list(options.offset), rank - axis
        if len(given) > 1 and len(given) != cropped:
            raise NetError(
                f"{layer}: {len(given)} offsets for {cropped} cropped axes; give none, one or "
                f"{cropped}"
            )
        return [0] * axis + (given if len(given) > 1 else (given or [0]) * cropped)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        data, reference = bottoms
        if len(data) != len(reference):
            raise NetError(
                f"{layer}: its bottoms have {len(data)} and {len(reference)} axes; they must agree"
            )
        axis = canonical_axis(layer, self.options(layer).axis, len(data))
        shape = (*data[:axis], *reference[axis:])
        for i, offset in enumerate(self.offsets(layer, len(data))):
            if offset + shape[i] > data[i]:
                raise NetError(
                    f"{layer}: axis {i} cannot be cut to {shape[i]} from {offset} on, it has "
                    f"{data[i]}"
                )
        return [shape]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        data = simple(bottoms[0])
        return Layouts((data, bottoms[1]), (Layout.caffe(tops[0]).ordered(data.dims),))


@register("Split")
class Split(Elementwise):
    """The bottom under several names."""

    tops = (1, None)
