"""A frozen GraphDef: one `.pb` of plain ops and constants, without function calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caffe2tf.build import build
from caffe2tf.formats import Format
from caffe2tf.source import Source


def write(source: Source, path: Path) -> Sequence[str]:
    """Placeholders and outputs bear the (escaped) blob names."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    from caffe2tf.formats.savedmodel import check_weights, serving

    check_weights(source)
    built = build(source, plain=True)
    function = serving(built).get_concrete_function()
    frozen = convert_variables_to_constants_v2(function)
    graph = frozen.graph.as_graph_def()
    names = sorted(function.structured_outputs)  # as TensorFlow flattens a dict
    wanted = {tensor.op.name: name for tensor, name in zip(frozen.outputs, names, strict=True)}
    taken = {node.name for node in graph.node}
    for node in graph.node:
        name = wanted.get(node.name)
        if name is not None and name not in taken:
            node.name = name
    path.write_bytes(graph.SerializeToString(deterministic=True))
    return built.notes


FORMAT = Format("frozen", ".pb", write)
