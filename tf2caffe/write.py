"""The two files of a net: a prototxt as a person would write it, and its caffemodel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tf2caffe.network import Network
from tfcaffe.files import caffemodel, pairing, prototxt, schema
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.files.wire import bytes_field
from tfcaffe.twin import FIELD


def write(network: Network, text: Path, model: Path, header: Sequence[str]) -> None:
    """Write both.

    Args:
        header: lines for the comment at the top.
    """
    layers = (
        LayerBlobs(
            layer.name,
            layer.type,
            Blobs(layer.blobs),
            tuple(b.name for b in layer.bottoms),
            tuple(t.name for t in layer.tops),
        )
        for layer in network.layers
    )
    caffemodel.write(model, layers, net_name=network.name)
    with model.open("ab") as file:
        file.write(bytes_field(FIELD, network.twin.to_json().encode()))
    net = schema.load().message("NetParameter")()
    net.name = network.name
    for layer in network.layers:
        net.layer.add().CopyFrom(layer.message)
    lines = [*header, pairing.comment(model)]
    comment = "".join(f"# {line}\n" for line in lines)
    text.write_text(comment + prototxt.dump(net), encoding="utf-8")
