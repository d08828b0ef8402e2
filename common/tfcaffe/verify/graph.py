"""A TensorFlow graph without function calls: any of its tensors can be fetched and replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfcaffe.verify.compare import Array
from tfcaffe.verify.model import Place


class Graph:
    """A GraphDef, imported once.

    Args:
        read: gives the GraphDef; it can be as large as all weights, so it is not kept.
        inputs, outputs: tensors by the names that the model's users know.

    Raises:
        Exception: of all kinds, from TensorFlow: the graph is damaged.
    """

    def __init__(
        self, read: Callable[[], Any], inputs: Mapping[str, str], outputs: Mapping[str, str]
    ) -> None:
        self._read = read
        self._inputs, self._outputs = inputs, outputs
        self._graph = _imported(read(), {})
        self._nodes = {operation.name for operation in self._graph.get_operations()}

    def has(self, place: Place) -> bool:
        """Whether the graph computes (or is fed) such a tensor of numbers."""
        return self._find(place) is not None

    def run(
        self,
        feeds: Mapping[str, Array],
        places: Sequence[Place],
        instead: Mapping[Place, Array],
        *,
        optimized: bool = False,
    ) -> Iterator[tuple[Place, Array]]:
        """The numbers at these places, all of which must be there.

        Args:
            feeds: by input.
            instead: what takes a place's own numbers' place for all that reads them.
            optimized: as TensorFlow runs graphs by default, which takes more time and memory.

        Raises:
            Exception: of all kinds, from TensorFlow, on numbers that it cannot take.
        """
        import tensorflow as tf

        fed = {self._inputs[name]: array for name, array in feeds.items()}
        found = {place: self._find(place) or "" for place in places}
        tensors = {self._find(place) or "": array for place, array in instead.items()}
        cut = {tensor: array for tensor, array in tensors.items() if tensor not in fed}
        graph, names = self._cut(list(cut)) if cut else (self._graph, {})
        fed |= {names[tensor]: array for tensor, array in cut.items()}
        options = tf.compat.v1.ConfigProto()
        options.graph_options.rewrite_options.disable_meta_optimizer = not optimized
        with tf.compat.v1.Session(graph=graph, config=options) as session:
            arrays = session.run(list(found.values()), fed)
        return zip(found, map(np.asarray, arrays), strict=True)

    def _find(self, place: Place) -> str | None:
        """The tensor's name; in a SavedModel's graph the call's name stands in front of it."""
        name, output = place
        if output == 0 and (known := self._inputs.get(name) or self._outputs.get(name)):
            return known
        nodes = [name] if name in self._nodes else []
        nodes = nodes or [node for node in self._nodes if node.endswith(f"PartitionedCall/{name}")]
        if len(nodes) != 1:
            return None
        made = self._graph.get_operation_by_name(nodes[0]).outputs
        kind = made[output].dtype if output < len(made) else None
        numbers = kind is not None and (kind.is_floating or kind.is_integer)
        return f"{nodes[0]}:{output}" if numbers else None

    def _cut(self, tensors: Sequence[str]) -> tuple[Any, dict[str, str]]:
        """The graph with a placeholder for each of these tensors wherever it is read."""
        symbols = {tensor: self._graph.get_tensor_by_name(tensor) for tensor in tensors}
        names = {tensor: f"tfcaffe>fed/{number}" for number, tensor in enumerate(tensors)}
        instead = {tensor: (names[tensor], symbol) for tensor, symbol in symbols.items()}
        graph = _imported(self._read(), instead)
        return graph, {tensor: f"{name}:0" for tensor, name in names.items()}


def _imported(definition: Any, instead: Mapping[str, tuple[str, Any]]) -> Any:
    """A graph; `instead` are placeholders by the tensors that they stand for: name and pattern."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        holders = {
            tensor: tf.compat.v1.placeholder(symbol.dtype, symbol.shape, name)
            for tensor, (name, symbol) in instead.items()
        }
        tf.import_graph_def(definition, input_map=holders, name="")
    return graph
