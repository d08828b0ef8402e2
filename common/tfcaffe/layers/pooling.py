"""Pooling: Caffe rounds up, clips windows and counts pads in its own way.

Source: pooling_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfcaffe import geometry
from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.geometry import Geometry
from tfcaffe.layers.base import Family, Layer, Layout, Layouts, Shape, fields, register, said

MAX, AVE = 0, 1


@register("Pooling")
class Pooling(Family):
    """MAX and AVE over windows; global, ceil and floor rounding, any pad smaller than a kernel."""

    field = "pooling_param"
    reads = fields(
        "pool pad pad_h pad_w kernel_size kernel_h "
        "kernel_w stride stride_h stride_w global_pooling round_mode ceil_mode"
    )
    inert = fields("engine")
    tops = (1, 2)
    spatial = True

    def check(self, layer: Layer) -> None:
        options = self.options(layer)
        if options.pool not in (MAX, AVE):
            raise UnsupportedError(f"{layer}: pool STOCHASTIC is not supported; MAX and AVE are")
        if len(layer.tops) > 1:
            raise UnsupportedError(
                f"{layer}: its second top {layer.tops[1]!r} (the mask of a MAX pooling) is not "
                "supported; remove it if nothing needs it"
            )

    def geometry(self, layer: Layer, bottom: Sequence[int | None]) -> Geometry:
        """Kernel, stride and pad; a global pooling's kernel is the bottom's size."""
        if len(bottom) != 4:
            raise NetError(f"{layer}: pools blobs of 4 axes, its bottom has {list(bottom)}")
        size = tuple(int(s or 0) for s in bottom[2:])
        return geometry.pooling(layer, self.options(layer), size)

    def rounds_up(self, layer: Layer) -> bool:
        """Caffe's default; BVLC's round_mode or the forks' ceil_mode say otherwise."""
        options = self.options(layer)
        if said(options, "ceil_mode") and said(options, "round_mode"):
            raise NetError(f"{layer}: give round_mode or ceil_mode, not both")
        if said(options, "ceil_mode"):
            return bool(options.ceil_mode)
        return bool(options.round_mode == 0)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        bottom = bottoms[0]
        g = self.geometry(layer, bottom)
        spatial = tuple(
            pooled_size(size, k, s, p, ceil=self.rounds_up(layer), clip=any(g.pad))
            for size, k, s, p in zip(bottom[2:], g.kernel, g.stride, g.pad, strict=True)
        )
        return [(*bottom[:2], *spatial)]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        return Layouts(
            (Layout.channels_last(bottoms[0].shape),),
            tuple(Layout.channels_last(top) for top in tops),
        )


def pooled_size(size: int, kernel: int, stride: int, pad: int, *, ceil: bool, clip: bool) -> int:
    """The pooled size of one axis.

    Args:
        clip: whether either axis has a pad: only then is a last window that would start in the
            far pad dropped.
    """
    span = size + 2 * pad - kernel
    pooled = -(-span // stride) + 1 if ceil else span // stride + 1
    if clip and (pooled - 1) * stride >= size + pad:
        pooled -= 1
    return pooled
