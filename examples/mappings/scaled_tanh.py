"""A layer type of a forked Caffe: ScaledTanh, scale · tanh(x), with a scale learnt per channel.

A mapping needs no more than this half of a plugin; `convert -o net.keras` needs a builder, too
(examples/plugin.py has one).
"""

from collections.abc import Sequence

from tfcaffe.layers.base import Elementwise, Layer, Layout, Param, register, vector


@register("ScaledTanh")
class ScaledTanh(Elementwise):
    """One blob, called `scale`: a number for each channel (axis 1)."""

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        channels = int(bottoms[0].shape[1] or 0)
        return [Param("scale", *vector(channels))]
