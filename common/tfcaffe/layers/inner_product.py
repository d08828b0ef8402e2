"""InnerProduct and Embed. Source: inner_product_layer.cpp, embed_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

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
    vector,
)
from tfcaffe.layout import Pattern


@register("InnerProduct")
class InnerProduct(Family):
    """Flattens from `axis` on in Caffe's order and multiplies; weights are `[N, K]`.

    TensorFlow flattens in its own order, so the rows of the kernel are permuted instead.
    """

    field = "inner_product_param"
    reads = fields("num_output bias_term axis transpose")
    inert = fields("weight_filler bias_filler")

    def check(self, layer: Layer) -> None:
        if self.options(layer).num_output < 1:
            raise NetError(f"{layer}: num_output must be at least 1")

    def axis(self, layer: Layer, rank: int) -> int:
        """The first axis that is multiplied away."""
        return canonical_axis(layer, self.options(layer).axis, rank)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        kept = bottoms[0][: self.axis(layer, len(bottoms[0]))]
        return [(*kept, self.options(layer).num_output)]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        bottom = bottoms[0]
        axis = self.axis(layer, len(bottom.axes))
        in_front = all(len(a) == 1 for a in bottom.axes[:axis]) and bottom.dims[:axis] == tuple(
            (i,) for i in range(axis)
        )
        needed = bottom if in_front else Layout.caffe(bottom.shape)
        return Layouts((needed,), (Layout.caffe(tops[0]),))

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        options, bottom = self.options(layer), bottoms[0]
        axis = self.axis(layer, len(bottom.axes))
        inputs = prod(int(s or 0) for s in bottom.shape[axis:])
        tf, caffe, sizes = bottom.flattened(axis)
        if options.transpose:
            shape: Shape = (inputs, options.num_output)
            layout = Pattern(f"({tf}) o -> ({caffe}) o", sizes)
        else:
            shape = (options.num_output, inputs)
            layout = Pattern(f"({tf}) o -> o ({caffe})", sizes)
        params = [Param("weights", shape, layout, "weight_filler")]
        if options.bias_term:
            params.append(Param("bias", *vector(options.num_output), filler="bias_filler"))
        return params

    def macs(self, layer: Layer, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return prod(bottoms[0]) * int(self.options(layer).num_output)


@register("Embed")
class Embed(Family):
    """Rows of a table looked up by index (a float that is cast); weights are `[input_dim, N]`."""

    field = "embed_param"
    reads = fields("num_output input_dim bias_term")
    inert = fields("weight_filler bias_filler")

    def check(self, layer: Layer) -> None:
        options = self.options(layer)
        if options.num_output < 1 or options.input_dim < 1:
            raise NetError(f"{layer}: num_output and input_dim must be at least 1")

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        return [(*bottoms[0], self.options(layer).num_output)]

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        options = self.options(layer)
        table = (options.input_dim, options.num_output)
        params = [Param("weights", table, Pattern("i o -> i o"), "weight_filler")]
        if options.bias_term:
            params.append(Param("bias", *vector(options.num_output), filler="bias_filler"))
        return params
