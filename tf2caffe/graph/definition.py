"""A GraphDef becomes a record: simplified, with variables and large constants as leaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tf2caffe.graph import Array, Graph, Read, branches
from tf2caffe.graph.identities import HALVES
from tf2caffe.graph.node_def import become
from tf2caffe.graph.record import record
from tfcaffe.errors import UnsupportedError

_FLOAT, _INT32 = 1, 3  # types.proto
_HALVES = frozenset([14, 19])  # bfloat16 and half
_LEAF = 1024  # numbers; a larger constant stays where it is until it is written


def from_definition(
    definition: Any,
    inputs: Mapping[str, tuple[str, Sequence[int] | None]],
    outputs: Mapping[str, str],
    variables: Mapping[str, Read],
    origins: Callable[[str], str],
) -> Graph:
    """The record of a GraphDef without function calls.

    Args:
        inputs: by the users' name: a node, which becomes a placeholder, and its shape; None for
            one that is not known.
        outputs: by the users' name: a tensor (`node:0`).
        variables: numbers of the placeholders that stand for variables, by node.
        origins: the Keras layer or scope of a node by its name.

    Raises:
        UnsupportedError: shapes that contradict each other.
    """
    import tensorflow as tf

    shapes = dict(inputs.values())
    leaves = dict(variables)
    opaque: dict[str, str] = {}
    kept = tf.compat.v1.GraphDef()
    kept.versions.CopyFrom(definition.versions)
    for node in _needed(definition, [*outputs.values()], shapes):
        if node.name in shapes:
            _placeholder(kept, node, _type(node), tf.TensorShape(shapes[node.name]).as_proto())
        elif node.op == "Const" and _count(node) > _LEAF:
            tensor = node.attr["value"].tensor
            _placeholder(kept, node, tensor.dtype, tensor.tensor_shape)
            leaves[node.name] = partial(_numbers, tensor)
        else:
            copy = kept.node.add()
            copy.CopyFrom(node)
            copy.device = ""
            for name in ("_output_shapes", "_class"):
                copy.attr.pop(name, None)
            _without_resource(kept, copy)
            if op := branches.closed(copy, variables):
                opaque[copy.name] = op
    halves = [_widened(node) for node in kept.node]
    traced = tf.Graph()
    try:
        with traced.as_default():
            tf.graph_util.import_graph_def(kept, name="")
    except (ValueError, tf.errors.OpError) as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UnsupportedError(_unregistered(kept, reason)) from error
    fed = {name: f"{node}:0" for name, (node, _) in inputs.items()}
    graph = record(traced.get_operations(), fed, outputs, leaves, origins)
    for node_name, shape in inputs.values():
        if shape is not None:  # old graphs lose the shape of a single number
            graph.nodes[node_name].shapes = [tuple(shape)]
    for name, op in opaque.items():
        graph.nodes[name].op = op
    if any(halves):
        graph.notes.append(HALVES)
    return graph


def _unregistered(definition: Any, reason: str) -> str:
    """What is wrong with a graph, which TensorFlow says; its own word for an op that it lacks."""
    lacking = re.search(r"Op type not registered '(\w+)'", reason)
    if lacking is None:
        return f"TensorFlow cannot build the graph: {reason}"
    names = [node.name for node in definition.node if node.op == lacking[1]]
    return (
        f"node {names[0]!r} ({lacking[1]}): TensorFlow has no such op; cut the network before it "
        "with --outputs, or behind it with --inputs"
    )


def _numbers(tensor: Any) -> Array:
    from tensorflow import make_ndarray

    array: Array = make_ndarray(tensor)
    return array.astype(np.float32) if tensor.dtype in _HALVES else array


def _widened(node: Any) -> bool:
    """Numbers of 16 bits become float32, as Caffe has them; tells whether there were any."""
    from tensorflow import make_tensor_proto

    found = False
    for attr in node.attr.values():
        if attr.type in _HALVES:
            attr.type = _FLOAT
            found = True
        if attr.tensor.dtype in _HALVES:
            attr.tensor.CopyFrom(make_tensor_proto(_numbers(attr.tensor)))
    return found


def _needed(definition: Any, outputs: Sequence[str], ends: Mapping[str, Any]) -> list[Any]:
    """The nodes that outputs need, in the graph's order.

    Raises:
        UnsupportedError: a node reads one that is not there.
    """
    by_name = {node.name: node for node in definition.node}
    wanted: set[str] = set()
    stack = [tensor.partition(":")[0] for tensor in outputs]
    while stack:
        name = stack.pop()
        if name in wanted:
            continue
        if name not in by_name:
            raise UnsupportedError(f"the graph is damaged: a node reads {name!r}, which is missing")
        wanted.add(name)
        if name not in ends:
            inputs = (i for i in by_name[name].input if not i.startswith("^"))
            stack += [i.partition(":")[0] for i in inputs]
    return [node for node in definition.node if node.name in wanted or node.name in ends]


def _placeholder(definition: Any, node: Any, dtype: int, shape: Any) -> None:
    made = definition.node.add()
    made.name, made.op = node.name, "Placeholder"
    made.attr["dtype"].type = dtype
    made.attr["shape"].shape.CopyFrom(shape)


def _count(node: Any) -> int:
    return prod(dim.size for dim in node.attr["value"].tensor.tensor_shape.dim)


def _type(node: Any) -> int:
    """The type of a node's first output, as far as its attributes tell; else float."""
    for name in ("dtype", "DstT", "out_type", "T"):
        if name in node.attr and node.attr[name].type:
            return int(node.attr[name].type)
    types = node.attr["output_types"].list.type  # of IteratorGetNext
    return int(types[0]) if types else 1


def _without_resource(definition: Any, node: Any) -> None:
    """Reading a variable is reading the placeholder that stands for it."""
    if node.op == "ReadVariableOp":
        become(node, "Identity", node.input[:1], node.attr["dtype"].type)
    elif node.op == "ResourceGather":
        dtype, indices = node.attr["dtype"].type, node.attr["Tindices"].type
        axis = definition.node.add()
        axis.name, axis.op = f"{node.name}/tfcaffe_axis", "Const"
        axis.attr["dtype"].type = _INT32
        axis.attr["value"].tensor.dtype = _INT32
        axis.attr["value"].tensor.tensor_shape.SetInParent()
        axis.attr["value"].tensor.int_val.append(0)
        node.op = "GatherV2"
        node.input.append(axis.name)
        node.attr.clear()
        node.attr["Tparams"].type, node.attr["Tindices"].type = dtype, indices
        node.attr["Taxis"].type = _INT32
