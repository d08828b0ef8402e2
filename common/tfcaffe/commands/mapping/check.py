"""`mapping check`: whether a mapping fits a net, weights and a checkpoint."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tfcaffe.cli import ANSWER_IS_NO, DONE, Console
from tfcaffe.commands.mapping.options import (
    add_mapping,
    add_side_options,
    side_options,
)

NAME = "check"
SUMMARY = "print every pair with both shapes and the transform, and all that is left over"
EXAMPLE = (
    "mapping check net.yaml deploy.prototxt --checkpoint model.ckpt",
    "mapping check vgg16_slim VGG_ILSVRC_16_layers_deploy.prototxt --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_mapping(parser)
    parser.add_argument("net", metavar="NET", type=Path, help="prototxt")
    parser.add_argument("--weights", type=Path, metavar="W", help=".caffemodel or Caffe's .h5")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="C", help="a checkpoint, Keras file, SavedModel or .npz"
    )
    parser.add_argument(
        "--run",
        dest="run_both",
        action="store_true",
        help="run both sides as well; the checkpoint is a model then",
    )
    parser.add_argument(
        "--base",
        type=Path,
        metavar="OLD.caffemodel",
        help="blobs that the mapping leaves out keep what this has",
    )
    add_side_options(parser)
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace, console: Console) -> int:
    """Check, print, and say by the exit code whether it fits."""
    from tfcaffe.mapping.check import check
    from tfcaffe.quiet import quiet_for

    quiet_for(options.checkpoint, options.like, run=options.run_both)
    with console.progress() as watch:
        found = check(
            options.mapping,
            options.net,
            weights=options.weights,
            checkpoint=options.checkpoint,
            base=options.base,
            run=options.run_both,
            watch=watch,
            **side_options(options),
        )
    if options.json:
        console.result(json.dumps(found.to_json(), indent=1))
    else:
        console.result(found.to_text() if console.verbosity >= 0 else "\n".join(found.verdicts))
    for note in found.notes:
        console.note(note)
    return DONE if found.good else ANSWER_IS_NO
