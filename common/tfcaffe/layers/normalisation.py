"""BatchNorm, LRN and MVN. Source: batch_norm_layer.cpp, lrn_layer.cpp, mvn_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.layers.base import (
    Elementwise,
    Family,
    Layer,
    Layout,
    Layouts,
    Param,
    Shape,
    fields,
    register,
    same,
    simple,
    vector,
)

ACROSS_CHANNELS, WITHIN_CHANNEL = 0, 1


def of_batch(layer: Layer) -> bool:
    """Whether a BatchNorm normalises by the statistics of what it is given, in any phase."""
    if layer.type != "BatchNorm":
        return False
    options = layer.message.batch_norm_param
    return bool(options.HasField("use_global_stats") and not options.use_global_stats)


@register("BatchNorm")
class BatchNorm(Elementwise):
    """(x - mean) / sqrt(variance + eps) over axis 1; no gamma and beta (a Scale follows).

    The statistics are stored multiplied by a third blob, the factor; a factor of 0 means that
    both are 0. With `use_global_stats: false` they are not used in phase TEST either.
    """

    field = "batch_norm_param"
    reads = fields("use_global_stats eps")
    inert = fields("moving_average_fraction")
    in_place = True

    def check(self, layer: Layer) -> None:
        if any(spec.lr_mult != 0 for spec in layer.message.param):
            raise NetError(
                f"{layer}: Caffe takes no param with an lr_mult other than 0 here, for statistics "
                "are not learned; set it to 0 or remove the param"
            )

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        if len(bottoms[0]) < 2:
            raise NetError(f"{layer}: needs a bottom of 2 axes or more, not {list(bottoms[0])}")
        return [bottoms[0]]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        return same([simple(bottoms[0])], 1)

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        channels = int(bottoms[0].shape[1] or 0)
        return [
            Param("mean", *vector(channels)),
            Param("variance", *vector(channels)),
            Param("", *vector(1)),
        ]

    def values(self, params: Sequence[Param], blobs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        mean, variance, factor = blobs
        scale = np.float32(0 if factor[0] == 0 else 1 / np.float32(factor[0]))
        return {"mean": mean * scale, "variance": variance * scale}


@register("LRN")
class LRN(Family):
    """Local response normalisation.

    Across channels: x / (k + alpha/n · sum of squares over n channels) ^ beta. Within a channel:
    x · (1 + alpha · average of squares over n × n) ^ -beta, where k is not used and the average
    is that of an AVE pooling with pad (n - 1) / 2.
    """

    field = "lrn_param"
    reads = fields("local_size alpha beta norm_region k")
    inert = fields("engine")

    def check(self, layer: Layer) -> None:
        options = self.options(layer)
        if options.local_size % 2 == 0:
            raise NetError(f"{layer}: local_size must be odd, not {options.local_size}")

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        if len(bottoms[0]) != 4:
            raise NetError(f"{layer}: needs a bottom of 4 axes, not {list(bottoms[0])}")
        return [bottoms[0]]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        return same([Layout.channels_last(bottoms[0].shape)], 1)


@register("MVN")
class MVN(Family):
    """(x - mean) / (std + eps) over H and W, or over C, H and W; eps is added after the root."""

    field = "mvn_param"
    reads = fields("normalize_variance across_channels eps")
    in_place = True

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        if len(bottoms[0]) != 4:
            raise UnsupportedError(
                f"{layer}: only a bottom of 4 axes is supported, not {list(bottoms[0])}"
            )
        return [bottoms[0]]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        return same([simple(bottoms[0])], 1)
