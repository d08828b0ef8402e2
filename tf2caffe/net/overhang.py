"""The last windows of a Pooling, about which readers of Caffe's files disagree."""

from __future__ import annotations

from collections.abc import Sequence

from tf2caffe.net.value import NewLayer
from tfcaffe import geometry
from tfcaffe.layers.pooling import AVE, pooled_size
from tfcaffe.net import Layer


def overhang(
    average: bool,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
) -> bool:
    """Whether windows of an average reach beyond the pads, or Caffe drops one of a maximum."""
    axes = list(zip(sizes, kernel, strides, pads, strict=True))
    if average:
        return any((size + 2 * pad - k) % stride for size, k, stride, pad in axes)
    dropped = [pooled_size(*axis, ceil=True, clip=True) for axis in axes]
    return any(pads) and dropped != [pooled_size(*axis, ceil=True, clip=False) for axis in axes]


def overhangs(layer: NewLayer) -> bool:
    """Whether a Pooling has such windows."""
    options, sizes = layer.message.pooling_param, layer.bottoms[0].shape[2:]
    said = geometry.pooling(Layer(layer.name, layer.type, (), (), layer.message), options, sizes)
    return overhang(options.pool == AVE, sizes, said.kernel, said.stride, said.pad)
