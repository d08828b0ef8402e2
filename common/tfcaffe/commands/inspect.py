"""`inspect`: what is in a Caffe net or a file of weights, without TensorFlow."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfcaffe.cli import DONE, Console
from tfcaffe.commands.options import add_net_options, parse_shapes
from tfcaffe.inspection import facts_and_notes
from tfcaffe.terminal import table

NAME = "inspect"
SUMMARY = "print layers, tops, shapes, parameters and multiply-adds of a Caffe net"
EXAMPLE = (
    "inspect deploy.prototxt",
    "inspect deploy.prototxt net.caffemodel --json",
    "inspect net.caffemodel",
)
_UNKNOWN = "?"
_BOTTOMS = 3  # of one layer, in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="prototxt; `-` for the one in the caffemodel; or a caffemodel or Caffe's .h5 alone",
    )
    parser.add_argument(
        "weights", metavar="WEIGHTS", nargs="?", type=Path, help="check that these fit the net"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    add_net_options(parser)


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the net or the weights; with both, check that they fit."""
    facts, notes = facts_and_notes(
        options.file,
        options.weights,
        phase=options.phase,
        level=options.level,
        stage=options.stages,
        input_shape=parse_shapes(options.input_shapes),
        proto=options.protos,
    )
    if options.json:
        console.result(json.dumps(facts, indent=1))
    else:
        console.result(_net_table(facts) if "outputs" in facts else _weights_table(facts))
    for note in notes:
        console.note(note)
    return DONE


def _net_table(facts: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [
        ("layer", "type", "bottoms", "top", "shape", "parameters", "multiply-adds")
    ]
    for layer in facts["layers"]:
        about = (layer["name"], layer["type"], _names(layer["bottoms"]))
        numbers = (_number(layer["parameters"]), _number(layer["multiply_adds"]))
        for top, shape in layer["tops"].items() or [("", None)]:
            rows.append((*about, top, _shape(shape) if top else "", *numbers))
            about, numbers = ("", "", ""), ("", "")
    least = "" if facts["complete"] else "at least "
    totals = (f"{least}{facts[what]:,}" for what in ("parameters", "multiply_adds"))
    rows.append(("total", "", "", "", "", *totals))
    return table(rows, numbers=2)


def _weights_table(facts: dict[str, Any]) -> str:
    rows = [("layer", "type", "blobs", "parameters")]
    for layer in facts["layers"]:
        blobs = ", ".join(map(_shape, layer["blobs"]))
        rows.append((layer["name"], layer["type"], blobs, _number(layer["parameters"])))
    rows.append(("total", "", "", _number(facts["parameters"])))
    return table(rows, numbers=1)


def _names(names: Sequence[str]) -> str:
    more = f" +{len(names) - _BOTTOMS}" if len(names) > _BOTTOMS else ""
    return ", ".join(names[:_BOTTOMS]) + more


def _shape(shape: Sequence[int] | None) -> str:
    if shape is None:
        return _UNKNOWN
    return "×".join(map(str, shape)) or "scalar"


def _number(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}"
