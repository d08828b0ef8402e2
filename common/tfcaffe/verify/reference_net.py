"""The net that Caffe's side runs: the user's own file, or one derived from it where it must be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfcaffe.errors import UsageError
from tfcaffe.files import prototxt
from tfcaffe.layers import registry
from tfcaffe.layers.training import differs_in_training, softmax_of
from tfcaffe.layout import Shape
from tfcaffe.load import CARRIED
from tfcaffe.net import Layer, Net
from tfcaffe.twin import Twin

_FED = ("Input", "DummyData")  # sources that Caffe sets up without any data at hand


def derive(net: Net, path: str, twin: Twin | None, phase: str = "TEST") -> tuple[Net, list[str]]:
    """The net to run, and why it is not the file itself (nothing if it is).

    A file that Caffe can run as it is stays as it is, so that our reading of it is on trial, too.
    Otherwise a data layer becomes an Input, a SoftmaxWithLoss that the model has as a Softmax
    becomes that, and the net ends at the model's outputs.

    Raises:
        UsageError: such a loss is read by another layer.
    """
    reasons = ["the net comes out of the caffemodel"] if path == CARRIED else []
    kinds = {layer.type for layer in net.layers if is_source(layer)} - set(_FED)
    if kinds:
        reasons.append(f"{', '.join(sorted(kinds))} layers are fed as inputs")
    names = [repr(layer.name) for layer in net.layers if differs_in_training(layer)]
    if phase == "TRAIN" and names:
        reasons.append(
            f"BatchNorm and Dropout layers ({', '.join(names)}) run as in phase TEST, as they do "
            "in the model outside training"
        )
    if twin is None:
        return net, reasons
    recorded = {(blob.layer, blob.blob) for blob in twin.blobs if blob.layout.axes}
    layers = [_softmax(layer, recorded) for layer in net.layers]
    replaced = [p for p in zip(net.layers, layers, strict=True) if p[0] is not p[1]]
    if replaced:
        _check_losses_unread(net, [old for old, _ in replaced])
        net = net.with_layers(layers)
        reasons += [
            f"the blob {new.tops[0]!r} is a Softmax of {new.bottoms[0]!r} in the place of {old}, "
            "as the model has it, and says nothing of the loss itself"
            for old, new in replaced
        ]
    made = {top for layer in net.layers for top in layer.tops}
    outputs = [output.blob for output in twin.outputs]
    if not made.issuperset(outputs):
        return net, reasons
    cut = net.with_outputs(outputs)
    kept = {id(layer) for layer in cut.layers}
    lost = [layer for layer in net.layers if id(layer) not in kept and _computes(layer)]
    if lost:
        reasons.append("the model ends before the net does")
    return (cut if reasons else net), reasons


def write(net: Net, shapes: Mapping[str, Shape], path: Path) -> None:
    """A prototxt of the net's layers; sources become Inputs of these shapes."""
    layers = [_as_input(la, shapes) if is_source(la) else la for la in net.layers]
    text = "".join(f"layer {{\n{prototxt.dump(_unconditional(layer))}}}\n" for layer in layers)
    path.write_text(text, encoding="utf-8")


def is_source(layer: Layer) -> bool:
    """Whether the layer's tops are inputs of the net."""
    family = registry().get(layer.type)
    return family is not None and family.source


def is_training(layer: Layer) -> bool:
    """Whether nothing but training needs the layer."""
    family = registry().get(layer.type)
    return family is not None and family.training_only


def _computes(layer: Layer) -> bool:
    return not is_source(layer) and not is_training(layer)


def _softmax(layer: Layer, recorded: Collection[tuple[str, str]]) -> Layer:
    """The Softmax that the model has for a SoftmaxWithLoss; any other layer as it is."""
    if layer.type != "SoftmaxWithLoss":
        return layer
    softmax = softmax_of(layer)
    return softmax if (softmax.name, softmax.tops[0]) in recorded else layer


def _check_losses_unread(net: Net, losses: Sequence[Layer]) -> None:
    """A layer that reads a loss would read a blob of another meaning."""
    for layer, refs in zip(net.layers, net.sources, strict=True):
        for ref in refs:
            if ref.top == 0 and net.layers[ref.layer] in losses:
                raise UsageError(
                    f"{net.path}: {layer} reads the loss of {net.layers[ref.layer]}, which the "
                    "model has as a Softmax: that is another function; convert the net again"
                )


def _as_input(layer: Layer, shapes: Mapping[str, Shape]) -> Layer:
    message = type(layer.message)()
    for top in layer.tops:
        message.input_param.shape.add().dim.extend(shapes[top])
    return replace(layer, type="Input", message=message)


def _unconditional(layer: Layer) -> Any:
    """The layer's message with its own names and wires, for every phase."""
    message = type(layer.message)()
    message.CopyFrom(layer.message)
    message.name, message.type = layer.name, layer.type
    for field, names in (("bottom", layer.bottoms), ("top", layer.tops)):
        _set(message, field, names)
    for field in ("include", "exclude", "phase"):
        message.ClearField(field)
    return message


def _set(message: Any, field: str, values: Sequence[str]) -> None:
    message.ClearField(field)
    getattr(message, field).extend(values)
