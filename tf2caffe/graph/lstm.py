"""Steps of an LSTM that a graph has one by one: one node for all of them.

TensorFlow's cells, unrolled loops of them, and Keras's LSTM in a SavedModel are the same ops:
c' = c · s(f) + s(i) · tanh(g), h' = tanh(c') · s(o), s being the sigmoid and the gates parts of
x·W + h·R + b.
Source: rnn_cell_impl.py (BasicLSTMCell, LSTMCell: i, g, f, o), keras/src/layers/rnn/lstm.py
(i, f, g, o), lstm_ops.cc (BlockLSTM: i, g, f, o).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonpath

import numpy as np

from tf2caffe.graph import Array, Graph, Node, Tensor

_SUMS = ("Add", "AddV2", "BiasAdd")


@dataclass(frozen=True)
class _Cell:
    """One step.

    Args:
        products: what is multiplied, and the matrix; two, or one of x and h joined.
        bias: None where there is none.
        order: the parts that are i, f, g and o.
        forget: what is added to f.
        before: the c that comes in.
        carry: c', which this cell makes.
        hidden: h'.
    """

    products: Sequence[tuple[Tensor, Tensor]]
    bias: Tensor | None
    order: tuple[int, ...]
    forget: float
    before: Tensor
    carry: Tensor
    hidden: Tensor

    def reads(self, place: int) -> tuple[Tensor, Tensor] | None:
        """x and h, if h is in the product of this place."""
        if len(self.products) == 2:
            return self.products[1 - place][0], self.products[place][0]
        joined = self.products[0][0]
        if joined.op != "ConcatV2" or len(joined.node.inputs) != 3:
            return None
        x, h, _ = joined.node.inputs
        return x, h


@dataclass(frozen=True)
class Numbers:
    """An LSTM's numbers in Keras's layout and order (i, f, g, o), read when they are written.

    Args:
        order: the parts that are i, f, g and o.
        forget: what is added to f.
        matrices: gives those for x and for h.
        biases: gives [4 units].
    """

    units: int
    order: Sequence[int]
    forget: float
    matrices: Callable[[], tuple[Array, Array]]
    biases: Callable[[], Array]

    @property
    def kernel(self) -> Array:
        """[inputs, 4 units]."""
        return self._ordered(self.matrices()[0])

    @property
    def recurrent_kernel(self) -> Array:
        """[units, 4 units]."""
        return self._ordered(self.matrices()[1])

    @property
    def bias(self) -> Array:
        """[4 units]."""
        ordered = self._ordered(np.asarray(self.biases(), np.float64))
        ordered[self.units : 2 * self.units] += self.forget
        return ordered

    def _ordered(self, array: Array) -> Array:
        parts = np.split(array, 4, axis=-1)
        return np.concatenate([parts[i] for i in self.order], axis=-1)


def rolled(graph: Graph) -> None:
    """Chains of cells become a node `lstm`: [T, N, inputs], h and c to [T, N, units] and c.

    All steps are read by nodes `lstmSteps`, the last by `lstmLast`, its c by `lstmCarry`.
    """
    found = [_cell(node, graph) for node in graph.reached() if node.op == "Mul"]
    cells = {cell.carry: cell for cell in found if cell}
    followed = {cell.before for cell in cells.values()}
    for carry, last in cells.items():
        if carry not in followed:
            _roll(graph, _chain(graph, cells, last))


def _chain(graph: Graph, cells: Mapping[Tensor, _Cell], last: _Cell) -> list[_Cell]:
    """The cells with the same numbers up to this one."""
    found = [last]
    while (before := cells.get(found[-1].before)) and _same(graph, before, last):
        found.append(before)
    return found[::-1]


def _same(graph: Graph, one: _Cell, two: _Cell) -> bool:
    if (one.order, one.forget) != (two.order, two.forget):
        return False
    if len(one.products) != len(two.products) or (one.bias is None) != (two.bias is None):
        return False
    pairs = [(a, b) for (_, a), (_, b) in zip(one.products, two.products, strict=True)]
    if one.bias and two.bias:
        pairs.append((one.bias, two.bias))
    return all(_equal(graph, a, b) for a, b in pairs)


def _equal(graph: Graph, a: Tensor, b: Tensor) -> bool:
    """Whether two constants hold the same numbers; a variable is often read anew."""
    read = graph.values.get(a.node)
    if a == b or (read is not None and read is graph.values.get(b.node)):
        return True
    return a.shape == b.shape and np.array_equal(graph.constant(a), graph.constant(b))


def _cell(node: Node, graph: Graph) -> _Cell | None:
    """The cell whose h' a product is."""
    carry, output = _factors(node)
    if carry is None or output is None or carry.op not in ("Add", "AddV2"):
        return None
    kept, fresh = sorted(carry.node.inputs, key=lambda t: "Tanh" in {f.op for f in t.node.inputs})
    if kept.op != "Mul" or fresh.op != "Mul":
        return None
    entry, gate = _factors(fresh.node)[::-1]
    befores = [t for t in kept.node.inputs if t.op != "Sigmoid"]
    forget = _factors(kept.node)[1]
    if entry is None or gate is None or forget is None or len(befores) != 1:
        return None
    added = 0.0
    if forget.op in ("Add", "AddV2"):
        numbers = [n for t in forget.node.inputs if (n := graph.number(t)) is not None]
        rest = [t for t in forget.node.inputs if t.op == "Split"]
        if len(numbers) != 1 or len(rest) != 1:
            return None
        (added,), (forget,) = numbers, rest
    parts, split = [entry, forget, gate, output], output.node
    if split.op != "Split" or any(t.node is not split for t in parts):
        return None
    products, biases = _terms(split.inputs[1], graph)
    order = tuple(t.index for t in parts)
    fits = sorted(order) == [0, 1, 2, 3] == list(range(len(split.shapes)))
    if not fits or len(products) not in (1, 2) or len(biases) > 1:
        return None
    if graph.number(split.inputs[0]) not in (1, -1):
        return None
    bias = biases[0] if biases else None
    return _Cell(products, bias, order, added, befores[0], carry, Tensor(node))


