"""A TensorFlow graph for inference as a plain record: nodes, their inputs, and what is constant.

Function calls are inlined and variables are leaves whose numbers are read when they are used, so
that no copy of the weights is ever made here. TensorFlow itself infers the shapes and evaluates
what does not depend on the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfcaffe.errors import UnsupportedError

Array = np.ndarray
Read = Callable[[], Array]

_SMALL = 1 << 16  # bytes of constants that are kept once they are known


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

    @property
    def channels_last(self) -> bool:
        """What its `data_format` says; most ops have none and mean the last dimension."""
        return not str(self.attrs.get("data_format") or "NHWC").startswith("NC")


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
        values: numbers of leaves (variables, large constants) by node.
        evaluate: gives the numbers of a tensor that depends on no input.
        free: inputs whose batch nobody said; it is 1, and Caffe may be given any other.
        given: inputs of the model that are none of the network, and what they are in it.
        kept: what must live as long as the graph does.
        volatile: nodes that are never constant, whatever they read (random numbers, state).
        nodes: all nodes by name.
        steps: loops that are written step by step, by their scopes, and how often each is run.
        marks: the tensors that users know by other names, to compare them: (Keras layer, output).
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    values: dict[Node, Read]
    evaluate: Callable[[Tensor], Array]
    notes: list[str] = field(default_factory=list)
    steps: dict[str, int] = field(default_factory=dict)
    marks: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    volatile: Collection[Node] = ()
    free: Collection[str] = ()
    given: Mapping[str, float] = field(default_factory=dict)
    kept: Any = None
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

    def leaf(self, name: str, numbers: Any) -> Tensor:
        """A constant of one's own."""
        array = np.asarray(numbers)
        return self.later(name, array.shape, lambda: array, array.dtype.name)

    def later(self, name: str, shape: Sequence[int], read: Read, dtype: str = "float32") -> Tensor:
        """A constant of one's own that is computed when it is used."""
        node = Node(name, "Const", [], {}, [tuple(shape)], [dtype])
        self.values[node] = read
        return Tensor(node)

    def settle(self, node: Node, numbers: Read) -> None:
        """What a node gives does not depend on what it reads: it is a leaf from now on."""
        self.values[node] = numbers
        node.op, node.inputs = "known", []
        self._known.clear()
        self._readers = None

    def unknown(self, name: str, op: str) -> None:
        """The numbers of a leaf change; `op` says so in its refusal."""
        node = self.nodes.get(name)
        if node in self.values:
            del self.values[node]
            node.op, self.volatile = op, {*self.volatile, node}
            self._known.clear()
            self._small.clear()

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
            elif not top.node.inputs or top.node in self.volatile:
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
            array = self.evaluate(tensor)
            if array.nbytes > _SMALL:
                return array
            self._small[tensor] = array
        return self._small[tensor]

    def number(self, tensor: Tensor) -> float | None:
        """The number that a constant tensor holds everywhere; None if it is no such tensor."""
        if not self.is_constant(tensor) or np.prod(tensor.shape, dtype=int) > _SMALL:
            return None
        array = self.constant(tensor)
        if array.size == 0 or array.dtype.kind not in "fiub":
            return None
        return float(array.flat[0]) if np.all(array == array.flat[0]) else None

    def dimensions(self, tensor: Tensor, rank: int) -> list[int]:
        """Those that a constant names, which may count from the end; in order."""
        return sorted({int(d) % rank for d in self.constant(tensor).reshape(-1)})

    def reached(self) -> Iterator[Node]:
        """The nodes that outputs need and that depend on inputs, each after what it reads."""
        done: set[Node] = set()
        for output in self.outputs.values():
            stack: list[tuple[Node, Iterator[Tensor]]] = []
            if output.node not in done and not self.is_constant(output):
                stack.append((output.node, iter(_cuts_last(output.node.inputs))))
                done.add(output.node)
            while stack:
                node, rest = stack[-1]
                for tensor in rest:
                    if tensor.node not in done and not self.is_constant(tensor):
                        done.add(tensor.node)
                        stack.append((tensor.node, iter(_cuts_last(tensor.node.inputs))))
                        break
                else:
                    stack.pop()
                    yield node

    def stepwise(self) -> Iterator[tuple[str, int]]:
        """The loops of which single steps are needed still, and how many."""
        names = [node.name for node in self.reached() if not node.op.startswith("lstm")]
        for scope, count in self.steps.items():
            if any(name.startswith(f"{scope}/step") for name in names):
                yield scope, count

    def readers(self) -> Mapping[Tensor, list[Node]]:
        """Who reads each tensor, of the nodes that are needed; an output's reader is not listed."""
        if self._readers is None:
            self._readers = {}
            for node in self.reached():
                for tensor in node.inputs:
                    self._readers.setdefault(tensor, []).append(node)
        return self._readers

    def read_only_by(self, tensor: Tensor, reader: Node) -> bool:
        """Whether a tensor is no output and nobody else reads it."""
        if tensor in self.outputs.values():
            return False
        return all(node is reader for node in self.readers().get(tensor, []))

    def changed(self, node: Node, before: Sequence[Tensor]) -> None:
        """A node reads something else than `before` now: what nobody needs any more is forgotten.

        Keeps `readers` right without making it anew, which would take minutes for large nets.
        """
        if self._readers is None or list(before) == node.inputs:
            return
        kept, read = set(self.outputs.values()), self._readers
        if not self._needed(node, kept):
            return
        gained = [(node, t) for t in node.inputs]
        lost = [(node, t) for t in before]
        while gained:
            reader, tensor = gained.pop()
            new = not self.is_constant(tensor) and not self._needed(tensor.node, kept)
            read.setdefault(tensor, []).append(reader)
            gained += [(tensor.node, t) for t in tensor.node.inputs] if new else []
        while lost:
            reader, tensor = lost.pop()
            read[tensor].remove(reader)
            if not self.is_constant(tensor) and not self._needed(tensor.node, kept):
                lost += [(tensor.node, t) for t in tensor.node.inputs]

    def forget_readers(self) -> None:
        """More than one node reads something else now."""
        self._readers = None

    def _needed(self, node: Node, outputs: Collection[Tensor]) -> bool:
        """Whether anybody reads one of its outputs, by `readers`."""
        assert self._readers is not None
        own = [Tensor(node, i) for i in range(max(len(node.shapes), 1))]
        return any(t in outputs or self._readers.get(t) for t in own)


def _cuts_last(tensors: Iterable[Tensor]) -> list[Tensor]:
    """So that a cut finds the blob that it is to be as large as, which is read with it."""
    return sorted(tensors, key=lambda t: t.op in ("StridedSlice", "Slice"))


def all_nodes(outputs: Iterable[Tensor]) -> Iterator[Node]:
    """The nodes that outputs need, constant or not, in no order."""
    seen: set[Node] = set()
    stack = [t.node for t in outputs]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack += [t.node for t in node.inputs]
