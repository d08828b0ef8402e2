"""`mapping ignore`: leave variables out."""

from __future__ import annotations

import argparse

from tfcaffe.cli import Console
from tfcaffe.commands.mapping.options import add_recheck, prepare_recheck, recheck

NAME = "ignore"
SUMMARY = "leave variables out of a mapping, by name or pattern"
EXAMPLE = ("mapping ignore net.yaml '**/Momentum'",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("mapping", metavar="MAP", help="a mapping file of yours")
    parser.add_argument(
        "patterns",
        metavar="PATTERN",
        nargs="+",
        help="`*` stays within one component of a name, `**` crosses /",
    )
    add_recheck(parser)


def run(options: argparse.Namespace, console: Console) -> int:
    """Change the file; with --net, check it at once."""
    from tfcaffe.mapping.edit import ignore

    prepare_recheck(options)
    ignore(options.mapping, *options.patterns)
    console.note(f"{options.mapping}: {', '.join(options.patterns)} ignored")
    return recheck(options, console)
