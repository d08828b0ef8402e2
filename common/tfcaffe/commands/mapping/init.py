"""`mapping init`: propose a mapping for a net and a checkpoint."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tfcaffe.cli import ANSWER_IS_NO, DONE, Console
from tfcaffe.commands.mapping.options import add_side_options, side_options

NAME = "init"
SUMMARY = "propose a mapping from names, shapes and order, with a comment beside each guess"
EXAMPLE = ("mapping init deploy.prototxt model.ckpt -o net.yaml",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("net", metavar="NET", type=Path, help="prototxt")
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        type=Path,
        help="a checkpoint, Keras file, SavedModel or .npz; its numbers are not read",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MAP.yaml", help="the file to write"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace it if it exists")
    add_side_options(parser)
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace, console: Console) -> int:
    """Write the proposal, and say by the exit code whether everything has its place."""
    from tfcaffe.mapping.proposal.init import init
    from tfcaffe.quiet import quiet_for

    quiet_for(options.checkpoint, options.like)
    found = init(
        options.net,
        options.checkpoint,
        options.output,
        overwrite=options.overwrite,
        **side_options(options),
    )
    if options.json:
        console.result(json.dumps(found.to_json(), indent=1))
    else:
        if console.verbosity > 0:
            console.result(found.table() + "\n")
        console.result(found.to_text())
    for note in found.proposal.notes:
        console.note(note)
    return DONE if found.complete else ANSWER_IS_NO
