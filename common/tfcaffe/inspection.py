"""What is in a Caffe net, a file of weights or one of TensorFlow's, as plain data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from tfcaffe.bind import bind
from tfcaffe.errors import UsageError
from tfcaffe.files.file_kind import FileKind, file_kind
from tfcaffe.files.weights import Weights
from tfcaffe.infer import listed, unknown_types
from tfcaffe.load import CARRIED, load_net, load_weights
from tfcaffe.survey import Survey, survey

AnyPath = str | PathLike[str]
Facts = dict[str, Any]
log = logging.getLogger("tfcaffe")


def inspect(
    file: AnyPath,
    weights: AnyPath | None = None,
    *,
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stage: Sequence[str] = (),
    input_shape: Mapping[str, Sequence[int | None]] | None = None,
    proto: Sequence[AnyPath] = (),
    like: AnyPath | None = None,
) -> Facts:
    """Layers, tops, shapes, parameters and multiply-adds of a net; blobs; or variables.

    Args:
        file: a prototxt; `-` for the one in the caffemodel; a caffemodel or Caffe's `.h5` alone;
            or a checkpoint, a Keras file, a SavedModel, `.npz`, `.npy`, a frozen `.pb`.
        weights: `.caffemodel` or Caffe's `.h5`, to check that it fits the net.
        phase, level, stage: whose layers.
        input_shape: Caffe's shape of input blobs by name, None for a size that stays free.
        proto: `.proto` files with a forked Caffe's fields.
        like: a `.keras` of the same model, which names the variables of a bare `.weights.h5`.

    Returns:
        What the command prints as JSON; what is not known is None. Notes are logged.

    Raises:
        ConversionError: a file cannot be read, or the weights do not fit.
    """
    facts, notes = facts_and_notes(
        file,
        weights,
        phase=phase,
        level=level,
        stage=stage,
        input_shape=input_shape,
        proto=proto,
        like=like,
    )
    for note in notes:
        log.info(note)
    return facts


def facts_and_notes(
    file: AnyPath,
    weights: AnyPath | None,
    *,
    phase: Literal["TEST", "TRAIN"],
    level: int,
    stage: Sequence[str],
    input_shape: Mapping[str, Sequence[int | None]] | None,
    proto: Sequence[AnyPath],
    like: AnyPath | None = None,
) -> tuple[Facts, list[str]]:
    """As `inspect`, with the notes for people."""
    kind = kind_of(file)
    if kind is FileKind.TENSORFLOW:
        from tfcaffe.tensorflow_files import describe_file

        if weights is not None:
            raise UsageError(f"{file}: is TensorFlow's; inspect it alone")
        return describe_file(Path(file), None if like is None else Path(like))
    if like is not None:
        raise UsageError("--like is for a .weights.h5, whose variables have no names")
    if kind is FileKind.WEIGHTS:
        if weights is not None:
            raise UsageError(f"{file}: holds weights; name the prototxt first")
        return describe_weights(load_weights(file)), []
    protos = [Path(path) for path in proto]
    net = load_net(file, weights, phase=phase, level=level, stages=stage, protos=protos)
    found = survey(net, input_shape)
    loaded = None if weights is None else load_weights(weights)
    notes = [*net.notes, *_gaps(found), *found.plan.notes]
    if loaded is not None:
        notes += bind(found.plan, _without_gaps(loaded, found)).notes
    return describe(found, loaded), notes


def kind_of(file: AnyPath) -> FileKind:
    """What inspect is given.

    Raises:
        FileFormatError: the file cannot be read.
    """
    if str(file) == CARRIED:
        return FileKind.PROTOTXT
    path = Path(file)
    kind = file_kind(path)
    if kind is FileKind.TENSORFLOW or (
        path.suffix and path.is_file() and kind is FileKind.PROTOTXT
    ):
        return kind
    from tfcaffe.tensorflow_files import is_tensorflows  # a net is told without it

    return FileKind.TENSORFLOW if is_tensorflows(path) else kind


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
