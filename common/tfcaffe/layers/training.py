"""Layers that a net needs for training only: losses, Accuracy and Silence.

They are dropped with a note. A loss layer's own top is a number per batch that no user of the
converted model reads. Source: loss_layer.cpp and its children, accuracy_layer.cpp,
silence_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from tfcaffe.layers.base import Family, Layer, Shape, canonical_axis, fields, register


class _TrainingOnly(Family):
    bottoms = (1, None)
    tops: ClassVar[tuple[int, int | None]] = (0, None)
    training_only = True


@register(
    "ContrastiveLoss",
    "EuclideanLoss",
    "HDF5Output",
    "HingeLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
)
class Loss(_TrainingOnly):
    """A number that says how far the outputs are from the labels."""

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        return [()] * len(layer.tops)


@register("InfogainLoss", "SoftmaxWithLoss")
class SoftmaxLoss(_TrainingOnly):
    """A loss; its second top is the softmax of its first bottom."""

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        return [(), bottoms[0]][: len(layer.tops)]


def softmax_of(loss: Layer) -> Layer:
    """The Softmax inside a SoftmaxWithLoss, as a layer of its own.

    Its top is the loss's second one, which has the same numbers; without one it is named as the
    layer is.
    """
    message = type(loss.message)()
    message.name, message.type = loss.name, "Softmax"
    message.softmax_param.axis = loss.message.softmax_param.axis
    top = loss.tops[1] if len(loss.tops) > 1 else loss.name
    return replace(loss, type="Softmax", bottoms=loss.bottoms[:1], tops=(top,), message=message)


def differs_in_training(layer: Layer) -> bool:
    """Whether the layer computes something else in phase TRAIN than in TEST.

    Source: batch_norm_layer.cpp (the statistics of the batch), dropout_layer.cpp.
    """
    if layer.type == "BatchNorm":
        return not layer.message.batch_norm_param.HasField("use_global_stats")
    return layer.type == "Dropout"


@register("Accuracy")
class Accuracy(_TrainingOnly):
    """The share of right answers; its second top has it per class."""

    field = "accuracy_param"
    reads = fields("axis")
    inert = fields("top_k ignore_label")

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        axis = canonical_axis(layer, self.options(layer).axis, len(bottoms[0]))
        return [(), (bottoms[0][axis],)][: len(layer.tops)]


@register("Silence")
class Silence(_TrainingOnly):
    """Swallows blobs that nobody wants, so that Caffe does not print them."""

    tops = (0, 0)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        return []
