"""Which other heights and widths a written net is right for, so that its header can say so.

Caffe lets anybody change an Input's sizes. What was written for one height and width computes
something else at others where a layer's numbers are those of its places, and where TensorFlow pads
or rounds by what a size leaves over when it is divided by a stride.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any

from tf2caffe.net import families
from tf2caffe.net.value import Blob, NewLayer
from tfcaffe import geometry
from tfcaffe.net import Layer

# For each of a blob's spatial axes, how many of the inputs' places one step along it is; 0 where
# its size is the same whatever the inputs' are.
_Steps = tuple[Fraction, ...]
_IMAGE = 2  # the first spatial axis


@dataclass
class Sizes:
    """What is known of a net's sizes.

    Args:
        fixed: layers that hold for the sizes of these blobs only.
        strides: blobs whose sizes may change by multiples of these numbers only.
    """

    fixed: list[tuple[str, Blob]] = field(default_factory=list)
    strides: list[tuple[Blob, tuple[int, ...]]] = field(default_factory=list)


def limits(
    made: Sequence[NewLayer], kept: Sequence[NewLayer], sizes: Sizes
) -> tuple[list[str], list[int]]:
    """The layers that hold for these sizes only, and by multiples of what the sizes may change.

    Args:
        made: all layers, those too that were then merged into others.
        kept: the net's.
    """
    steps = _steps(made)
    there = {layer.origin for layer in kept} | {blob for layer in kept for blob in layer.tops}
    fixed = {
        name
        for name, blob in sizes.fixed
        if (name in there or blob in there) and any(steps.get(blob, ()))
    }
    torn = _torn(made, steps)
    fixed |= {layer.origin for layer in kept if _holds_places(layer, steps, torn)}
    ordered = [*(layer.origin for layer in kept), *(name for name, _ in sizes.fixed)]
    names = dict.fromkeys(name for name in ordered if name in fixed)
    return list(names), _multiples(steps, sizes)


def _multiples(steps: Mapping[Blob, _Steps], sizes: Sizes) -> list[int]:
    """By what the inputs' sizes may change, for each axis if they differ.

    What every stride leaves over when it divides a size is then what it was.
    """
    found: dict[int, int] = {}
    for blob, strides in sizes.strides:
        for axis, step in enumerate(steps.get(blob, ())):
            if step:
                found[axis] = lcm(found.get(axis, 1), (step * strides[axis]).numerator)
    every = [found.get(axis, 1) for axis in range(max(found, default=0) + 1)]
    return every[:1] if len({*every}) == 1 else every


def _steps(layers: Sequence[NewLayer]) -> dict[Blob, _Steps]:
    steps: dict[Blob, _Steps] = {}
    for layer in layers:
        given = [steps.get(blob, ()) for blob in layer.bottoms]
        for top in layer.tops:
            spatial = range(len(top.shape) - _IMAGE)
            steps[top] = tuple(_step(layer, given, axis) for axis in spatial)
    return steps


def _step(layer: NewLayer, given: Sequence[_Steps], axis: int) -> Fraction:
    """How many of the inputs' places a step along a top's spatial axis is."""
    kind, own = layer.type, _own(layer)
    if kind == "Input":
        return Fraction(1)
    before = [step[axis] for step in given if axis < len(step)]
    place = axis + _IMAGE
    if not before or kind == "Reshape" or (kind == "ArgMax" and own.axis == place):
        return Fraction(0)
    if kind == "InnerProduct" and place >= own.axis:
        return Fraction(0)
    if kind in ("Convolution", "Deconvolution", "Pooling"):
        stride = _strides(layer)[axis]
        return before[0] / stride if kind == "Deconvolution" else before[0] * stride
    if kind == "Crop":
        return before[-1]
    if kind in ("Concat", "Tile") and own.axis == place:
        times = own.tiles if kind == "Tile" else 1
        joined = sum(times / step for step in before if step)
        return Fraction(1) / joined if joined else Fraction(0)
    return max(before)


def _strides(layer: NewLayer) -> Sequence[Fraction | int]:
    shape = layer.bottoms[0].shape[_IMAGE:]
    said = Layer(layer.name, layer.type, (), (), layer.message)
    if layer.type != "Pooling":
        return geometry.convolution(said, _own(layer), len(shape)).stride
    if _own(layer).global_pooling:
        return [0] * len(shape)
    return geometry.pooling(said, _own(layer), shape).stride


def _torn(layers: Sequence[NewLayer], steps: Mapping[Blob, _Steps]) -> set[Blob]:
    """Blobs behind a Reshape of places, whose sizes are no longer known."""
    torn: set[Blob] = set()
    for layer in layers:
        reshaped = layer.type == "Reshape" and any(steps[layer.bottoms[0]])
        if reshaped or not torn.isdisjoint(layer.bottoms):
            torn.update(layer.tops)
    return torn


def _holds_places(layer: NewLayer, steps: Mapping[Blob, _Steps], torn: Set[Blob]) -> bool:
    """Whether a layer's numbers are those of places, or it says sizes of them."""
    own = _own(layer)
    given = [steps.get(blob, ()) for blob in layer.bottoms]
    if layer.type == "InnerProduct":
        return any(given[0][max(own.axis - _IMAGE, 0) :])
    if layer.type == "Reshape":
        return any(given[0])
    if layer.type in ("Scale", "Bias") and len(layer.bottoms) == 1:
        places = range(max(own.axis, _IMAGE), own.axis + own.num_axes)
        return any(given[0][axis - _IMAGE] for axis in places)
    if layer.type == "Slice" and own.axis >= _IMAGE:
        return bool(given[0][own.axis - _IMAGE])
    if layer.type in ("Concat", "Eltwise") and torn.isdisjoint(
        layer.bottoms
    ):  # what was spread to a size, and what has that size
        joined = own.axis - _IMAGE if layer.type == "Concat" else None
        others = [axis for axis in range(len(given[0])) if axis != joined]
        return any(len({bool(step[axis]) for step in given}) > 1 for axis in others)
    return False


def _own(layer: NewLayer) -> Any:
    name = families.family(layer.type).field
    return getattr(layer.message, name) if name else None
