"""The two files of a net: a prototxt as a person would write it, and its caffemodel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tf2caffe.network import Network
from tfcaffe.files import caffemodel, pairing, prototxt, schema
from tfcaffe.files.weights import Blob, Blobs, FloatArray, LayerBlobs
from tfcaffe.files.wire import bytes_field
from tfcaffe.progress import Watch, unwatched
from tfcaffe.twin import FIELD, BlobTwin, Twin
from tfcaffe.variables.base import some

_IMAGE_AXES = 4  # what `input_dim` can say


def write(
    network: Network,
    text: Path,
    model: Path,
    header: Sequence[str],
    legacy_input: bool = False,
    watch: Watch = unwatched,
) -> list[str]:
    """Write both; gives notes on the numbers.

    Args:
        header: lines for the comment at the top.
        legacy_input: `input` and `input_dim` lines in the place of Input layers.
        watch: is told how many layers are written.
    """
    spoilt: dict[str, None] = {}
    caffemodel.write(model, _blobs(network, watch, spoilt), net_name=network.name)
    with model.open("ab") as file:
        twin = _legacy_twin(network) if legacy_input else network.twin
        file.write(bytes_field(FIELD, twin.to_json().encode()))
    net = schema.load().message("NetParameter")()
    net.name = network.name
    for layer in network.layers:
        if legacy_input and layer.type == "Input":
            _add_legacy_input(net, layer.tops[0].name, layer.tops[0].shape)
        else:
            net.layer.add().CopyFrom(layer.message)
    lines = [*header, pairing.comment(model)]
    comment = "".join(f"# {line}\n" for line in lines)
    text.write_text(comment + prototxt.dump(net), encoding="utf-8")
    return (
        [f"weights that are infinite or no numbers (NaN): {some(list(spoilt))}"] if spoilt else []
    )


def _blobs(network: Network, watch: Watch, spoilt: dict[str, None]) -> Iterator[LayerBlobs]:
    """The layers' weights; `spoilt` is told the names of those with infinities or NaN."""
    count = len(network.layers)
    for i, layer in enumerate(network.layers):
        watch(f"writes {layer.name}", i, count)
        bottoms = tuple(blob.name for blob in layer.bottoms)
        tops = tuple(blob.name for blob in layer.tops)
        blobs = [
            replace(blob, read=partial(_looked_at, blob, layer.name, spoilt))
            for blob in layer.blobs
        ]
        yield LayerBlobs(layer.name, layer.type, Blobs(blobs), bottoms, tops)


def _looked_at(blob: Blob, name: str, spoilt: dict[str, None]) -> FloatArray:
    array = blob.read()
    with np.errstate(all="ignore"):  # a sum alone costs next to nothing, but may overflow
        if not np.isfinite(array.sum()) and not np.isfinite(array).all():
            spoilt[name] = None
    return array


def _legacy_twin(network: Network) -> Twin:
    """The record as Caffe upgrades such inputs: one layer `input` with a top for each."""
    fed = {layer.name for layer in network.layers if layer.type == "Input"}

    def moved(blobs: Sequence[BlobTwin]) -> tuple[BlobTwin, ...]:
        less = len(fed) - 1
        return tuple(
            replace(blob, layer="input", index=0)
            if blob.layer in fed
            else replace(blob, index=blob.index - less)
            for blob in blobs
        )

    twin = network.twin
    return replace(
        twin, inputs=moved(twin.inputs), blobs=moved(twin.blobs), outputs=moved(twin.outputs)
    )


def _add_legacy_input(net: Any, name: str, shape: Sequence[int]) -> None:
    """As nets were written before there was an Input layer. Source: upgrade_proto.cpp."""
    net.input.append(name)
    if len(shape) == _IMAGE_AXES and not net.input_shape:
        net.input_dim.extend(shape)
        return
    for first in range(0, len(net.input_dim), _IMAGE_AXES):  # one form for all inputs
        net.input_shape.add().dim.extend(net.input_dim[first : first + _IMAGE_AXES])
    del net.input_dim[:]
    net.input_shape.add().dim.extend(shape)
