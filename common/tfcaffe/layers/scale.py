"""Scale and Bias: factors and terms that broadcast to the left and to the right.

Source: scale_layer.cpp, bias_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfcaffe.errors import NetError
from tfcaffe.layers.base import (
    Family,
    Layer,
    Layout,
    Layouts,
    Param,
    Shape,
    canonical_axis,
    fields,
    register,
    simple,
)


class _Coefficient(Family):
    """A coefficient over the axes from `axis` on: a blob, or the second bottom."""

    reads = fields("axis num_axes bias_term")
    inert = fields("filler bias_filler")
    bottoms = (1, 2)
    in_place = True

    def span(self, layer: Layer, shape: Sequence[int | None], rank: int | None) -> tuple[int, int]:
        """First axis and one past the last that the coefficient covers.

        Args:
            rank: axes of the second bottom, which says the count in place of num_axes.
        """
        options = self.options(layer)
        if rank == 0:
            return 0, 0
        axis = canonical_axis(layer, options.axis, len(shape))
        axes = options.num_axes if rank is None else rank
        end = len(shape) if axes == -1 else axis + axes
        if axes < -1 or end > len(shape):
            raise NetError(
                f"{layer}: axis {options.axis} and {axes} axes reach beyond its bottom "
                f"{list(shape)}"
            )
        return axis, end

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        if len(bottoms) == 2:
            first, end = self.span(layer, bottoms[0], len(bottoms[1]))
            if bottoms[0][first:end] != bottoms[1]:
                raise NetError(
                    f"{layer}: its second bottom has the shape {list(bottoms[1])}, which is not "
                    f"the first's {list(bottoms[0])} from axis {first} on"
                )
        return [bottoms[0]]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        data = simple(bottoms[0])
        if len(bottoms) == 1:
            return Layouts((data,), (data,))
        first, end = self.span(layer, data.shape, len(bottoms[1].axes))
        return Layouts((data, data.part(first, end)), (data,))

    def _param(self, layer: Layer, role: str, filler: str, bottoms: Sequence[Layout]) -> Param:
        data = bottoms[0]
        rank = len(bottoms[1].axes) if len(bottoms) == 2 else None
        part = data.part(*self.span(layer, data.shape, rank))
        return Param(role, tuple(int(s or 0) for s in part.shape), part.pattern(), filler)


@register("Scale")
class Scale(_Coefficient):
    """x · gamma (+ beta), gamma a blob or the second bottom; then the only blob is beta."""

    field = "scale_param"

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        params = []
        if len(bottoms) == 1:
            params.append(self._param(layer, "gamma", "filler", bottoms))
        if self.options(layer).bias_term:
            params.append(self._param(layer, "beta", "bias_filler", bottoms))
        return params


@register("Bias")
class Bias(_Coefficient):
    """x + bias, a blob or the second bottom."""

    field = "bias_param"
    reads = fields("axis num_axes")

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        return [self._param(layer, "bias", "filler", bottoms)] if len(bottoms) == 1 else []
