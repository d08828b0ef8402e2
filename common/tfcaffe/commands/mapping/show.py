"""`mapping show`: the text of a mapping that comes with the package."""

from __future__ import annotations

import argparse

from tfcaffe.cli import DONE, Console

NAME = "show"
SUMMARY = "print a shipped mapping, to read or to start from"
EXAMPLE = ("mapping show vgg16_slim > mine.yaml",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("name", metavar="NAME", help="as `mapping list` has it")


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the file as it is."""
    from tfcaffe.mapping import shipped

    console.result(shipped.show(options.name).rstrip("\n"))
    return DONE
