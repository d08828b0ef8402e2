"""A TensorFlow graph for inference as a plain record: nodes, their inputs, and what is constant.

Function calls are inlined and variables are leaves whose numbers are read when they are used, so
that no copy of the weights is ever made here. TensorFlow itself infers the shapes and evaluates
what does not depend on the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfcaffe.errors import UnsupportedError

Array = np.ndarray
Read = Callable[[], Array]

_INT32 = 3  # types.proto
_PASSES_ON = frozenset(  # ops whose outputs are their inputs
    [
        "Identity",
        "IdentityN",
        "StopGradient",
        "PreventGradient",
        "CheckNumerics",
        "EnsureShape",
        "Snapshot",
    ]
)


@dataclass(eq=False)
class Node:
    """One op.

    Args:
        name: unique in its graph.
        op: TensorFlow's op, or one that a pattern made of several.
        inputs: what it reads, control inputs left out.
        attrs: its attributes, as Python values and arrays.
        shapes: TensorFlow's shape of each output; None in the place of a size that is not known.
        origin: the Keras layer that it belongs to, or its scope; what people know it by.
    """

    name: str
    op: str
    inputs: list[Tensor]
    attrs: dict[str, Any] = field(default_factory=dict)
    shapes: list[tuple[int | None, ...] | None] = field(default_factory=list)
    dtypes: list[str] = field(default_factory=list)
    origin: str = ""

    def __str__(self) -> str:
        layer = f", layer {self.origin!r}" if self.origin and self.origin != self.name else ""
        return f"node {self.name!r} ({self.op}{layer})"

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Tensor:
    """One output of a node."""

    node: Node
    index: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """TensorFlow's shape.

        Raises:
            UnsupportedError: a size depends on the data.
        """
        found = self.node.shapes[self.index]
        if found is None or any(size is None for size in found):
            said = "unknown" if found is None else list(found)
            raise UnsupportedError(
                f"{self.node}: its shape is {said}: Caffe's nets have fixed sizes; say those of "
                "the inputs with --input-shape, or cut the net before it with --outputs"
            )
        return tuple(int(size or 0) for size in found)

    @property
    def dtype(self) -> str:
        return self.node.dtypes[self.index]

    @property
    def op(self) -> str:
        return self.node.op


@dataclass
class Graph:
    """Nodes between named inputs and named outputs.

    Args:
        inputs: the tensors that are fed, by the names that users know.
        outputs: what is asked for, by name, in order.
        values: numbers of leaves (variables) by node.
        evaluate: gives the numbers of tensors that depend on no input.
        nodes: all nodes by name.
        marks: the tensors that users know by other names, to compare them: (Keras layer, output).
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    values: dict[Node, Read]
    evaluate: Callable[[Sequence[Tensor]], list[Array]]
    notes: list[str] = field(default_factory=list)
    marks: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    _known: dict[Tensor, bool] = field(default_factory=dict)
    _small: dict[Tensor, Array] = field(default_factory=dict)
    _readers: dict[Tensor, list[Node]] | None = None

    def find(self, name: str) -> Tensor:
        """A tensor by TensorFlow's name of it (`node:0`).

        Raises:
            KeyError: there is no such node.
        """
        node, _, index = name.partition(":")
        return Tensor(self.nodes[node], int(index or 0))

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether it depends on no input."""
        stack = [tensor]
        while stack:
            top = stack[-1]
            if top in self._known:
                stack.pop()
                continue
            if top.node in self.values or top.op == "Const":
                self._known[top] = True
            elif top.op in ("Placeholder", "KerasLayer") or not top.node.inputs:
                self._known[top] = False
            else:
                wanted = [t for t in top.node.inputs if t not in self._known]
                if wanted:
                    stack += wanted
                    continue
                self._known[top] = all(self._known[t] for t in top.node.inputs)
            stack.pop()
        return self._known[tensor]

    def constant(self, tensor: Tensor) -> Array:
        """The numbers of a tensor that depends on no input; a variable's own memory, not a copy."""
        if tensor.node in self.values:
            return self.values[tensor.node]()
        if tensor not in self._small:
            if tensor.op == "Const":
                from tensorflow import make_ndarray

                array: Array = make_ndarray(tensor.node.attrs["value"])
            else:
                array = np.asarray(self.evaluate([tensor])[0])
            if array.nbytes > 1 << 16:
                return array
            self._small[tensor] = array
        return self._small[tensor]

    def number(self, tensor: Tensor) -> float | None:
        """The number that a constant tensor holds everywhere; None if it is no such tensor."""
        if not self.is_constant(tensor) or np.prod(tensor.shape, dtype=int) > 1 << 16:
            return None
        array = self.constant(tensor)
        if array.size == 0 or array.dtype.kind not in "fiub":
            return None
        return float(array.flat[0]) if np.all(array == array.flat[0]) else None

    def reached(self) -> Iterator[Node]:
        """The nodes that outputs need and that depend on inputs, each after what it reads."""
        done: set[Node] = set()
        for output in self.outputs.values():
            stack: list[tuple[Node, Iterator[Tensor]]] = []
            if output.node not in done and not self.is_constant(output):
                stack.append((output.node, iter(output.node.inputs)))
                done.add(output.node)
            while stack:
                node, rest = stack[-1]
                for tensor in rest:
                    if tensor.node not in done and not self.is_constant(tensor):
                        done.add(tensor.node)
                        stack.append((tensor.node, iter(tensor.node.inputs)))
                        break
                else:
                    stack.pop()
                    yield node

    def readers(self) -> Mapping[Tensor, list[Node]]:
        """Who reads each tensor, of the nodes that are needed; an output's reader is not listed."""
        if self._readers is None:
            found: dict[Tensor, list[Node]] = {}
            for node in self.reached():
                for tensor in node.inputs:
                    found.setdefault(tensor, []).append(node)
            self._readers = found
        return self._readers

    def read_only_by(self, tensor: Tensor, reader: Node) -> bool:
        """Whether a tensor is no output and nobody else reads it."""
        if tensor in self.outputs.values():
            return False
        return all(node is reader for node in self.readers().get(tensor, []))

    def changed(self) -> None:
        """A node reads something else now."""
        self._readers = None


