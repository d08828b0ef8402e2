"""A function that TensorFlow has traced becomes a record; its variables are leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tf2caffe.graph import Graph, Read
from tf2caffe.graph.definition import from_definition
from tf2caffe.graph.prune import pruned
from tf2caffe.graph.record import record
from tfcaffe.errors import UnsupportedError

_CALLS = frozenset(["PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf"])


@dataclass(frozen=True)
class Ends:
    """Where a graph is cut; tensors by the names that users know.

    Args:
        shapes: of the inputs.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    shapes: Mapping[str, Sequence[int]]
    marks: Mapping[tuple[str, int], str]


def from_concrete(function: Any, ends: Ends, origins: Callable[[str], str]) -> Graph:
    """The record of a concrete function.

    Args:
        origins: the Keras layer or scope of a node by its name.

    Raises:
        UnsupportedError: shapes that contradict each other; an input that is one of several
            outputs of its node.
    """
    operations = function.graph.get_operations()
    variables = _variables(function)
    fed = {tensor.partition(":")[0] for tensor in ends.inputs.values()}
    plain = all(op.type in ("Placeholder",) for op in operations if op.name in fed)
    if plain and not any(_calls(op.type) for op in operations):
        return _recorded(operations, ends, variables, origins)
    definition, readers = definition_of(function)
    inlined = pruned(definition, fed, readers)
    resolved = {name: inlined.resolve(tensor) for name, tensor in ends.inputs.items()}
    if inner := [name for name, tensor in resolved.items() if not tensor.endswith(":0")]:
        raise UnsupportedError(f"input {inner[0]!r}: is not its node's first output; cut behind it")
    wanted = {f"o{i}": tensor for i, tensor in enumerate({**ends.outputs}.values())}
    wanted |= {f"m{i}": tensor for i, tensor in enumerate(ends.marks.values())}
    graph = from_definition(
        inlined.definition,
        {name: (tensor.removesuffix(":0"), ends.shapes[name]) for name, tensor in resolved.items()},
        {name: inlined.resolve(tensor) for name, tensor in wanted.items()},
        readers,
        origins,
    )
    found = list(graph.outputs.values())
    count = len(ends.outputs)
    graph.outputs = dict(zip(ends.outputs, found[:count], strict=True))
    graph.marks = dict(zip(ends.marks, found[count:], strict=True))
    return graph


def definition_of(function: Any) -> tuple[Any, dict[str, Read]]:
    """A concrete function's GraphDef; variables are placeholders, whose numbers come by node."""
    held = _variables(function)
    definition = function.graph.as_graph_def(add_shapes=False)
    for node in definition.node:
        if node.name in held:
            variable = held[node.name]
            node.attr["dtype"].type = variable.dtype.base_dtype.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(variable.shape.as_proto())
    return definition, {name: v.numpy for name, v in held.items() if hasattr(v, "numpy")}


def _calls(kind: str) -> bool:
    """Whether an op calls a function; one that is called by its own name is no op."""
    import tensorflow as tf

    return kind in _CALLS or not hasattr(tf.raw_ops, kind)


def _recorded(
    operations: Sequence[Any],
    ends: Ends,
    variables: Mapping[str, Any],
    origins: Callable[[str], str],
) -> Graph:
    """Without calls, the graph that was traced says all: nothing is built again."""
    readers: dict[str, Read] = {name: held.numpy for name, held in variables.items()}
    graph = record(operations, ends.inputs, ends.outputs, readers, origins)
    for name, held in variables.items():
        node = graph.nodes[name]
        node.shapes, node.dtypes = [(*held.shape.as_list(),)], [held.dtype.base_dtype.name]
    for node in graph.nodes.values():
        if node.op == "ResourceGather":
            node.op, node.inputs = "GatherV2", [*node.inputs, graph.leaf(f"{node.name}:axis", 0)]
    graph.marks = {mark: graph.find(tensor) for mark, tensor in ends.marks.items()}
    return graph


def _variables(function: Any) -> dict[str, Any]:
    """What each captured placeholder stands for: a variable, or a constant tensor."""
    by_handle = {id(v.handle): v for v in (*function.variables, *function.graph.variables)}
    return {
        placeholder.op.name: by_handle.get(id(tensor), tensor)
        for tensor, placeholder in function.graph.captures
    }