def _factors(node: Node) -> tuple[Tensor | None, Tensor | None]:
    """What a product of a tanh and a sigmoid is of; None for what it has not."""
    inner = {t.op: t.node.inputs[0] for t in node.inputs if t.op in ("Tanh", "Sigmoid")}
    return inner.get("Tanh"), inner.get("Sigmoid")


def _terms(total: Tensor, graph: Graph) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
    """The products and biases of a sum; no products where it has other terms."""
    products, biases = [], []
    stack = [total]
    while stack:
        term = stack.pop()
        node = term.node
        if term.op in _SUMS:
            stack += node.inputs[::-1]
        elif term.op == "MatMul" and graph.is_constant(node.inputs[1]):
            if node.attrs["transpose_a"] or node.attrs["transpose_b"]:
                return [], []
            products.append((node.inputs[0], node.inputs[1]))
        elif graph.is_constant(term) and term.shape == total.shape[-1:]:
            biases.append(term)
        else:
            return [], []
    return products, biases


def _roll(graph: Graph, chain: Sequence[_Cell]) -> None:
    """Replace a chain, if nothing else reads what is inside it."""
    read = _read(chain)
    if read is None:
        return
    place, xs, hidden = read
    start = [hidden, chain[0].before]
    if any(graph.is_constant(t) for t in start):
        if [graph.number(t) for t in start] != [0, 0]:
            return
        start = []
    hiddens = [cell.hidden for cell in chain]
    readers, outputs = graph.readers(), set(graph.outputs.values())
    stacks = [
        node
        for node in readers[hiddens[0]]
        if node.op == "Pack" and node.inputs == hiddens and node.attrs["axis"] in (0, 1)
    ]
    for cell in chain[:-1]:  # the next cell reads it, and its own tanh, or the stack
        others = [node for node in readers[cell.hidden] if node not in stacks]
        if len(others) > 1 or len(readers[cell.carry]) > 2:
            return
        if cell.hidden in outputs or cell.carry in outputs:
            return
    steps, (batch, units) = len(chain), hiddens[0].shape
    numbers = _numbers(graph, chain[0], place, xs[0].shape[-1], units)
    name = _scope([t.node.name for t in hiddens])
    shapes: list[tuple[int | None, ...] | None] = [(steps, batch, units), (batch, units)]
    inputs = [_stacked(graph, xs, name), *start]
    node = Node(f"{name}/lstm", "lstm", inputs, {"numbers": numbers}, shapes, ["float32"] * 2)
    node.origin = name.rpartition("/")[2]
    last = chain[-1]
    for stack in stacks:
        stack.op, stack.inputs = "lstmSteps", [Tensor(node)]
    last.hidden.node.op, last.hidden.node.inputs = "lstmLast", [Tensor(node)]
    last.carry.node.op, last.carry.node.inputs = "lstmCarry", [Tensor(node, 1)]
    for changed in (*stacks, last.hidden.node, last.carry.node):
        changed.origin = node.origin
    graph.forget_readers()


def _read(chain: Sequence[_Cell]) -> tuple[int, list[Tensor], Tensor] | None:
    """In which product h is, what is read at each step, and the h that comes in."""
    for place in (0, 1):
        pairs = [cell.reads(place) for cell in chain]
        known = [pair for pair in pairs if pair]
        follows = all(h == before.hidden for (_, h), before in zip(known[1:], chain, strict=False))
        if len(known) == len(chain) > 1 and follows:
            return place, [x for x, _ in known], known[0][1]
    return None


def _numbers(graph: Graph, cell: _Cell, place: int, inputs: int, units: int) -> Numbers:
    def matrices() -> tuple[Array, Array]:
        given = [graph.constant(matrix) for _, matrix in cell.products]
        if len(given) == 1:
            return given[0][:inputs], given[0][inputs:]
        return given[1 - place], given[place]

    def biases() -> Array:
        return np.zeros(4 * units) if cell.bias is None else graph.constant(cell.bias)

    return Numbers(units, cell.order, cell.forget, matrices, biases)


def _stacked(graph: Graph, xs: Sequence[Tensor], name: str) -> Tensor:
    """What is read at all steps [T, N, inputs]: a tensor that was taken apart, or a Pack."""
    source, count = xs[0].node, len(xs)
    if source.op == "Unpack" and xs == [Tensor(source, i) for i in range(len(source.shapes))]:
        whole, axis = source.inputs[0], int(source.attrs["axis"])
        if axis == 0:
            return whole
        if axis == 1:
            order = graph.leaf(f"{name}/order", np.array([1, 0, 2]))
            shape = (count, *xs[0].shape)
            return Tensor(
                Node(f"{name}/turned", "Transpose", [whole, order], {}, [shape], ["float32"])
            )
    shape = (count, *xs[0].shape)
    return Tensor(
        Node(f"{name}/steps", "Pack", list(xs), {"axis": 0, "N": count}, [shape], ["float32"])
    )


def _scope(names: Sequence[str]) -> str:
    """The scope that all steps are in."""
    return commonpath(names) or names[0].rpartition("/")[0] or "lstm"
