"""What is known of a net before TensorFlow is needed: all that builders and writers start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from caffe2tf.options import AnyPath, Options, with_defaults
from caffe2tf.passes import check_weight_decay, prepare, training_notes
from tfcaffe.bind import Binding, BlobShapeError, bind
from tfcaffe.errors import UsageError
from tfcaffe.files.weights import Weights
from tfcaffe.load import load_net, load_weights
from tfcaffe.plan import Plan, make_plan
from tfcaffe.plugins import load_plugins
from tfcaffe.preprocess import Preprocessing
from tfcaffe.progress import Watch, unwatched


@dataclass(frozen=True)
class Source:
    """A net read, planned and bound to its numbers: all that a format's writer needs.

    Args:
        facts: what an output's record says of where it came from.
        watch: is told how far the work is.
    """

    plan: Plan
    binding: Binding | None
    weights: Weights | None
    preprocessing: Preprocessing
    keep_scale: bool
    weight_decay: float
    notes: tuple[str, ...]
    facts: Mapping[str, str]
    watch: Watch = unwatched


def read_source(net: AnyPath, weights: AnyPath | None, **options: Unpack[Options]) -> Source:
    """Everything that is known of a net before TensorFlow is needed.

    Raises:
        ConversionError: see the functions that it calls.
        TypeError: there is no such option.
    """
    given = with_defaults(options)
    batch, phase, weight_decay = given["batch"], given["phase"], given["weight_decay"]
    if isinstance(batch, int) and batch < 1:
        raise UsageError(f"--batch {batch}: give a number of 1 or more, or `any`")
    load_plugins([Path(path) for path in given["plugin"]])
    read = load_net(
        net,
        weights,
        phase=phase,
        level=given["level"],
        stages=given["stage"],
        protos=[Path(path) for path in given["proto"]],
    )
    if weight_decay is not None:
        check_weight_decay(read, weight_decay)
    plan = make_plan(prepare(read, given["outputs"]), given["input_shape"], batch)
    preprocessing = Preprocessing.make(plan, given["mean"], given["scale"], given["channel_order"])
    found = None if weights is None else load_weights(weights)
    try:
        binding = None if found is None else bind(plan, found)
    except BlobShapeError as error:
        if not given["input_shape"]:
            raise
        raise BlobShapeError(
            f"{error} Or is --input-shape wrong? It is Caffe's: N,C,H,W"
        ) from error
    return Source(
        plan,
        binding,
        found,
        preprocessing,
        keep_scale=given["keep_scale"],
        weight_decay=weight_decay or 0.0,
        notes=(
            *plan.net.notes,
            *training_notes(plan.net, phase),
            *plan.notes,
            *(binding.notes if binding else ()),
        ),
        facts={"net": Path(net).name, "weights": Path(weights or "").name},
    )
