"""Options that say which net is meant, and the net that they mean."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfcaffe.errors import UsageError

Sizes = tuple[int | None, ...]


def add_net_options(parser: argparse.ArgumentParser) -> None:
    """The options that choose a net's layers and sizes."""
    add_layer_options(parser)
    parser.add_argument(
        "--input-shape",
        action="append",
        default=[],
        metavar="NAME=N,C,H,W",
        dest="input_shapes",
        help="Caffe's shape of an input blob (repeatable); `any` for a size that stays free",
    )


def add_layer_options(parser: argparse.ArgumentParser) -> None:
    """The options that choose a net's layers and know their fields."""
    parser.add_argument(
        "--phase", choices=("TEST", "TRAIN"), default="TEST", help="whose layers (default: TEST)"
    )
    parser.add_argument("--level", type=int, default=0, metavar="N", help="the net state's level")
    parser.add_argument(
        "--stage",
        action="append",
        default=[],
        metavar="S",
        dest="stages",
        help="one of the net state's stages (repeatable)",
    )
    parser.add_argument(
        "--proto",
        action="append",
        default=[],
        type=Path,
        metavar="EXTRA.proto",
        dest="protos",
        help="fields of a forked Caffe, as a .proto file (repeatable)",
    )


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """The option that adds layer types."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        type=Path,
        metavar="FILE.py",
        help="a Python file with layer types of your own (repeatable)",
    )


def parse_shapes(
    texts: Sequence[str],
    form: str = "NAME=N,C,H,W with whole numbers, or `any` for a size that stays free",
) -> Mapping[str, Sizes]:
    """`data=1,3,any,any` as {"data": (1, 3, None, None)}; NAME splits at the last `=`.

    Args:
        form: what the command takes, for the message.

    Raises:
        UsageError: not of that form.
    """
    shapes: dict[str, Sizes] = {}
    for text in texts:
        name, found, sizes = text.rpartition("=")
        if name in shapes:
            raise UsageError(f"--input-shape {text}: {name!r} has a shape already")
        try:
            if not found or not name:
                raise ValueError
            shapes[name] = tuple(_size(size.strip()) for size in sizes.split(","))
        except ValueError:
            raise UsageError(f"--input-shape {text}: write {form}") from None
    return shapes


def _size(text: str) -> int | None:
    if text in ("any", "?", "-1"):
        return None
    size = int(text)
    if size < 1:
        raise ValueError
    return size


def parse_batch(text: str) -> int | str:
    """`any`, or a number."""
    if text == "any":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor `any`") from None
