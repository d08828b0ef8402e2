"""`mapping set`: change what one blob is."""

from __future__ import annotations

import argparse

from tfcaffe.cli import Console
from tfcaffe.commands.mapping.options import add_recheck, prepare_recheck, recheck
from tfcaffe.errors import UsageError

NAME = "set"
SUMMARY = "change one entry of a mapping file and nothing else in it"
EXAMPLE = (
    "mapping set net.yaml conv1.weights net/conv1/kernel",
    "mapping set net.yaml fc8.weights net/fc8/kernel fc8.bias '{constant: 0}' "
    "--net deploy.prototxt --checkpoint model.ckpt",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("mapping", metavar="MAP", help="a mapping file of yours")
    parser.add_argument(
        "entries",
        metavar="LAYER.ROLE VARIABLE",
        nargs="+",
        help="a blob (split at the last dot) and its variable, or a value in braces; repeatable",
    )
    add_recheck(parser)


def run(options: argparse.Namespace, console: Console) -> int:
    """Change the file; with --net, check it at once."""
    from tfcaffe.mapping.edit import set_entries

    if len(options.entries) % 2:
        raise UsageError(f"{options.entries[-1]}: which variable? give LAYER.ROLE VARIABLE")
    pairs = dict(zip(options.entries[::2], options.entries[1::2], strict=True))
    if 2 * len(pairs) < len(options.entries):
        raise UsageError("one LAYER.ROLE is given twice")
    prepare_recheck(options)
    set_entries(options.mapping, pairs)
    console.note(f"{options.mapping}: {', '.join(pairs)} set")
    return recheck(options, console)
