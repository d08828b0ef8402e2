"""A functional Keras model, run node by node so that every tensor can be seen and replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.keras_graph import calls, tensors
from tfcaffe.verify.compare import Array
from tfcaffe.verify.model import Instead, ModelError, Place, Visit, first_line


def load(path: Path) -> KerasModel:
    """A `.keras` file, or a whole model in Keras's `.h5`.

    Raises:
        FileFormatError: Keras does not load it; in its own words.
    """
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises all kinds on a damaged file
        raise FileFormatError(f"{path}: Keras cannot load it: {first_line(error)}") from error
    return KerasModel(model, str(path))


class KerasModel:
    """Implements `Model` for a functional or sequential model.

    Raises:
        UsageError: a model whose layers are wired in Python code only.
    """

    by_blob = False
    sees_inside = True

    def __init__(self, model: Any, name: str) -> None:
        import keras

        functional = getattr(model, "_functional", None) or model  # a Sequential holds one
        if not isinstance(functional, keras.Model) or not hasattr(functional, "_nodes_by_depth"):
            raise UsageError(f"{name}: is no functional Keras model, so its layers cannot be seen")
        self.name = name
        self.model = functional
        self.inputs = tuple(t._keras_history.operation.name for t in functional.inputs)
        self._tensors = tensors(functional)
        places = {id(tensor): place for place, tensor in self._tensors.items()}
        self.outputs = tuple(places[id(tensor)] for tensor in functional.outputs)

    def has(self, place: Place) -> bool:
        return place in self._tensors

    def run(
        self,
        feeds: Mapping[str, Array],
        watched: Collection[Place],
        visit: Visit,
        instead: Instead | None = None,
    ) -> None:
        """Node by node: a tensor is forgotten as soon as nothing reads it any more."""
        from keras import ops, tree

        places = {id(self._tensors[place]): place for place in watched}
        uses = Counter(id(t) for node in self._nodes() for t in node.input_tensors)
        values: dict[int, Any] = {}

        def keep(symbol: Any, value: Any) -> None:
            place = places.get(id(symbol))
            if place is not None:
                visit(place, np.asarray(ops.convert_to_numpy(value)))
                if instead is not None and (replaced := instead(place)) is not None:
                    value = ops.convert_to_tensor(np.ascontiguousarray(replaced), value.dtype)
            if uses[id(symbol)]:
                values[id(symbol)] = value

        for symbol, name in zip(self.model.inputs, self.inputs, strict=True):
            keep(symbol, ops.convert_to_tensor(feeds[name], symbol.dtype))
        for node in self._nodes():
            arguments, keywords = node.arguments.fill_in(values)
            if getattr(node.operation, "_call_has_training_arg", False):  # some default to True
                keywords = {**keywords, "training": False}
            try:
                results = tree.flatten(node.operation(*arguments, **keywords))
            except Exception as error:  # whatever the backend raises on numbers it cannot take
                raise ModelError(
                    f"{self.name}: its node {node.operation.name!r} fails on this input: "
                    f"{first_line(error)}"
                ) from error
            for symbol in node.input_tensors:
                uses[id(symbol)] -= 1
                if not uses[id(symbol)]:
                    values.pop(id(symbol), None)
            del arguments, keywords
            for symbol, value in zip(node.outputs, results, strict=True):
                keep(symbol, value)

    def _nodes(self) -> Iterator[Any]:
        """Calls of layers and operations, in an order in which they can run."""
        return (node for node in calls(self.model) if not node.is_input)
