"""Sequences through Caffe's recurrent layers, which read them with the time first.

Source: recurrent_layer.cpp, lstm_layer.cpp. A second blob, `cont`, is 0 where a sequence begins; it
is a Parameter layer here, so that nobody has to feed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from tf2caffe.graph import Tensor
from tf2caffe.net.along import parameter
from tf2caffe.net.linear import chosen
from tf2caffe.net.site import Site
from tf2caffe.net.value import Numbers, Value
from tfcaffe.layers.recurrent import KERAS_GATES, LSTM, gate_places
from tfcaffe.layout import Layout

_GATES = gate_places(LSTM.gates, KERAS_GATES)


class Cell(Protocol):
    """An LSTM's numbers in Keras's layout: [inputs, 4 units], [units, 4 units] and [4 units] or
    None; read when they are written."""

    @property
    def units(self) -> int: ...
    @property
    def kernel(self) -> Any: ...
    @property
    def recurrent_kernel(self) -> Any: ...
    @property
    def bias(self) -> Any: ...


def lstm_of(
    site: Site,
    x: Value,
    cont: Value,
    cell: Cell,
    states: Sequence[Value],
    expose: bool = False,
    hint: str = "lstm",
) -> list[Value]:
    """All steps [T, N, units]; with `expose` also the last states, each [1, N, units]."""
    units = cell.units

    def gates(read: Any) -> Numbers:
        """Keras's numbers with the gates, along the last axis, in Caffe's order."""

        def ordered() -> np.ndarray:
            apart = np.split(np.asarray(read()), len(_GATES), axis=-1)
            return np.concatenate([apart[i] for i in _GATES], axis=-1)

        return ordered

    exposed = list(states) or [zeros(site, x, units) for _ in range(2 * expose)]
    blobs = site.layers(
        "LSTM",
        x,
        cont,
        *exposed,
        weights={
            "input_weights": gates(lambda: cell.kernel),
            "bias": gates(
                lambda: np.zeros(len(_GATES) * units) if cell.bias is None else cell.bias
            ),
            "recurrent_weights": gates(lambda: cell.recurrent_kernel),
        },
        hint=hint,
        tops=1 + len(exposed),
        num_output=units,
        expose_hidden=expose,
    )
    steps, *last = (blob.raw for blob in blobs)
    return [Value(steps.blob, Layout(steps.layout.axes, ((1,), (0,), (2,)))), *last]


def time_first(site: Site, x: Value) -> Value:
    """[N, T, …] as a blob [T, N, …]."""
    batch, steps, *rest = x.tf_shape
    axes = ((steps,), (batch,), *((size,) for size in rest))
    return site.to(x, Layout(axes, ((1,), (0,), *((i,) for i in range(2, len(axes))))))


def cont_of(site: Site, x: Value, goes_on: bool) -> Value:
    """1 for all steps but the first, which begins a sequence unless a state is given for it."""
    steps, sequences = x.shape[:2]
    site.builder.notes.append(
        f"layer {site.node.origin!r} is for {steps} steps of {sequences} at a time: its `cont` "
        "(0 where a sequence begins) is a Parameter layer, nobody has to feed it"
    )
    numbers = np.ones((steps, sequences), np.float32)
    numbers[0] = float(goes_on)
    return parameter(site, numbers.shape, numbers, hint="cont")


def zeros(site: Site, x: Value, units: int) -> Value:
    shape = (1, x.shape[1], units)
    return parameter(site, shape, np.zeros(shape, np.float32), hint="state")


def state_of(site: Site, value: Value) -> Value:
    """A state [N, units] as [1, N, units]."""
    batch, units = value.tf_shape
    return site.to(value, Layout(((1,), (batch,), (units,)), ((0, 1), (2,))))


def unstacked(value: Value) -> Value:
    """A state [1, N, units] as [N, units]; the blob stays."""
    return Value(value.blob, Layout(value.layout.axes, ((0, 1), (2,))))


def backwards(site: Site, x: Value) -> Value:
    """The steps from the last to the first."""
    plain = x.blob.raw
    steps = np.arange(x.shape[0])[::-1]
    return site.like(chosen(site, plain, 0, steps, hint="backwards").blob, x)


def last_of(site: Site, x: Value) -> Value:
    """The last step."""
    steps = x.shape[0]
    if steps > 1:
        x = site.slices(x, 0, [steps - 1], "last")[1]
    return unstacked(x.blob.raw)


def is_read(site: Site, output: int) -> bool:
    """Whether anybody wants this output of a node."""
    tensor = Tensor(site.node, output)
    return tensor in site.graph.outputs.values() or bool(site.builder.readers.get(tensor))
