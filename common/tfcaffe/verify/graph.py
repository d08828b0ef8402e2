"""A TensorFlow graph without function calls: any of its tensors can be fetched and replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfcaffe.verify.compare import Array
from tfcaffe.verify.model import Place


class Graph:
    """A GraphDef, imported once.

    Args:
        inputs, outputs: tensors by the names that the model's users know.

    Raises:
        Exception: of all kinds, from TensorFlow: the graph is damaged.
    """

    def __init__(
        self, definition: Any, inputs: Mapping[str, str], outputs: Mapping[str, str]
    ) -> None:
        self._definition = definition
        self._imported = _imported(definition)
        self._inputs, self._outputs = inputs, outputs
        self._nodes = {node.name for node in definition.node}

    def has(self, place: Place) -> bool:
        """Whether the graph computes (or is fed) such a tensor of numbers."""
        return self._find(place) is not None

    def run(
        self, feeds: Mapping[str, Array], places: Sequence[Place], instead: Mapping[Place, Array]
    ) -> Iterator[tuple[Place, Array]]:
        """The numbers at these places, all of which must be there.

        Args:
            feeds: by input.
            instead: what takes a place's own numbers' place for all that reads them.

        Raises:
            Exception: of all kinds, from TensorFlow, on numbers that it cannot take.
        """
        import tensorflow as tf

        fed = {self._inputs[name]: array for name, array in feeds.items()}
        found = {place: self._find(place) or "" for place in places}
        wanted = [tensor for tensor in dict.fromkeys(found.values()) if tensor not in fed]
        cut = {found[place]: array for place, array in instead.items() if found[place] not in fed}
        graph, names = self._cut(list(cut)) if cut else (self._imported, {})
        entries = {t: np.asarray(array) for t, array in fed.items()}
        entries |= {names[tensor]: array for tensor, array in cut.items()}
        symbols = [graph.graph.get_tensor_by_name(tensor) for tensor in entries]
        function = graph.prune(symbols, [graph.graph.get_tensor_by_name(t) for t in wanted])
        arrays = zip(entries.values(), symbols, strict=True)
        results = function(*(tf.constant(array, symbol.dtype) for array, symbol in arrays))
        known = fed | dict(zip(wanted, results, strict=True))
        return ((place, np.asarray(known[tensor])) for place, tensor in found.items())

    def _find(self, place: Place) -> str | None:
        """The tensor's name; in a SavedModel's graph the call's name stands in front of it."""
        name, output = place
        if output == 0 and (known := self._inputs.get(name) or self._outputs.get(name)):
            return known
        nodes = [name] if name in self._nodes else []
        nodes = nodes or [node for node in self._nodes if node.endswith(f"PartitionedCall/{name}")]
        if len(nodes) != 1:
            return None
        made = self._imported.graph.get_operation_by_name(nodes[0]).outputs
        kind = made[output].dtype if output < len(made) else None
        numbers = kind is not None and (kind.is_floating or kind.is_integer)
        return f"{nodes[0]}:{output}" if numbers else None

    def _cut(self, tensors: Sequence[str]) -> tuple[Any, dict[str, str]]:
        """The graph with a placeholder for each of these tensors wherever it is read."""
        import tensorflow as tf

        definition = tf.compat.v1.GraphDef()
        definition.CopyFrom(self._definition)
        names = {}
        for number, tensor in enumerate(tensors):
            symbol = self._imported.graph.get_tensor_by_name(tensor)
            node = definition.node.add(name=f"tfcaffe>fed/{number}", op="Placeholder")
            node.attr["dtype"].type = symbol.dtype.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(symbol.shape.as_proto())
            names[tensor] = f"{node.name}:0"
        for node in definition.node:
            for i, read in enumerate(node.input):
                node.input[i] = names.get(read if ":" in read else f"{read}:0", read)
        return _imported(definition), names


def _imported(definition: Any) -> Any:
    import tensorflow as tf

    return tf.compat.v1.wrap_function(
        lambda: tf.import_graph_def(definition, name=""), signature=[]
    )
