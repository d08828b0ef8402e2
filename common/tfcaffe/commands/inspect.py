"""`inspect`: what is in a Caffe net, a file of weights or one of TensorFlow's."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfcaffe.cli import DONE, Console
from tfcaffe.commands.options import add_net_options, parse_shapes
from tfcaffe.files.file_kind import FileKind
from tfcaffe.inspection import facts_and_notes, kind_of
from tfcaffe.terminal import table

NAME = "inspect"
SUMMARY = "print the layers and shapes of a Caffe net, or the variables of a TensorFlow file"
EXAMPLE = (
    "inspect deploy.prototxt",
    "inspect deploy.prototxt net.caffemodel --json",
    "inspect net.caffemodel",
    "inspect model.ckpt",
)
_UNKNOWN = "?"
_BOTTOMS = 3  # of one layer, in the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="prototxt; `-` for the one in the caffemodel; a caffemodel or Caffe's .h5 alone; or a "
        "checkpoint, Keras file, SavedModel, .npz, .npy or frozen .pb",
    )
    parser.add_argument(
        "weights", metavar="WEIGHTS", nargs="?", type=Path, help="check that these fit the net"
    )
    parser.add_argument(
        "--like", type=Path, metavar="MODEL.keras", help="names the variables of a .weights.h5"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    add_net_options(parser)


def run(options: argparse.Namespace, console: Console) -> int:
    """Print what the file holds; of a net and weights, check that they fit."""
    if kind_of(options.file) is FileKind.TENSORFLOW:
        from tfcaffe.quiet import quiet_for

        quiet_for(Path(options.file), options.like)
    facts, notes = facts_and_notes(
        options.file,
        options.weights,
        phase=options.phase,
        level=options.level,
        stage=options.stages,
        input_shape=parse_shapes(options.input_shapes),
        proto=options.protos,
        like=options.like,
    )
    if options.json:
        console.result(json.dumps(facts, indent=1))
    else:
        console.result(_table(facts))
    for note in notes:
        console.note(note)
    return DONE


def _table(facts: dict[str, Any]) -> str:
    if "outputs" in facts:
        return _net_table(facts)
    if "layers" in facts:
        return _weights_table(facts)
    return _variables_table(facts) if "variables" in facts else _constants_table(facts)


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


def _variables_table(facts: dict[str, Any]) -> str:
    rows = [("variable", "role", "type", "shape", "parameters")]
    for variable in facts["variables"]:
        role = f"{variable['role']} of {variable['of']}" if variable["of"] else variable["role"]
        about = (variable["name"], role, variable["dtype"], _shape(variable["shape"]))
        rows.append((*about, _number(variable["parameters"])))
    rows.append(("total", "", "", "", _number(facts["parameters"])))
    if facts["training"]:
        rows.append(("of training only", "", "", "", _number(facts["training"])))
    return table(rows, numbers=1)


def _constants_table(facts: dict[str, Any]) -> str:
    rows = [("constant", "type", "shape", "parameters")]
    for constant in facts["constants"]:
        about = (constant["name"], constant["dtype"], _shape(constant["shape"]))
        rows.append((*about, _number(constant["parameters"])))
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
