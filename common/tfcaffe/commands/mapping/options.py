"""Options that several mapping commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tfcaffe.cli import ANSWER_IS_NO, DONE, Console
from tfcaffe.commands.options import add_layer_options, add_plugins
from tfcaffe.errors import UsageError

if TYPE_CHECKING:
    from tfcaffe.mapping.sides import SideOptions


def add_mapping(parser: argparse.ArgumentParser) -> None:
    """The mapping itself."""
    parser.add_argument("mapping", metavar="MAP", help="a mapping file, or a shipped one's name")


def add_side_options(parser: argparse.ArgumentParser) -> None:
    """How variables are named and chosen, and which layers there are."""
    parser.add_argument(
        "--like",
        type=Path,
        metavar="FILE",
        help="a model of the same structure, which names what a .weights.h5 does not",
    )
    parser.add_argument(
        "--prefix", default="", metavar="P", help="only variables below this scope, without it"
    )
    parser.add_argument(
        "--ema", action="store_true", help="take the moving averages, where there are some"
    )
    add_layer_options(parser)
    add_plugins(parser)


def add_recheck(parser: argparse.ArgumentParser) -> None:
    """What an edited file is checked against at once."""
    parser.add_argument("--net", type=Path, metavar="NET", help="check against this prototxt")
    parser.add_argument("--checkpoint", type=Path, metavar="C", help="and against these variables")
    add_side_options(parser)


def prepare_recheck(options: argparse.Namespace) -> None:
    """Read what an edited file is to be checked against, before it is edited.

    Raises:
        ConversionError: there is something wrong with that.
    """
    from tfcaffe.mapping.sides import read_net, read_variables
    from tfcaffe.quiet import quiet_for

    if options.net is None:
        if options.checkpoint is not None:
            raise UsageError("--checkpoint goes with --net NET")
        return
    quiet_for(options.checkpoint, options.like)
    read_net(options.net, **side_options(options))
    if options.checkpoint is not None:
        read_variables(options.checkpoint, **side_options(options))


def recheck(options: argparse.Namespace, console: Console) -> int:
    """`mapping check` of an edited file, if --net is given."""
    from tfcaffe.mapping.check import check

    if options.net is None:
        return DONE
    found = check(
        options.mapping, options.net, checkpoint=options.checkpoint, **side_options(options)
    )
    console.result(found.to_text() if console.verbosity >= 0 else "\n".join(found.verdicts))
    return DONE if found.fits else ANSWER_IS_NO


def side_options(options: argparse.Namespace) -> SideOptions:
    """What `add_side_options` reads."""
    return {
        "like": options.like,
        "prefix": options.prefix,
        "ema": options.ema,
        "phase": options.phase,
        "level": options.level,
        "stage": options.stages,
        "proto": options.protos,
        "plugin": options.plugin,
    }
