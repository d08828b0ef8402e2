"""SavedModels and frozen graphs: seen from outside, by the names of inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.verify.compare import Array
from tfcaffe.verify.model import ModelError, Place, Visit, first_line

_SIGNATURE = "serving_default"


def load_saved_model(path: Path) -> GraphModel:
    """A SavedModel, by its signature `serving_default`.

    Raises:
        FileFormatError: TensorFlow does not load it; in its own words.
        UsageError: it has no such signature.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow raises all kinds on a damaged folder
        raise FileFormatError(f"{path}: TensorFlow cannot load it: {first_line(error)}") from error
    if _SIGNATURE not in getattr(loaded, "signatures", {}):
        raise UsageError(f"{path}: the SavedModel has no signature called {_SIGNATURE}")
    function = loaded.signatures[_SIGNATURE]
    inputs = function.structured_input_signature[1]
    model = GraphModel(str(path), function, inputs, tuple(function.structured_outputs))
    model.kept = loaded  # its variables live as long as it does
    return model


def load_frozen(path: Path) -> GraphModel:
    """A frozen GraphDef: placeholders are inputs, and what no node reads is an output.

    Raises:
        FileFormatError: it is not one.
        UsageError: it has no inputs or no outputs.
    """
    import tensorflow as tf

    try:
        graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        read = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
        inputs = [node.name for node in graph.node if node.op == "Placeholder"]
        outputs = [
            node.name
            for node in graph.node
            if node.name not in read and node.op not in ("NoOp", "Placeholder", "Const")
        ]
        imported = tf.compat.v1.wrap_function(
            lambda: tf.import_graph_def(graph, name=""), signature=[]
        )
        tensors = [imported.graph.get_tensor_by_name(f"{name}:0") for name in inputs]
        results = {name: imported.graph.get_tensor_by_name(f"{name}:0") for name in outputs}
        function = imported.prune(tensors, results)
    except Exception as error:  # TensorFlow raises all kinds on a damaged graph
        raise FileFormatError(f"{path}: is no frozen graph: {first_line(error)}") from error
    if not inputs or not outputs:
        raise UsageError(f"{path}: the graph has no placeholder, or nothing that comes out of it")

    def call(**feeds: Any) -> Any:
        return function(*(feeds[name] for name in inputs))

    specs = {name: t for name, t in zip(inputs, tensors, strict=True)}
    return GraphModel(str(path), call, specs, tuple(outputs))


class GraphModel:
    """Implements `Model` for a function from named inputs to named outputs."""

    sees_inside = False

    def __init__(
        self, name: str, function: Any, inputs: Mapping[str, Any], outputs: tuple[str, ...]
    ) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.outputs: tuple[Place, ...] = tuple((output, 0) for output in outputs)
        self._function, self._types = function, {n: spec.dtype for n, spec in inputs.items()}
        self.kept: Any = None

    def has(self, place: Place) -> bool:
        return place in self.outputs

    def run(self, feeds: Mapping[str, Array], watched: set[Place], visit: Visit) -> None:
        import tensorflow as tf

        try:
            tensors = {name: tf.constant(feeds[name], kind) for name, kind in self._types.items()}
            results = self._function(**tensors)
        except Exception as error:  # TensorFlow raises all kinds on numbers it cannot take
            raise ModelError(f"{self.name}: fails on this input: {first_line(error)}") from error
        for place in self.outputs:
            if place in watched:
                visit(place, np.asarray(results[place[0]]))
