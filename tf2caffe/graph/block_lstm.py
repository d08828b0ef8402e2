"""TensorFlow's op for all steps of an LSTM (BlockLSTM), as the ops of each step.

Source: lstm_ops.cc, lstm_ops.h (LSTMBlockCellFprop): gates i, g, f, o in V1 and i, f, g, o in V2;
with peepholes i and f see the state before, o the new one, which is clipped first.
"""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.graph.identities import step_over

_ORDERS = {"BlockLSTM": (0, 2, 1, 3), "BlockLSTMV2": (0, 1, 2, 3)}  # places of i, f, g, o


def expanded(graph: Graph) -> None:
    """Write the steps of all such ops; one that stops early stays, and is refused."""
    for node in list(graph.reached()):
        if node.op in _ORDERS and graph.number(node.inputs[0]) is not None:
            steps = node.inputs[1].shape[0]
            if int(graph.constant(node.inputs[0])) >= steps:
                made = _Steps(graph, node).run()
                step_over(graph, {Tensor(node, i): tensor for i, tensor in enumerate(made)})


class _Steps:
    """The ops of one BlockLSTM."""

    def __init__(self, graph: Graph, block: Node) -> None:
        self.graph, self.block = graph, block
        self.state = block.inputs[3].shape  # [N, units]

    def run(self) -> list[Tensor]:
        """Its seven outputs, each [T, N, units]."""
        x, carry, hidden = self.block.inputs[1:4]
        steps, *shape = x.shape
        unpack = Node(f"{self.block.name}/unpack", "Unpack", [x], {"axis": 0, "num": steps})
        unpack.shapes, unpack.dtypes = [tuple(shape)] * steps, ["float32"] * steps
        unpack.origin = self.block.origin
        found: list[list[Tensor]] = []
        for t in range(steps):
            made = self._step(f"step{t}", Tensor(unpack, t), hidden, carry)
            found.append(made)
            carry, hidden = made[1], made[6]
        return [
            self._add(f"all{i}", "Pack", [made[i] for made in found], (steps, *self.state), axis=0)
            for i in range(7)
        ]

    def _step(self, name: str, x: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
        """i, c', f, o, g, tanh(c') and h'."""
        *_, kernel, of_i, of_f, of_o, bias = self.block.inputs
        batch, units = self.state
        attrs = self.block.attrs
        axis = self._constant("axis", 1)
        joined = self._add(f"{name}/joined", "ConcatV2", [x, h, axis], (batch, kernel.shape[0]))
        shape = (batch, 4 * units)
        product = {"transpose_a": False, "transpose_b": False}
        gates = self._add(f"{name}/MatMul", "MatMul", [joined, kernel], shape, **product)
        gates = self._add(f"{name}/BiasAdd", "BiasAdd", [gates, bias], shape)
        split = Node(f"{self.block.name}/{name}/split", "Split", [axis, gates], {"num_split": 4})
        split.shapes, split.dtypes = [self.state] * 4, ["float32"] * 4
        split.origin = self.block.origin
        i, f, g, o = (Tensor(split, place) for place in _ORDERS[self.block.op])
        if attrs["use_peephole"]:
            i, f = self._sees(f"{name}/i", i, c, of_i), self._sees(f"{name}/f", f, c, of_f)
        if self.block.op == "BlockLSTM":
            f = self._both(f"{name}/f", "AddV2", f, self._constant("forget", attrs["forget_bias"]))
        i, f = self._one(f"{name}/i", "Sigmoid", i), self._one(f"{name}/f", "Sigmoid", f)
        g = self._one(f"{name}/g", "Tanh", g)
        c = self._both(
            f"{name}/c",
            "AddV2",
            self._both(f"{name}/kept", "Mul", c, f),
            self._both(f"{name}/new", "Mul", i, g),
        )
        if attrs["cell_clip"] > 0:
            bounds = [self._constant(s, sign * attrs["cell_clip"]) for s, sign in _SIGNS]
            c = self._add(f"{name}/clip", "ClipByValue", [c, *bounds], self.state)
        if attrs["use_peephole"]:
            o = self._sees(f"{name}/o", o, c, of_o)
        o, out = self._one(f"{name}/o", "Sigmoid", o), self._one(f"{name}/tanh", "Tanh", c)
        return [i, c, f, o, g, out, self._both(f"{name}/h", "Mul", out, o)]

    def _sees(self, name: str, gate: Tensor, state: Tensor, weights: Tensor) -> Tensor:
        if self.graph.is_constant(state):  # the first
            numbers = self.graph.constant(state) * self.graph.constant(weights)
            return self._both(name, "AddV2", gate, self.graph.leaf(f"{name}/peep", numbers))
        return self._both(name, "AddV2", gate, self._both(f"{name}/peep", "Mul", state, weights))

    def _one(self, name: str, op: str, x: Tensor) -> Tensor:
        return self._add(f"{name}/{op}", op, [x], self.state)

    def _both(self, name: str, op: str, a: Tensor, b: Tensor) -> Tensor:
        return self._add(f"{name}/{op}", op, [a, b], self.state)

    def _constant(self, name: str, number: float) -> Tensor:
        return self.graph.leaf(f"{self.block.name}/{name}", number)

    def _add(
        self, name: str, op: str, inputs: list[Tensor], shape: tuple[int, ...], **attrs: object
    ) -> Tensor:
        node = Node(f"{self.block.name}/{name}", op, inputs, attrs, [shape], ["float32"])
        node.origin = self.block.origin
        return Tensor(node)


_SIGNS = (("low", -1.0), ("high", 1.0))
