"""Preprocessing taken over by the convolution that reads the input, in models for inference."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from caffe2tf.site import Weights
from caffe2tf.source import Source
from tfcaffe.net import Layer, Ref
from tfcaffe.plan import Plan
from tfcaffe.preprocess import Preprocessing


@dataclass(frozen=True)
class Fold:
    """What one Convolution does besides its own work.

    Args:
        input: the input whose preprocessed numbers are in no tensor of the model.
        index: the Convolution's number in the plan.
        steps: what its weights take over; a mean has `[C]`.
        rest: what stays in front of it, for images in the order that the model is fed.
    """

    input: Ref
    index: int
    layer: Layer
    steps: Preprocessing
    rest: Preprocessing

    @property
    def note(self) -> str:
        """For people."""
        steps = self.steps
        said = [("the flip of the channels", steps.flip), ("the mean", steps.mean is not None)]
        said.append(("the scale", steps.scale != 1))
        folded = ", ".join(name for name, there in said if there)
        return (
            f"{self.layer}: takes over preprocessing ({folded}) in outputs for inference; "
            "a .keras keeps the caffemodel's weights"
        )

    def values(self, blobs: Weights) -> Weights:
        """The Convolution's blobs, as Caffe lays them, with the steps in them; rounded once.

        W · s · (x - m) + b is (s · W) · x + (b - s · W · m); W then follows x's channel order.
        """
        weights = np.asarray(blobs["weights"], np.float64) * float(np.float32(self.steps.scale))
        folded = dict(blobs)
        if self.steps.mean is not None:
            per_input = weights.reshape(*weights.shape[:2], -1).sum(-1)  # [outputs, C / group]
            groups = self.steps.mean.size // per_input.shape[1]
            means = self.steps.mean.reshape(groups, -1).repeat(len(per_input) // groups, axis=0)
            folded["bias"] = np.asarray(blobs["bias"] - (per_input * means).sum(1), np.float32)
        turned = weights[:, ::-1] if self.steps.flip else weights
        folded["weights"] = np.asarray(turned, np.float32)
        return folded


def fold(source: Source) -> Fold | None:
    """What can be folded without another function: None if nothing can.

    Only a Convolution with weights of its own takes anything over, and only if nothing else reads
    the input. The channels' order and the scale do not touch the zeros of its padding; a mean
    would, and needs a bias to go into. A mean image differs from pixel to pixel and stays.
    """
    asked = source.preprocessing
    reader = None if asked.blob is None else _reader(source.plan, asked.blob)
    if reader is None or source.binding is None:
        return None
    ref, index = reader
    entry = source.plan.layers[index]
    bottom = entry.bottoms[0].shape
    geometry = entry.family.geometry(entry.layer, bottom)  # type: ignore[attr-defined]
    options = entry.family.options(entry.layer)
    flip = asked.flip and options.group == 1  # a group's outputs would change places, too
    per_channel = asked.mean is not None and asked.mean.ndim == 1
    mean = asked.mean if per_channel and options.bias_term and not any(geometry.pad) else None
    steps = Preprocessing(asked.blob, flip, mean, asked.scale)
    if not flip and mean is None and asked.scale == 1:
        return None
    rest = replace(asked, flip=asked.flip and not flip, mean=None, scale=1.0)
    if asked.mean is not None and mean is None:
        rest = replace(rest, mean=asked.mean[::-1] if flip else asked.mean)
    return Fold(ref, index, entry.layer, steps, rest)


def _reader(plan: Plan, blob: str) -> tuple[Ref, int] | None:
    """The input, and the Convolution that alone reads it and shares no blob."""
    ref = next(
        Ref(i, entry.layer.tops.index(blob))
        for i, entry in enumerate(plan.layers)
        if entry.family.source and blob in entry.layer.tops
    )
    readers = plan.net.consumers().get(ref, [])
    if len(readers) != 1 or ref in {output for _, output in plan.net.outputs}:
        return None
    index = readers[0]
    entry = plan.layers[index]
    owned = [owner for other in plan.layers for owner in other.owners]
    shared = any(owned.count(owner) > 1 for owner in entry.owners)
    if entry.layer.type != "Convolution" or len(entry.layer.bottoms) != 1 or shared:
        return None
    return ref, index
