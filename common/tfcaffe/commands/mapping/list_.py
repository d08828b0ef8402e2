"""`mapping list`: the mappings that come with the package."""

from __future__ import annotations

import argparse
import json

from tfcaffe.cli import DONE, Console

NAME = "list"
SUMMARY = "list the mappings that come with the package"
EXAMPLE = ("mapping list",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace, console: Console) -> int:
    """Print name and net of each."""
    from tfcaffe.mapping import shipped
    from tfcaffe.mapping.mapping_file import load_mapping
    from tfcaffe.terminal import table

    found = [(name, load_mapping(name).net) for name in shipped.names()]
    if options.json:
        console.result(json.dumps([{"name": name, "net": net} for name, net in found], indent=1))
    else:
        console.result(table([("name", "net"), *found]))
    return DONE
