"""A SavedModel for inference: plain ops that run on any CPU, oneDNN on or off, without XLA."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caffe2tf.build import Built, build
from caffe2tf.formats import Format
from caffe2tf.source import Source
from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.keras_graph import tensors
from tfcaffe.names import escape
from tfcaffe.twin import ASSETS, MEMBER, Twin


def write(source: Source, path: Path) -> Sequence[str]:
    """`serving_default` has inputs and outputs keyed by (escaped) blob names."""
    import tensorflow as tf

    check_weights(source)
    built = build(source, plain=True)
    _check_inputs(built)
    served = trace(built)
    module = tf.Module()
    module.weights = [variable.value for variable in built.model.variables]
    module.serve = served.function
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    extra = path / ASSETS
    extra.mkdir()
    record = served.twin.to_json(**source.facts, tensorflow=tf.__version__)
    (extra / MEMBER).write_text(record, encoding="utf-8")
    return built.notes


def check_weights(source: Source) -> None:
    """Refuse to write random numbers into a model that is only good for inference.

    Raises:
        UsageError: the net has blobs, and there are no weights.
    """
    if source.binding is None and any(entry.params for entry in source.plan.layers):
        raise UsageError(
            "this output is for inference and needs the WEIGHTS file; without one write a .keras"
        )


def _check_inputs(built: Built) -> None:
    """Refuse input names of which TensorFlow makes one and the same argument.

    Raises:
        UnsupportedError: naming the inputs.
    """
    made: dict[str, str] = {"self": ""}
    for twin in built.twin.inputs:
        argument = re.sub(r"\W", "_", escape(twin.blob), flags=re.ASCII)
        if argument in made:
            others = f" and {made[argument]!r}" if made[argument] else ""
            raise UnsupportedError(
                f"a SavedModel cannot have the input {twin.blob!r}{others}: TensorFlow makes the "
                f"argument {argument!r} of it; rename the blob, or write a .keras or .pb"
            )
        made[argument] = twin.blob


@dataclass(frozen=True)
class Served:
    """A model as a TensorFlow function from inputs to a dict of outputs by (escaped) blob name.

    Args:
        twin: where each blob is in the function's graph.
    """

    function: Any
    twin: Twin


def trace(built: Built) -> Served:
    """Trace a model as a function; its graph holds the model's own ops and no others."""
    import keras
    import tensorflow as tf

    names = [escape(twin.blob) for twin in built.twin.outputs]
    signature = [
        tf.TensorSpec(tensor.shape, tf.float32, name=escape(twin.blob))
        for tensor, twin in zip(built.model.inputs, built.twin.inputs, strict=True)
    ]
    found = tensors(built.model)
    inner = [found[blob.node, blob.output] for blob in built.twin.blobs]
    model = keras.Model(built.model.inputs, [*built.model.outputs, *inner], name=built.model.name)
    traced: list[Any] = []

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def serve(*inputs: Any) -> dict[str, Any]:
        results = keras.tree.flatten(model(list(inputs), training=False))
        traced[:] = results[len(names) :]
        return dict(zip(names, results[: len(names)], strict=True))

    graph = serve.get_concrete_function()
    inputs = [
        replace(fed, node=tensor.op.name)
        for fed, tensor in zip(built.twin.inputs, graph.inputs, strict=False)
    ]
    blobs = [
        replace(blob, node=tensor.op.name, output=tensor.value_index)
        for blob, tensor in zip(built.twin.blobs, traced, strict=True)
    ]
    outputs = [
        replace(out, node=name, output=0)
        for out, name in zip(built.twin.outputs, names, strict=True)
    ]
    return Served(serve, Twin(tuple(inputs), tuple(blobs), tuple(outputs)))


FORMAT = Format("savedmodel", "", write, directory=True)
