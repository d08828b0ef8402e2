"""`inspect`: what is in a Caffe net or a file of weights, without TensorFlow."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from tfcaffe.bind import bind
from tfcaffe.cli import DONE, Console
from tfcaffe.commands.options import add_net_options, parse_shapes
from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.files.file_kind import FileKind, file_kind
from tfcaffe.files.weights import Weights
from tfcaffe.infer import listed, unknown_types
from tfcaffe.load import CARRIED, load_net, load_weights
from tfcaffe.survey import Survey, survey
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
    kind = FileKind.PROTOTXT if options.file == CARRIED else file_kind(Path(options.file))
    if kind is FileKind.TENSORFLOW:
        raise UnsupportedError(
            f"{options.file}: is TensorFlow's; inspect reads Caffe's files only so far: "
            "a prototxt, a caffemodel or Caffe's .h5"
        )
    if kind is FileKind.WEIGHTS:
        if options.weights is not None:
            raise UsageError(f"{options.file}: holds weights; name the prototxt first")
        facts = describe_weights(load_weights(options.file))
        console.result(_json(facts) if options.json else _weights_table(facts))
        return DONE
    net = load_net(
        options.file,
        options.weights,
        phase=options.phase,
        level=options.level,
        stages=options.stages,
        protos=options.protos,
    )
    found = survey(net, parse_shapes(options.input_shapes))
    weights = None if options.weights is None else load_weights(options.weights)
    notes = [*net.notes, *_gaps(found), *found.plan.notes]
    if weights is not None:
        notes += bind(found.plan, _without_gaps(weights, found)).notes
    facts = describe(found, weights)
    console.result(_json(facts) if options.json else _net_table(facts))
    for note in notes:
        console.note(note)
    return DONE


def describe(found: Survey, weights: Weights | None = None) -> dict[str, Any]:
    """The net as plain data: what `--json` prints. What is not known is None.

    Args:
        weights: say which blobs a layer has that is not known otherwise.
    """
    layers = [_layer(found, i, weights) for i in range(len(found.net.layers))]
    return {
        "net": found.net.name,
        "supported": not found.unsupported,
        "layers": layers,
        "outputs": [name for name, _ in found.net.outputs],
        "complete": all(layer["multiply_adds"] is not None for layer in layers),
        "parameters": sum(layer["parameters"] or 0 for layer in layers),
        "multiply_adds": sum(layer["multiply_adds"] or 0 for layer in layers),
    }


def describe_weights(weights: Weights) -> dict[str, Any]:
    """A file of weights as plain data: what `--json` prints."""
    layers = [
        {
            "name": layer.name,
            "type": layer.type,
            "blobs": [list(shape) for shape in layer.shapes],
            "parameters": sum(map(prod, layer.shapes)),
        }
        for layer in weights.layers.values()
    ]
    return {"layers": layers, "parameters": sum(layer["parameters"] for layer in layers)}


def _layer(found: Survey, i: int, weights: Weights | None) -> dict[str, Any]:
    layer = found.net.layers[i]
    facts: dict[str, Any] = {
        "name": layer.name,
        "type": layer.type,
        "supported": i not in found.unsupported,
        "bottoms": list(layer.bottoms),
    }
    if i in found.known:
        at = found.known[i]
        entry = found.plan.layers[at]
        return facts | {
            "tops": dict(zip(layer.tops, map(list, found.plan.shapes[at]), strict=True)),
            "blobs": {p.role or "factor": list(p.shape) for p in entry.params},
            "parameters": sum(
                prod(p.shape) for j, p in enumerate(entry.params) if entry.owners[j] == (at, j)
            ),
            "multiply_adds": entry.macs,
        }
    stored = weights.layers.get(layer.name) if weights is not None else None
    shapes = None if stored is None else stored.shapes
    return facts | {
        "tops": dict.fromkeys(layer.tops),
        "blobs": None if shapes is None else {str(j): list(s) for j, s in enumerate(shapes)},
        "parameters": None if shapes is None else sum(map(prod, shapes)),
        "multiply_adds": None,
    }


def _gaps(found: Survey) -> list[str]:
    """Why some shapes are unknown."""
    types = unknown_types(found.net)
    named = {id(layer) for layers in types.values() for layer in layers}
    notes = [
        reason for i, reason in found.unsupported.items() if id(found.net.layers[i]) not in named
    ]
    if types:
        lines = "".join(f"\n  {kind}: {listed(layers)}" for kind, layers in types.items())
        notes.append(
            f"these layer types are not supported, so that shapes behind them are unknown:{lines}"
        )
    return [*found.unsaid.values(), *notes]


def _without_gaps(weights: Weights, found: Survey) -> Weights:
    """Without the layers that the net has, but whose blobs its rules do not tell."""
    gaps = {la.name for i, la in enumerate(found.net.layers) if i not in found.known}
    kept = {name: layer for name, layer in weights.layers.items() if name not in gaps}
    return replace(weights, layers=kept)


def _json(facts: dict[str, Any]) -> str:
    return json.dumps(facts, indent=1)


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
