"""A frozen GraphDef: one `.pb` of plain ops and constants, without function calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from caffe2tf.build import Built, build
from caffe2tf.formats import Format
from caffe2tf.formats.savedmodel import check_weights, trace
from caffe2tf.source import Source
from tfcaffe.files.wire import bytes_field
from tfcaffe.twin import FIELD, Twin


def write(source: Source, path: Path) -> Sequence[str]:
    """Placeholders and outputs bear the (escaped) blob names, other nodes those of layers.

    The record is a field of the file's message that TensorFlow does not know and steps over.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    check_weights(source)
    built = build(source, plain=True)
    served = trace(built)
    function = served.function.get_concrete_function()
    frozen = convert_variables_to_constants_v2(function)
    graph = frozen.graph.as_graph_def()
    outputs = sorted(function.structured_outputs)  # as TensorFlow flattens a dict
    names = {tensor.op.name: name for tensor, name in zip(frozen.outputs, outputs, strict=True)}
    names = _names(graph, names, built, served.twin)
    _rename(graph, names)
    blobs = [replace(blob, node=names.get(blob.node, blob.node)) for blob in served.twin.blobs]
    record = replace(served.twin, blobs=tuple(blobs))
    text = record.to_json(**source.facts, tensorflow=tf.__version__)
    nodes = graph.SerializeToString(deterministic=True)
    path.write_bytes(nodes + bytes_field(FIELD, text.encode()))
    return built.notes


def _names(graph: Any, outputs: Mapping[str, str], built: Built, twin: Twin) -> dict[str, str]:
    """New names of nodes: the outputs', and the Keras model's for those that make the blobs."""
    taken = {node.name for node in graph.node}
    names: dict[str, str] = {}
    wanted = [(node, [name]) for node, name in outputs.items()]
    wanted += [
        (made.node, [blob.node, f"{blob.node}>t{blob.output}"])
        for blob, made in zip(built.twin.blobs, twin.blobs, strict=True)
        if made.node not in {fed.node for fed in twin.inputs}
    ]
    for node, known in wanted:
        free = [name for name in known if name not in taken]
        if node not in names and free:
            names[node] = free[0]
            taken.add(free[0])
    return names


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.name = names.get(node.name, node.name)
        for i, read in enumerate(node.input):
            name, colon, output = read.removeprefix("^").partition(":")
            if name in names:
                mark = "^" if read.startswith("^") else ""
                node.input[i] = f"{mark}{names[name]}{colon}{output}"


FORMAT = Format("frozen", ".pb", write)