def skip_identities(graph: Graph) -> None:
    """Everybody reads what the ops that pass on their inputs read, and these are gone."""
    alias: dict[Tensor, Tensor] = {}

    def source(tensor: Tensor) -> Tensor:
        seen = []
        while tensor not in alias and tensor.op in _PASSES_ON and tensor.node not in graph.values:
            seen.append(tensor)
            tensor = tensor.node.inputs[tensor.index]
        while tensor in alias:
            tensor = alias[tensor]
        for passed in seen:
            alias[passed] = tensor
        return tensor

    nodes = list(_all_nodes(graph.outputs.values()))
    for node in nodes:
        node.inputs = [source(t) for t in node.inputs]
    graph.marks = {mark: source(t) for mark, t in graph.marks.items()}
    graph.outputs = {name: source(t) for name, t in graph.outputs.items()}


def _all_nodes(outputs: Iterable[Tensor]) -> Iterator[Node]:
    seen: set[Node] = set()
    stack = [t.node for t in outputs]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack += [t.node for t in node.inputs]


def from_definition(
    definition: Any,
    inputs: Mapping[str, tuple[str, Sequence[int]]],
    outputs: Mapping[str, str],
    variables: Mapping[str, Read],
    origins: Callable[[str, str], str],
) -> Graph:
    """The record of a GraphDef without function calls.

    Args:
        inputs: by the users' name: the placeholder's node and its shape.
        outputs: by the users' name: a tensor (`node:0`).
        variables: numbers of the placeholders that stand for variables, by node.
        origins: the Keras layer or scope of a node by its name and op.

    Raises:
        UnsupportedError: shapes that contradict each other.
    """
    import tensorflow as tf

    shapes = {node: shape for node, shape in inputs.values()}
    kept = tf.compat.v1.GraphDef()
    kept.versions.CopyFrom(definition.versions)
    for node in definition.node:
        copy = kept.node.add()
        copy.CopyFrom(node)
        if node.name in shapes:
            dtype = node.attr.get("dtype")
            copy.Clear()
            copy.name, copy.op = node.name, "Placeholder"
            if dtype is not None:
                copy.attr["dtype"].CopyFrom(dtype)
            copy.attr["shape"].shape.CopyFrom(tf.TensorShape(shapes[node.name]).as_proto())
        for name in ("_output_shapes", "_class"):
            copy.attr.pop(name, None)
        _without_resource(kept, copy)
    traced = tf.Graph()
    try:
        with traced.as_default(), tf.device("/cpu:0"):
            tf.graph_util.import_graph_def(kept, name="")
    except (ValueError, tf.errors.OpError) as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UnsupportedError(f"TensorFlow cannot build the graph: {reason}") from error
    nodes: dict[str, Node] = {}
    pending = []
    for op in traced.get_operations():
        node = Node(
            op.name,
            op.type,
            [],
            {},
            [_shape(out) for out in op.outputs],
            [out.dtype.base_dtype.name for out in op.outputs],
            origins(op.name, op.type),
        )
        node.attrs = _Attributes(op)
        nodes[op.name] = node
        pending.append((node, op))
    for node, op in pending:
        node.inputs = [Tensor(nodes[t.op.name], t.value_index) for t in op.inputs]
    session: list[Any] = []

    def evaluate(tensors: Sequence[Tensor]) -> list[Array]:
        if not session:
            config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
            session.append(tf.compat.v1.Session(graph=traced, config=config))
        leaves = {n for n in _all_nodes(tensors) if n in graph.values}
        feeds = {f"{n.name}:0": graph.values[n]() for n in leaves}
        names = [f"{t.node.name}:{t.index}" for t in tensors]
        found: list[Array] = session[0].run(names, feeds)
        return found

    graph = Graph(
        {name: Tensor(nodes[node]) for name, (node, _) in inputs.items()},
        {},
        {nodes[name]: read for name, read in variables.items() if name in nodes},
        evaluate,
        nodes=nodes,
    )
    graph.outputs = {name: graph.find(tensor) for name, tensor in outputs.items()}
    return graph


def _without_resource(definition: Any, node: Any) -> None:
    """Reading a variable is reading the placeholder that stands for it."""
    if node.op == "ReadVariableOp":
        dtype = node.attr["dtype"].type
        node.op = "Identity"
        node.attr.clear()
        node.attr["T"].type = dtype
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


class _Attributes(dict[str, Any]):
    """A node's attributes, decoded when they are asked for."""

    def __init__(self, op: Any) -> None:
        super().__init__()
        self._op = op

    def __missing__(self, name: str) -> Any:
        value = self._op.get_attr(name)
        if isinstance(value, bytes):
            value = value.decode()
        self[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute, or `default` where the op has none of that name."""
        try:
            return self[name]
        except ValueError:
            return default


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
