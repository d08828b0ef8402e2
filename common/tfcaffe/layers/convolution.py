"""Convolution and Deconvolution. Source: base_conv_layer.cpp, conv_layer.cpp, deconv_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tfcaffe import geometry
from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.geometry import Geometry
from tfcaffe.layers.base import (
    Family,
    Layer,
    Layout,
    Layouts,
    Param,
    Shape,
    fields,
    register,
    vector,
)
from tfcaffe.layout import Pattern

_SPATIAL = {1: "w", 2: "h w", 3: "d h w"}


class _Kernel(Family):
    """What both directions of a convolution share. Every bottom goes through the same weights."""

    field = "convolution_param"
    reads = fields(
        "num_output bias_term pad kernel_size stride dilation pad_h "
        "pad_w kernel_h kernel_w stride_h stride_w group axis"
    )
    inert = fields("weight_filler bias_filler engine force_nd_im2col")
    bottoms = (1, None)
    tops = (1, None)
    spatial = True

    def check(self, layer: Layer) -> None:
        options = self.options(layer)
        if options.axis != 1:
            raise UnsupportedError(
                f"{layer}: convolution_param.axis {options.axis} is not supported, only 1 is"
            )
        if len(layer.bottoms) != len(layer.tops):
            raise NetError(
                f"{layer}: {len(layer.bottoms)} bottoms and {len(layer.tops)} tops; it needs as "
                "many of either"
            )
        if options.num_output < 1 or options.group < 1:
            raise NetError(f"{layer}: num_output and group must be at least 1")

    def geometry(self, layer: Layer, bottom: Sequence[int | None]) -> Geometry:
        """Kernel, stride, pad and dilation for a bottom of this shape."""
        axes = len(bottom) - 2
        if axes not in _SPATIAL:
            raise UnsupportedError(
                f"{layer}: its bottom has the shape {list(bottom)}; one to three spatial axes "
                "after N and C are supported"
            )
        return geometry.convolution(layer, self.options(layer), axes)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        for name, bottom in zip(layer.bottoms, bottoms, strict=True):
            if bottom != bottoms[0]:
                raise NetError(
                    f"{layer}: bottom {name!r} has the shape {list(bottom)}, its first bottom "
                    f"{list(bottoms[0])}; they must agree"
                )
        return [self.top_shape(layer, bottom) for bottom in bottoms]

    def top_shape(self, layer: Layer, bottom: Shape) -> Shape:
        """The top's shape for one bottom's."""
        raise NotImplementedError

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        return Layouts(
            tuple(Layout.channels_last(b.shape) for b in bottoms),
            tuple(Layout.channels_last(t) for t in tops),
        )

    def groups(self, layer: Layer, channels: int) -> int:
        """The group count, which must divide the channels on both sides."""
        options = self.options(layer)
        if channels % options.group or options.num_output % options.group:
            raise NetError(
                f"{layer}: group {options.group} divides {channels} input channels and "
                f"num_output {options.num_output} only with a remainder"
            )
        return int(options.group)

    def _bias(self, layer: Layer) -> list[Param]:
        options = self.options(layer)
        if not options.bias_term:
            return []
        return [Param("bias", *vector(options.num_output), filler="bias_filler")]


@register("Convolution")
class Convolution(_Kernel):
    """Cross-correlation; weights are `[num_output, channels / group, kernel…]`."""

    def top_shape(self, layer: Layer, bottom: Shape) -> Shape:
        g = self.geometry(layer, bottom)
        spatial = tuple(
            (size + 2 * pad - extent) // stride + 1
            for size, pad, extent, stride in zip(bottom[2:], g.pad, g.extent, g.stride, strict=True)
        )
        if any(s + 2 * p < e for s, p, e in zip(bottom[2:], g.pad, g.extent, strict=True)):
            raise NetError(
                f"{layer}: its kernel spans {list(g.extent)}, more than the padded bottom "
                f"{list(bottom)}"
            )
        return (bottom[0], self.options(layer).num_output, *spatial)

    def depthwise(self, layer: Layer, channels: int) -> bool:
        """Whether each input channel is a group of its own (Keras's DepthwiseConv2D)."""
        return 1 < channels == self.groups(layer, channels)

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        shape = bottoms[0].shape
        channels, out = int(shape[1] or 0), self.options(layer).num_output
        kernel = self.geometry(layer, shape).kernel
        axes = _SPATIAL[len(kernel)]
        group = self.groups(layer, channels)
        if self.depthwise(layer, channels):
            layout = Pattern(f"{axes} c m -> (c m) 1 {axes}", {"c": channels})
        else:
            layout = Pattern(f"{axes} i o -> o i {axes}")
        weights = Param("weights", (out, channels // group, *kernel), layout, "weight_filler")
        return [weights, *self._bias(layer)]

    def macs(self, layer: Layer, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        kernel = prod(self.geometry(layer, bottoms[0]).kernel)
        per_output = kernel * bottoms[0][1] // self.options(layer).group
        return int(sum(prod(top) for top in tops) * per_output)


@register("Deconvolution")
class Deconvolution(_Kernel):
    """Transposed convolution; weights are `[channels, num_output / group, kernel…]`."""

    def top_shape(self, layer: Layer, bottom: Shape) -> Shape:
        g = self.geometry(layer, bottom)
        spatial = tuple(
            stride * (size - 1) + extent - 2 * pad
            for size, pad, extent, stride in zip(bottom[2:], g.pad, g.extent, g.stride, strict=True)
        )
        return (bottom[0], self.options(layer).num_output, *spatial)

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        shape = bottoms[0].shape
        channels, out = int(shape[1] or 0), self.options(layer).num_output
        kernel = self.geometry(layer, shape).kernel
        axes = _SPATIAL[len(kernel)]
        group = self.groups(layer, channels)
        layout = Pattern(f"{axes} o i -> i o {axes}")
        weights = Param("weights", (channels, out // group, *kernel), layout, "weight_filler")
        return [weights, *self._bias(layer)]

    def macs(self, layer: Layer, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        options = self.options(layer)
        per_input = prod(self.geometry(layer, bottoms[0]).kernel) * options.num_output
        return int(sum(prod(bottom) for bottom in bottoms) * per_input // options.group)
