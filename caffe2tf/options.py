"""What can be said of a net that is to be converted: one type and one default for each option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Literal, TypedDict

from tfcaffe.options import completed

AnyPath = str | PathLike[str]


class Options(TypedDict, total=False):
    """Keyword options of `caffe2tf.convert` and `caffe2tf.load`, named like the command's flags.

    phase, level, stage: whose layers, by the net's include and exclude rules ("TEST", 0, none).
    input_shape: Caffe's shape of input blobs by name, None for a size that stays free.
    batch: a number, or "any"; left out, free where the net allows.
    outputs: blobs to cut the net at.
    mean: built in: a file or one number per channel, in Caffe's channel order; subtracted.
    scale: built in: a factor after the mean.
    channel_order: built in: what the model is fed; left out, as the net was trained.
    keep_scale: a Scale stays apart from its BatchNorm (False).
    weight_decay: the solver's, which becomes L2 regularisers (0).
    proto: `.proto` files with a forked Caffe's fields.
    plugin: Python files with layer types of one's own.
    """

    phase: Literal["TEST", "TRAIN"]
    level: int
    stage: Sequence[str]
    input_shape: Mapping[str, Sequence[int | None]] | None
    batch: int | str | None
    outputs: Sequence[str]
    mean: AnyPath | Sequence[float] | None
    scale: float | None
    channel_order: Literal["bgr", "rgb"] | None
    keep_scale: bool
    weight_decay: float | None
    proto: Sequence[AnyPath]
    plugin: Sequence[AnyPath]


_DEFAULTS: Options = {
    "phase": "TEST",
    "level": 0,
    "stage": (),
    "input_shape": None,
    "batch": None,
    "outputs": (),
    "mean": None,
    "scale": None,
    "channel_order": None,
    "keep_scale": False,
    "weight_decay": None,
    "proto": (),
    "plugin": (),
}


def with_defaults(options: Options) -> Options:
    """All options, those that were not given at their defaults; see `completed`."""
    lists = ("stage", "outputs", "proto", "plugin")
    return completed(options, _DEFAULTS, lists, "caffe2tf.Options")
