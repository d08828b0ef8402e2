"""What can be said of a network that is to become Caffe's: one type and one default each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from os import PathLike
from typing import Any, Literal, TypedDict, cast

from tfcaffe.errors import UsageError
from tfcaffe.mapping import sides
from tfcaffe.mapping.sides import SideOptions
from tfcaffe.options import completed, only

AnyPath = str | PathLike[str]


class Options(TypedDict, total=False):
    """Keyword options of `tf2caffe.convert` for whole networks, named like the command's flags.

    signature: of a SavedModel; left out, "serving_default", else the only one.
    inputs, outputs: names to cut the network at: Keras layers, or tensors of a graph.
    input_shape: TensorFlow's shape of inputs by name.
    mean, scale, channel_order: built in before the first layer: what the Caffe net is fed then.
    dialect: the name of a shipped dialect, or a file.
    legacy_input: `input:` and `input_dim:` lines in the place of an Input layer.
    fold_bn: BatchNormalization goes into the convolution before it.
    drop_fake_quant: activations are not rounded where the source fakes 8 bits: other numbers.
    plugin: Python files with ops or Keras layers of one's own.
    trust: code in the model (Lambda layers) may run.
    """

    signature: str | None
    inputs: Sequence[str]
    outputs: Sequence[str]
    input_shape: Mapping[str, Sequence[int | None]] | None
    mean: AnyPath | Sequence[float] | None
    scale: float | None
    channel_order: Literal["bgr", "rgb"] | None
    dialect: str | AnyPath
    legacy_input: bool
    fold_bn: bool
    drop_fake_quant: bool
    plugin: Sequence[AnyPath]
    trust: bool


class AllOptions(Options, SideOptions, total=False):
    """Keyword options of `tf2caffe.convert`: of whole networks, and those that go with a mapping.

    `Options` and `SideOptions` say what each of them is.
    """


_DEFAULTS: Options = {
    "signature": None,
    "inputs": (),
    "outputs": (),
    "input_shape": None,
    "mean": None,
    "scale": None,
    "channel_order": None,
    "dialect": "caffe-1.0",
    "legacy_input": False,
    "fold_bn": False,
    "drop_fake_quant": False,
    "plugin": (),
    "trust": False,
}


_ALL_DEFAULTS: AllOptions = {**sides.DEFAULTS, **_DEFAULTS}
_LISTS = ("inputs", "outputs", "plugin")
_PATH, _TEXT = (str, PathLike), (str,)
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "signature": (_TEXT, "its name"),
    "input_shape": ((Mapping,), "sizes by name"),
    "mean": ((*_PATH, Collection, Real), "numbers, or the name of a file"),
    "scale": ((Real,), "a number"),
    "dialect": (_PATH, "the name of a dialect, or of a file"),
    "like": (_PATH, "the name of a file"),
    "prefix": (_TEXT, "the name of a scope"),
    "level": ((Integral,), "a whole number"),
}
_ITEMS: Mapping[str, tuple[type, ...]] = {
    "inputs": _TEXT,
    "outputs": _TEXT,
    "stage": _TEXT,
    "plugin": _PATH,
    "proto": _PATH,
}
_CHOICES = {"channel_order": ("bgr", "rgb"), "phase": ("TEST", "TRAIN")}


def with_defaults(options: Options) -> Options:
    """All options, those that were not given at their defaults; see `completed`."""
    return completed(options, _DEFAULTS, _LISTS, "tf2caffe.Options")


def of_whole(options: AllOptions) -> Options:
    """The options of a whole network, all of them.

    Raises:
        TypeError: there is no such option.
        UsageError: one has a value that it cannot have, or goes with a mapping.
    """
    given = _complete(options)
    reason = "goes with --prototxt NET.prototxt and --mapping MAP"
    return cast(Options, only(_DEFAULTS, given, _ALL_DEFAULTS, reason))


def of_mapping(options: AllOptions) -> SideOptions:
    """The options that go with a mapping, all of them; raises as `of_whole` does."""
    given = _complete(options)
    reason = "is for whole networks, without --mapping"
    return cast(SideOptions, only(sides.DEFAULTS, given, _ALL_DEFAULTS, reason))


def _complete(options: AllOptions) -> AllOptions:
    lists = [*sides.LISTS, *_LISTS]
    given = completed(options, _ALL_DEFAULTS, lists, "tf2caffe.options.AllOptions")
    for name, value in given.items():
        if value is not None or _ALL_DEFAULTS[name] is not None:  # type: ignore[literal-required]
            _check(name, value)
    return given


def check_path(name: str, value: Any) -> None:
    """Raises:
    UsageError: it is no path.
    """
    if not isinstance(value, _PATH):
        raise UsageError(f"{name}={value!r}: give the name of a file")


def _check(name: str, value: Any) -> None:
    """Raises:
    UsageError: the value is of another type than the option's, or none of its own.
    """
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise UsageError(f"{name}={value!r}: there are {' and '.join(_CHOICES[name])}")
    elif name in _ITEMS:
        if not isinstance(value, Collection) or not all(isinstance(i, _ITEMS[name]) for i in value):
            raise UsageError(f"{name}={value!r}: give a list of names")
    else:
        kinds, wanted = _TYPES.get(name, ((bool,), "True or False"))
        if not isinstance(value, kinds):
            raise UsageError(f"{name}={value!r}: give {wanted}")
