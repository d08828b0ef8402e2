"""LSTM and RNN, for mappings. Source: recurrent_layer.cpp, lstm_layer.cpp, rnn_layer.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

from tfcaffe.errors import NetError
from tfcaffe.layers.base import (
    Family,
    Layer,
    Layout,
    Param,
    Pattern,
    Shape,
    fields,
    register,
    vector,
)

KERAS_GATES = "ifco"  # along the last axis of Keras's kernels and biases; c is the candidate


def gate_places(gates: str, theirs: str) -> tuple[int, ...]:
    """For each of a blob's `gates` its number in `theirs`; empty if they are in the same order."""
    return () if gates == theirs else tuple(map(theirs.index, gates))


class Recurrent(Family):
    """Reads `x` [T, N, …], `cont` [T, N] (0 where a sequence begins) and perhaps one input for all
    steps, [N, …]; answers [T, N, num_output].

    With `expose_hidden` the states [1, N, num_output] are further bottoms and tops.

    Attributes:
        gates: of one unit, by letter, as Caffe orders them.
        states: how many states go from step to step.
    """

    field = "recurrent_param"
    reads = fields("num_output expose_hidden")
    inert = fields("weight_filler bias_filler debug_info")
    bottoms = (2, None)
    tops = (1, None)
    mapped_only = True
    gates: ClassVar[str] = ""
    states: ClassVar[int] = 1

    def check(self, layer: Layer) -> None:
        if self.options(layer).num_output < 1:
            raise NetError(f"{layer}: num_output must be at least 1")
        bottoms, tops = 2 + self._exposed(layer), 1 + self._exposed(layer)
        if len(layer.bottoms) not in (bottoms, bottoms + 1) or len(layer.tops) != tops:
            raise NetError(
                f"{layer}: takes {bottoms} or {bottoms + 1} bottoms and makes {tops} tops, not "
                f"{len(layer.bottoms)} and {len(layer.tops)} (expose_hidden adds the states)"
            )

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        x, cont, *others = bottoms
        if len(x) < 3 or cont != x[:2]:
            raise NetError(
                f"{layer}: the bottom {layer.bottoms[0]!r} is {list(x)} and "
                f"{layer.bottoms[1]!r} {list(cont)}; they must be [T, N, …] and [T, N]"
            )
        units = self.options(layer).num_output
        state = (1, x[1], units)
        static = self._static(layer)
        if static and (len(others[0]) < 2 or others[0][0] != x[1]):
            raise NetError(
                f"{layer}: the bottom {layer.bottoms[2]!r} is {list(others[0])}; it must be "
                f"[{x[1]}, …], the same for all steps"
            )
        if any(other != state for other in others[static:]):
            raise NetError(f"{layer}: each state that comes in must be {list(state)}")
        return [(*x[:2], units), *[state] * self._exposed(layer)]

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        rows = self.options(layer).num_output * max(1, len(self.gates))
        params = [
            self._weights("input_weights", rows, bottoms[0], 2),
            Param("bias", *vector(rows), filler="bias_filler", gates=self.gates),
        ]
        if self._static(layer):
            params.append(self._weights("static_input_weights", rows, bottoms[2], 1))
        state = Layout.caffe((1, self.options(layer).num_output))
        params.append(self._weights("recurrent_weights", rows, state, 1))
        return params

    def macs(self, layer: Layer, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        steps, streams, units = tops[0]
        rows = units * max(1, len(self.gates))
        static = prod(bottoms[2][1:]) if self._static(layer) else 0
        return streams * rows * (steps * (prod(bottoms[0][2:]) + units) + static)

    def _weights(self, role: str, rows: int, bottom: Layout, axis: int) -> Param:
        """A matrix that multiplies all axes of a bottom from `axis` on."""
        tf, caffe, sizes = bottom.flattened(axis)
        shape = (rows, prod(sizes.values()))
        layout = Pattern(f"({tf}) o -> o ({caffe})", sizes)
        return Param(role, shape, layout, "weight_filler", self.gates)

    def _exposed(self, layer: Layer) -> int:
        return self.states if self.options(layer).expose_hidden else 0

    def _static(self, layer: Layer) -> bool:
        return len(layer.bottoms) > 2 + self._exposed(layer)


@register("LSTM")
class LSTM(Recurrent):
    """Input, forget and output gate, then the cell's candidate; no peepholes, no forget bias."""

    gates = "ifoc"
    states = 2


@register("RNN")
class RNN(Recurrent):
    """tanh(W_h h + W_x x + b), and of that the output: tanh(W_o h + b_o)."""

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        units = self.options(layer).num_output
        state = Layout.caffe((1, units))
        return [
            *super().params(layer, bottoms),
            self._weights("output_weights", units, state, 1),
            Param("output_bias", *vector(units), filler="bias_filler"),
        ]

    def macs(self, layer: Layer, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return super().macs(layer, bottoms, tops) + prod(tops[0]) * tops[0][2]
