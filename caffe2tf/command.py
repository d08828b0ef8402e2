"""`caffe2tf convert`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfcaffe.cli import DONE, Console
from tfcaffe.commands.options import add_net_options, add_plugins, parse_batch, parse_shapes
from tfcaffe.errors import UsageError

if TYPE_CHECKING:
    from caffe2tf.options import Options

NAME = "convert"
SUMMARY = "write a Caffe net as a Keras model, SavedModel, frozen graph or arrays"
EXAMPLE = (
    "convert deploy.prototxt net.caffemodel -o net.keras",
    "convert - net.caffemodel -o saved_model/ --outputs fc7",
    "convert deploy.prototxt net.caffemodel --mapping net.yaml -o net.ckpt",
)


# Said here as well as where they are registered, so that `--help` need not import those.
FORMATS = {
    "keras": ".keras",
    "savedmodel": "",
    "frozen": ".pb",
    "tflite": ".tflite",
    "checkpoint": ".ckpt",
    "keras-weights": ".weights.h5",
    "hdf5": ".h5",
    "npz": ".npz",
}
_SUFFIXES = ", ".join(suffix or "none (a SavedModel)" for suffix in FORMATS.values())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("net", metavar="NET", help="prototxt; `-` for the one in the caffemodel")
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        nargs="?",
        type=Path,
        help=".caffemodel or .h5; left out, the model has its fillers as initialisers",
    )
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        required=True,
        type=Path,
        metavar="OUT",
        help="what to write (repeatable); its suffix says the format: " + _SUFFIXES,
    )
    parser.add_argument(
        "--to",
        metavar="FORMAT",
        help="the format, over what the suffix says: " + ", ".join(FORMATS),
    )
    add_net_options(parser)
    parser.add_argument(
        "--batch",
        type=parse_batch,
        metavar="N|any",
        help="a fixed batch size, or `any` (default: any where the net allows)",
    )
    parser.add_argument(
        "--outputs",
        action="append",
        default=[],
        metavar="BLOB,...",
        help="cut the net at these blobs, which become its answers",
    )
    parser.add_argument(
        "--mean",
        metavar="M",
        help="build in: subtract a mean (.binaryproto, .npy, or values: 104,117,123)",
    )
    parser.add_argument("--scale", type=float, metavar="S", help="build in: then a factor")
    parser.add_argument(
        "--channel-order",
        choices=("bgr", "rgb"),
        help="build in: rgb takes RGB images where the net wants BGR",
    )
    parser.add_argument(
        "--keep-scale", action="store_true", help="leave a Scale apart from its BatchNorm"
    )
    parser.add_argument(
        "--mapping",
        metavar="MAP",
        help="write the variables that a mapping names, to a .ckpt, .npz or .weights.h5",
    )
    parser.add_argument(
        "--like",
        type=Path,
        metavar="FILE",
        help="with --mapping: a file of your own model, whose structure is taken over",
    )
    parser.add_argument(
        "--weight-decay",
        type=float,
        metavar="W",
        help="the solver's, for a net with a loss: L2 regularisers (default: none)",
    )
    add_plugins(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")


def run(options: argparse.Namespace, console: Console) -> int:
    """Convert, and say what was decided."""
    from tfcaffe.quiet import set_environment

    set_environment()
    notes = _filled(options, console) if options.mapping else _converted(options, console)
    for note in notes:
        console.note(note)
    for path in options.output:
        console.note(f"wrote {path}")
    return DONE


def _filled(options: argparse.Namespace, console: Console) -> list[str]:
    """Variables, by a mapping."""
    from caffe2tf.convert import fill_by
    from tfcaffe.quiet import quiet_for

    quiet_for(options.like)
    with console.progress() as watch:
        return fill_by(
            options.mapping,
            options.net,
            options.weights,
            options.output,
            options.to,
            options.like,
            options.overwrite,
            _net_options(options),
            watch,
        )


def _converted(options: argparse.Namespace, console: Console) -> list[str]:
    """A model, or all weights under Caffe's names."""
    from caffe2tf.convert import Conversion
    from tfcaffe.quiet import quiet_tensorflow

    if options.like is not None:
        raise UsageError("--like goes with --mapping")
    conversion = Conversion.of(
        options.net,
        options.weights,
        options.output,
        to=options.to,
        overwrite=options.overwrite,
        **_net_options(options),
    )
    if conversion.needs_tensorflow:
        quiet_tensorflow()
    with console.progress() as watch:
        return conversion.run(watch)


def _net_options(options: argparse.Namespace) -> Options:
    return {
        "phase": options.phase,
        "level": options.level,
        "stage": options.stages,
        "input_shape": parse_shapes(options.input_shapes) or None,
        "batch": options.batch,
        "outputs": _blobs(options.outputs),
        "mean": options.mean,
        "scale": options.scale,
        "channel_order": options.channel_order,
        "keep_scale": options.keep_scale,
        "weight_decay": options.weight_decay,
        "proto": options.protos,
        "plugin": options.plugin,
    }


def _blobs(texts: Sequence[str]) -> list[str]:
    """`conv,fc` as ["conv", "fc"].

    Raises:
        UsageError: a name is empty.
    """
    names = [name for text in texts for name in text.split(",")]
    if "" in names:
        raise UsageError(f"--outputs {' '.join(texts)}: a blob's name is empty")
    return names
