"""`tf2caffe convert`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfcaffe.cli import DONE, Console
from tfcaffe.commands.mapping.options import add_side_options, side_options
from tfcaffe.commands.options import parse_shapes
from tfcaffe.errors import UsageError

if TYPE_CHECKING:
    from tf2caffe.options import AllOptions

NAME = "convert"
SUMMARY = "write a TensorFlow network as Caffe files, or a checkpoint's numbers into a net of yours"
EXAMPLE = (
    "convert model.keras -o net",
    "convert saved_model/ -o net --outputs features --input-shape image=1,224,224,3",
    "convert frozen.pb -o net --inputs input --outputs MobilenetV1/Predictions/Reshape_1",
    "convert model.keras -o net --mean 123.68,116.78,103.94 --channel-order bgr",
    "convert model.ckpt --prototxt deploy.prototxt --mapping net.yaml -o net.caffemodel",
)
_SHAPE = "NAME=N,H,W,C with whole numbers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help=".keras, Keras's .h5, SavedModel folder, frozen .pb, or a checkpoint with its .meta; "
        "with --mapping also any other checkpoint, or .npz",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="OUT",
        help="OUT.prototxt and OUT.caffemodel are written; with --mapping only OUT.caffemodel",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    _add_whole(parser.add_argument_group("whole networks"))
    filling = parser.add_argument_group("filling a prototxt of yours")
    filling.add_argument("--prototxt", type=Path, metavar="NET.prototxt", help="the net to fill")
    filling.add_argument("--mapping", metavar="MAP", help="a mapping file, or a shipped one's name")
    filling.add_argument(
        "--base",
        type=Path,
        metavar="OLD.caffemodel",
        help="blobs that the mapping leaves out keep what this has",
    )
    add_side_options(parser)


def _add_whole(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--signature", metavar="S", help="which of a SavedModel's signatures")
    group.add_argument(
        "--inputs",
        action="append",
        default=[],
        metavar="NAME,...",
        help="cut the network behind these Keras layers or tensors, which are fed then",
    )
    group.add_argument(
        "--outputs",
        action="append",
        default=[],
        metavar="NAME,...",
        help="cut it at these, which are its answers then",
    )
    group.add_argument(
        "--input-shape",
        action="append",
        default=[],
        metavar="NAME=N,H,W,C",
        dest="input_shapes",
        help="TensorFlow's shape of an input (repeatable); a free batch is 1 if it is not said",
    )
    group.add_argument(
        "--mean",
        metavar="M",
        help="build in: subtract a mean (.binaryproto, .npy, or values: 123.68,116.78,103.94), in "
        "the order of the model's channels",
    )
    group.add_argument("--scale", type=float, metavar="S", help="build in: then a factor")
    group.add_argument(
        "--channel-order",
        choices=("bgr", "rgb"),
        help="build in: bgr feeds the Caffe net BGR images where the model wants RGB",
    )
    group.add_argument(
        "--dialect",
        default="caffe-1.0",
        metavar="NAME|FILE.yaml",
        help="which layers and forms may be written (default: caffe-1.0)",
    )
    group.add_argument(
        "--legacy-input", action="store_true", help="input_dim lines instead of an Input layer"
    )
    group.add_argument(
        "--fold-bn", action="store_true", help="batch normalisation goes into the convolutions"
    )
    group.add_argument(
        "--drop-fake-quant",
        action="store_true",
        help="leave out the rounding of activations that training for 8 bits fakes; the numbers "
        "differ by it",
    )
    group.add_argument(
        "--trust", action="store_true", help="let code in the model run (Lambda layers)"
    )


def run(options: argparse.Namespace, console: Console) -> int:
    """Convert, and say what was decided."""
    if options.prototxt is None and options.mapping is None:
        return _whole(options, console)
    from tf2caffe.convert import convert
    from tfcaffe.quiet import quiet_for

    quiet_for(options.source, options.like)
    with console.progress() as watch:
        notes = convert(
            options.source,
            options.output,
            prototxt=options.prototxt,
            mapping=options.mapping,
            base=options.base,
            overwrite=options.overwrite,
            watch=watch,
            **_all_options(options),
        )
    _say(notes, [options.output], console)
    return DONE


def _whole(options: argparse.Namespace, console: Console) -> int:
    from tf2caffe.convert import conversion
    from tfcaffe.quiet import quiet_tensorflow, set_environment

    set_environment()
    prepared = conversion(
        options.source,
        options.output,
        options.base,
        options.overwrite,
        _all_options(options),
    )
    quiet_tensorflow()
    with console.progress() as watch:
        notes = prepared.run(watch)
    _say(notes, prepared.paths, console)
    return DONE


def _say(notes: Sequence[str], paths: Sequence[Path], console: Console) -> None:
    for note in notes:
        console.note(note)
    console.note(f"wrote {' and '.join(map(str, paths))}")


def _all_options(options: argparse.Namespace) -> AllOptions:
    return {
        **side_options(options),
        "signature": options.signature,
        "inputs": _names("--inputs", options.inputs),
        "outputs": _names("--outputs", options.outputs),
        "input_shape": parse_shapes(options.input_shapes, _SHAPE) or None,
        "mean": options.mean,
        "scale": options.scale,
        "channel_order": options.channel_order,
        "dialect": options.dialect,
        "legacy_input": options.legacy_input,
        "fold_bn": options.fold_bn,
        "drop_fake_quant": options.drop_fake_quant,
        "trust": options.trust,
    }


def _names(flag: str, texts: Sequence[str]) -> list[str]:
    """`conv,fc` as ["conv", "fc"].

    Raises:
        UsageError: a name is empty.
    """
    names = [name.strip() for text in texts for name in text.split(",")]
    if "" in names:
        raise UsageError(f"{flag} {' '.join(texts)}: a name is empty")
    return names
