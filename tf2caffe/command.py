"""`tf2caffe convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfcaffe.cli import DONE, Console
from tfcaffe.commands.mapping.options import (
    add_side_options,
    side_options,
)

NAME = "convert"
SUMMARY = "write a checkpoint's numbers as a caffemodel for a prototxt of yours, by a mapping"
EXAMPLE = (
    "convert model.ckpt --prototxt deploy.prototxt --mapping net.yaml -o net.caffemodel",
    "convert vgg16.weights.h5 --like vgg16.keras --prototxt VGG_16.prototxt "
    "--mapping vgg16_keras -o VGG_16.caffemodel",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "source",
        metavar="CHECKPOINT",
        type=Path,
        help="a checkpoint's prefix, .keras, Keras's .h5, SavedModel or .npz",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT.caffemodel", help="what to write"
    )
    parser.add_argument("--prototxt", type=Path, metavar="NET.prototxt", help="the net to fill")
    parser.add_argument("--mapping", metavar="MAP", help="a mapping file, or a shipped one's name")
    parser.add_argument(
        "--base",
        type=Path,
        metavar="OLD.caffemodel",
        help="blobs that the mapping leaves out keep what this has",
    )
    add_side_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")


def run(options: argparse.Namespace, console: Console) -> int:
    """Convert, and say what was decided."""
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
            **side_options(options),
            overwrite=options.overwrite,
            watch=watch,
        )
    for note in notes:
        console.note(note)
    console.note(f"wrote {options.output}")
    return DONE
