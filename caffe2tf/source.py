"""What is known of a net before TensorFlow is needed: all that builders and writers start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from caffe2tf.passes import check_weight_decay, prepare, training_notes
from tfcaffe.bind import Binding, bind
from tfcaffe.errors import UsageError
from tfcaffe.files.weights import Weights
from tfcaffe.load import load_net, load_weights
from tfcaffe.plan import Plan, make_plan
from tfcaffe.plugins import load_plugins
from tfcaffe.preprocess import Preprocessing

AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class Source:
    """A net read, planned and bound to its numbers: all that a format's writer needs."""

    plan: Plan
    binding: Binding | None
    weights: Weights | None
    preprocessing: Preprocessing
    keep_scale: bool
    weight_decay: float
    notes: tuple[str, ...]
    facts: Mapping[str, str]


def read_source(
    net: AnyPath,
    weights: AnyPath | None,
    *,
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stage: Sequence[str] = (),
    input_shape: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | str | None = None,
    outputs: Sequence[str] = (),
    mean: AnyPath | Sequence[float] | None = None,
    scale: float | None = None,
    channel_order: Literal["bgr", "rgb"] | None = None,
    keep_scale: bool = False,
    weight_decay: float | None = None,
    proto: Sequence[AnyPath] = (),
    plugin: Sequence[AnyPath] = (),
) -> Source:
    """Everything that is known of a net before TensorFlow is needed.

    Raises:
        ConversionError: see the functions that it calls.
    """
    if isinstance(batch, int) and batch < 1:
        raise UsageError(f"--batch {batch}: give a number of 1 or more, or `any`")
    load_plugins([Path(path) for path in plugin])
    read = load_net(
        net, weights, phase=phase, level=level, stages=stage, protos=[Path(p) for p in proto]
    )
    if weight_decay is not None:
        check_weight_decay(read, weight_decay)
    plan = make_plan(prepare(read, outputs), input_shape, batch)
    preprocessing = Preprocessing.make(plan, mean, scale, channel_order)
    found = None if weights is None else load_weights(weights)
    binding = None if found is None else bind(plan, found)
    notes = (
        *plan.net.notes,
        *training_notes(plan.net, phase),
        *plan.notes,
        *(binding.notes if binding else ()),
    )
    facts = {"net": Path(net).name, "weights": Path(weights or "").name}
    return Source(
        plan, binding, found, preprocessing, keep_scale, weight_decay or 0.0, notes, facts
    )
