"""What can be said of a comparison: one type and one default for each option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Literal, TypedDict

from tfcaffe.errors import UsageError
from tfcaffe.options import completed
from tfcaffe.twin import Twin
from tfcaffe.verify.compare import RTOL, Array

AnyPath = str | PathLike[str]
Mode = Literal["chained", "isolated"]


class Options(TypedDict, total=False):
    """Keyword options of `verify`, named like the command's flags.

    input: files (`.npy` in Caffe's layout, images), or an array for each input blob by name, in
        Caffe's layout and as the model is fed. Left out: random inputs.
    samples, seed: of the random inputs (2, 0).
    rtol: the largest difference, relative to the blob's scale, that counts as equal (1e-4).
    mode: "chained" feeds both sides the same input; "isolated" gives each TensorFlow layer
        Caffe's own bottoms, so that the layer at fault is named exactly ("chained").
    phase, level, stage: whose layers, by the net's include and exclude rules ("TEST", 0, none).
    input_shape: Caffe's shape of input blobs by name, None for a size that stays free.
    mean, scale, channel_order: preprocessing of the input; inside the model if it was built in
        there (a model without a record is taken to have it), else done for both sides.
    backend: who runs Caffe's side, "pycaffe" or "opencv" ("pycaffe").
    proto: `.proto` files with a forked Caffe's fields.
    plugin: Python files with layer types of one's own.
    trust: whether code in the model may run (Lambda layers) (False).
    record: where the blobs are in a model in memory; a file brings its own.
    """

    input: Sequence[AnyPath] | Mapping[str, Array]
    samples: int
    seed: int
    rtol: float
    mode: Mode
    phase: Literal["TEST", "TRAIN"]
    level: int
    stage: Sequence[str]
    input_shape: Mapping[str, Sequence[int | None]] | None
    mean: AnyPath | Sequence[float] | None
    scale: float | None
    channel_order: Literal["bgr", "rgb"] | None
    backend: str
    proto: Sequence[AnyPath]
    plugin: Sequence[AnyPath]
    trust: bool
    record: Twin | None


_DEFAULTS: Options = {
    "input": (),
    "samples": 2,
    "seed": 0,
    "rtol": RTOL,
    "mode": "chained",
    "phase": "TEST",
    "level": 0,
    "stage": (),
    "input_shape": None,
    "mean": None,
    "scale": None,
    "channel_order": None,
    "backend": "pycaffe",
    "proto": (),
    "plugin": (),
    "trust": False,
    "record": None,
}


def with_defaults(options: Options) -> Options:
    """All options, those that were not given at their defaults.

    Raises:
        TypeError: there is no such option.
        UsageError: a value that an option does not have.
    """
    lists = ("input", "stage", "proto", "plugin")
    given = completed(options, _DEFAULTS, lists, "tfcaffe.verify.Options")
    if given["mode"] not in ("chained", "isolated"):
        raise UsageError(f"--mode {given['mode']}: there are chained and isolated")
    if not given["rtol"] >= 0:
        raise UsageError(f"--rtol {given['rtol']}: give a number that is not negative")
    if given["seed"] < 0:
        raise UsageError(f"--seed {given['seed']}: give a number that is not negative")
    return given
