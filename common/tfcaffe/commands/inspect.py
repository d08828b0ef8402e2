"""`inspect`: layers, shapes, parameters and multiply-adds of a Caffe net, without TensorFlow."""

from __future__ import annotations

import argparse
import json
from math import prod
from pathlib import Path
from typing import Any

from tfcaffe.bind import bind
from tfcaffe.cli import DONE, Console
from tfcaffe.commands.options import add_net_options, parse_shapes
from tfcaffe.load import load_net, load_weights
from tfcaffe.plan import Plan, make_plan

NAME = "inspect"
SUMMARY = "print layers, tops, shapes, parameters and multiply-adds of a Caffe net"
EXAMPLE = ("inspect deploy.prototxt", "inspect deploy.prototxt net.caffemodel --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("file", metavar="FILE", help="prototxt; `-` for the one in the caffemodel")
    parser.add_argument("weights", metavar="WEIGHTS", nargs="?", type=Path)
    parser.add_argument("--json", action="store_true", help="for programs")
    add_net_options(parser)


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the net; with weights, check that they fit."""
    net = load_net(
        options.file,
        options.weights,
        phase=options.phase,
        level=options.level,
        stages=options.stages,
        protos=options.protos,
    )
    plan = make_plan(net, parse_shapes(options.input_shapes))
    notes = [*net.notes, *plan.notes]
    if options.weights is not None:
        notes += bind(plan, load_weights(options.weights)).notes
    facts = describe(plan)
    console.result(json.dumps(facts, indent=1) if options.json else _table(facts))
    for note in notes:
        console.note(note)
    return DONE


def describe(plan: Plan) -> dict[str, Any]:
    """The net as plain data: what `--json` prints."""
    layers = [
        {
            "name": entry.layer.name,
            "type": entry.layer.type,
            "bottoms": list(entry.layer.bottoms),
            "tops": dict(zip(entry.layer.tops, map(list, shapes), strict=True)),
            "blobs": {p.role or "factor": list(p.shape) for p in entry.params},
            "parameters": sum(
                prod(p.shape) for j, p in enumerate(entry.params) if entry.owners[j] == (i, j)
            ),
            "multiply_adds": entry.macs,
        }
        for i, (entry, shapes) in enumerate(zip(plan.layers, plan.shapes, strict=True))
    ]
    return {
        "net": plan.net.name,
        "layers": layers,
        "outputs": [name for name, _ in plan.net.outputs],
        "parameters": sum(layer["parameters"] for layer in layers),
        "multiply_adds": sum(layer["multiply_adds"] for layer in layers),
    }


def _table(facts: dict[str, Any]) -> str:
    rows = [("layer", "type", "top", "shape", "parameters", "multiply-adds")]
    for layer in facts["layers"]:
        first = True
        for top, shape in layer["tops"].items() or [("", [])]:
            numbers = (f"{layer['parameters']:,}", f"{layer['multiply_adds']:,}")
            rows.append(
                (
                    layer["name"] if first else "",
                    layer["type"] if first else "",
                    top,
                    "×".join(map(str, shape)),
                    *(numbers if first else ("", "")),
                )
            )
            first = False
    rows.append(("total", "", "", "", f"{facts['parameters']:,}", f"{facts['multiply_adds']:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i >= 4 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
