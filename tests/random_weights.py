"""Seeded random weights for nets whose real ones are not at hand; their outputs prove something.

No blob is left at 0 or 1, BatchNorm's factor is not 1, and what feeds a final Softmax or Sigmoid is
scaled so that it does not saturate: a one-hot output would hide any difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfcaffe.files import caffemodel
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.net import Ref
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import Plan

Array = NDArray[np.float32]
_FACTOR = 3.0  # what BatchNorm's statistics are stored multiplied by
_LOGITS = 3.0  # the largest absolute value that a final Softmax or Sigmoid is given
_SQUASHING = ("Softmax", "Sigmoid", "SoftmaxWithLoss")


def random_blobs(plan: Plan, seed: int) -> dict[str, list[Array]]:
    """Blobs of every layer that has some, by layer name, scaled to keep activations near 1."""
    rng = np.random.default_rng(seed)
    return {
        entry.layer.name: [_numbers(rng, p.role, p.shape) for p in entry.params]
        for entry in plan.layers
        if entry.params
    }


def _numbers(rng: np.random.Generator, role: str, shape: Sequence[int]) -> Array:
    if role == "":
        numbers = np.full(shape, _FACTOR)
    elif role == "variance":
        numbers = rng.uniform(0.5, 2, shape) * _FACTOR
    elif role == "gamma":
        numbers = rng.uniform(0.5, 1.5, shape)
    elif role == "slope":
        numbers = rng.uniform(0.1, 0.5, shape)
    elif role.endswith("weights"):
        numbers = rng.normal(0, math.sqrt(2 / max(1, math.prod(shape[1:]))), shape)
    else:
        numbers = rng.normal(0, 0.1, shape)
    return np.asarray(numbers, np.float32)


def soften(
    plan: Plan, blobs: dict[str, list[Array]], net: Path, inputs: Mapping[str, Array], caffe: Caffe
) -> None:
    """Scale, in place, the layers in front of each last Softmax or Sigmoid."""
    consumers = plan.net.consumers()
    last = [
        i
        for i, entry in enumerate(plan.layers)
        if entry.layer.type in _SQUASHING and Ref(i, 0) not in consumers
    ]
    if not last:
        return
    asked = {plan.layers[plan.net.sources[i][0].layer].layer.name for i in last}
    run = caffe.run(net, inputs=inputs, blobs=blobs, only=asked)
    done: set[str] = set()
    for i in last:
        source = plan.net.sources[i][0]
        made = [la for la in run.layers if la.name == plan.layers[source.layer].layer.name]
        largest = float(np.abs(made[-1].arrays[source.top]).max())
        for name in _owners(plan, source) - done:
            done.add(name)
            blobs[name] = [np.asarray(b * (_LOGITS / largest), np.float32) for b in blobs[name]]


def _owners(plan: Plan, ref: Ref) -> set[str]:
    """The nearest layers upstream that scale what they make: no BatchNorm, no slopes."""
    entry = plan.layers[ref.layer]
    if {p.role for p in entry.params} & {"weights", "gamma"}:
        return {entry.layer.name}
    return {name for r in plan.net.sources[ref.layer] for name in _owners(plan, r)}


def write(plan: Plan, blobs: Mapping[str, list[Array]], path: Path) -> None:
    """A caffemodel of these blobs."""
    types = {entry.layer.name: entry.layer.type for entry in plan.layers}
    caffemodel.write(
        path, (LayerBlobs(name, types[name], Blobs.of(arrays)) for name, arrays in blobs.items())
    )
