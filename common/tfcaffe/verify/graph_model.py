"""SavedModels and frozen graphs: run as they are served, and looked into through their graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.verify.compare import Array
from tfcaffe.verify.graph import Graph
from tfcaffe.verify.model import Instead, ModelError, Place, Visit, first_line

_SIGNATURE = "serving_default"
_MOST_CONSTANTS = (1 << 31) - (1 << 26)  # bytes that one GraphDef holds besides its nodes
Serve = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def load_saved_model(path: Path, *, inside: bool) -> GraphModel:
    """A SavedModel, by its signature `serving_default`.

    Args:
        inside: whether its inner tensors are to be seen.

    Raises:
        FileFormatError: TensorFlow does not load it; in its own words.
        UsageError: it has no such signature.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
        function = getattr(loaded, "signatures", {}).get(_SIGNATURE)
        graph = _graph(function) if function is not None and inside else None
    except Exception as error:  # TensorFlow raises all kinds on a damaged folder
        raise FileFormatError(f"{path}: TensorFlow cannot load it: {first_line(error)}") from error
    if function is None:
        raise UsageError(f"{path}: the SavedModel has no signature called {_SIGNATURE}")
    types = {name: spec.dtype for name, spec in function.structured_input_signature[1].items()}

    def serve(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        results = function(**{name: tf.constant(feeds[name], types[name]) for name in types})
        return {name: np.asarray(result) for name, result in results.items()}

    model = GraphModel(str(path), tuple(types), tuple(function.structured_outputs), serve, graph)
    model.kept = loaded  # its variables live as long as it does
    return model


def load_frozen(path: Path) -> GraphModel:
    """A frozen GraphDef: placeholders are inputs, and what no node reads is an output.

    Raises:
        FileFormatError: it is not one.
        UsageError: it has no inputs or no outputs.
    """
    import tensorflow as tf

    def read() -> Any:
        return tf.compat.v1.GraphDef.FromString(path.read_bytes())

    try:
        inputs, outputs = _ends(read())
        graph = Graph(read, inputs, outputs)
    except Exception as error:  # TensorFlow raises all kinds on a damaged graph
        raise FileFormatError(f"{path}: is no frozen graph: {first_line(error)}") from error
    if not inputs or not outputs:
        raise UsageError(f"{path}: the graph has no placeholder, or nothing that comes out of it")

    def serve(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        run = graph.run(feeds, [(name, 0) for name in outputs], {}, optimized=True)
        return {place[0]: array for place, array in run}

    return GraphModel(str(path), tuple(inputs), tuple(outputs), serve, graph)


def _ends(definition: Any) -> tuple[dict[str, str], dict[str, str]]:
    """The tensors that go into a graph and come out of it, by their nodes' names."""
    inputs, outputs, read = {}, {}, set()
    for node in definition.node:
        read |= {name.lstrip("^").partition(":")[0] for name in node.input}
        if node.op == "Placeholder":
            inputs[node.name] = f"{node.name}:0"
        elif node.op not in ("NoOp", "Const"):
            outputs[node.name] = f"{node.name}:0"
    return inputs, {name: tensor for name, tensor in outputs.items() if name not in read}


def _graph(function: Any) -> Graph | None:
    """What a signature computes, with constants for variables; None if it is too large."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    if sum(prod(v.shape) * v.dtype.size for v in function.variables) > _MOST_CONSTANTS:
        return None
    frozen = convert_variables_to_constants_v2(function)
    names = sorted(function.structured_input_signature[1]), sorted(function.structured_outputs)
    inputs, outputs = (
        {name: tensor.name for name, tensor in zip(known, tensors, strict=True)}
        for known, tensors in zip(names, (frozen.inputs, frozen.outputs), strict=True)
    )
    return Graph(frozen.graph.as_graph_def, inputs, outputs)


class GraphModel:
    """Implements `Model` for a function from named inputs to named outputs.

    Args:
        serve: runs it as its users do.
        graph: what it computes; None shows its outputs only.
    """

    by_blob = True

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        serve: Serve,
        graph: Graph | None,
    ) -> None:
        self.name, self.inputs = name, inputs
        self.outputs: tuple[Place, ...] = tuple((output, 0) for output in outputs)
        self.sees_inside = graph is not None
        self._serve, self._graph = serve, graph
        self._within = False
        self.kept: Any = None

    def feed_at(self, names: Sequence[str]) -> None:
        self.inputs, self._within = tuple(names), True

    def has(self, place: Place) -> bool:
        return place in self.outputs or (self._graph is not None and self._graph.has(place))

    def run(
        self,
        feeds: Mapping[str, Array],
        watched: Collection[Place],
        visit: Visit,
        instead: Instead | None = None,
    ) -> None:
        """Outputs are what is served; the tensors between, and all in isolation, the graph's."""
        plain = not instead and not self._within
        served = [place for place in watched if plain and place in self.outputs]
        found: dict[Place, Array] = {}
        if self._within:  # what is fed is not computed
            found = {(name, 0): np.asarray(array) for name, array in feeds.items()}
            feeds = {}
        inner = [place for place in watched if place not in served and place not in found]
        replaced = found | {
            place: array for place in inner if instead and (array := instead(place)) is not None
        }
        try:
            if served:
                answers = self._serve(feeds)
                found |= {place: answers[place[0]] for place in served}
            if self._graph is not None and inner:
                found |= self._graph.run(feeds, inner, replaced)
        except Exception as error:  # TensorFlow raises all kinds on numbers it cannot take
            raise ModelError(f"{self.name}: fails on this input: {first_line(error)}") from error
        for place in watched:
            visit(place, found[place])
