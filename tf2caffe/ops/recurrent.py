"""Keras's recurrent layers as Caffe's LSTM and RNN.

Source: lstm_layer.cpp, rnn_layer.cpp and recurrent_layer.cpp; keras/src/layers/rnn/lstm.py.
Caffe reads sequences with the time first, and a second blob, `cont`, that is 0 where a sequence
begins; it is a Parameter layer here, so that nobody has to feed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from tf2caffe.graph import Tensor
from tf2caffe.net.along import parameter
from tf2caffe.net.linear import chosen
from tf2caffe.net.site import Site
from tf2caffe.net.value import Numbers, Value
from tf2caffe.ops import keras_layer, no_layer
from tfcaffe.layers.recurrent import KERAS_GATES, LSTM, gate_places
from tfcaffe.layout import Layout

_GATES = gate_places(LSTM.gates, KERAS_GATES)
_UNROLL = (
    "with unroll=True in Keras it is written as plain layers, step by step; or cut the net before "
    "it with --outputs"
)


@keras_layer("LSTM", "RNN")
def lstm(site: Site) -> list[Value]:
    """Of the sequence or of its last step; its states behind, where they are asked for."""
    layer = site.attrs["layer"]
    _check(site, layer, "LSTMCell")
    inputs = [site.value(i) for i in range(len(site.node.inputs))]
    states = [_state(site, value) for value in inputs[1:]]
    wants_cell = bool(layer.return_state) and _is_read(site, 2)
    x = _time_first(site, inputs[0])
    if layer.go_backwards:
        x = _backwards(site, x)
    cont = _cont(site, x, bool(states))
    made = _lstm(site, x, cont, layer.cell, states, expose=bool(states) or wants_cell)
    answer = made[0] if layer.return_sequences else _last(site, made[0])
    if not layer.return_state:
        return [answer]
    hidden = _last(site, made[0]) if layer.return_sequences and _is_read(site, 1) else answer
    if layer.return_sequences and not _is_read(site, 1):
        return [answer]
    return [answer, hidden, *([_unstacked(made[2])] if wants_cell else [])]


@keras_layer("Bidirectional")
def bidirectional(site: Site) -> list[Value]:
    """Two LSTMs, one of them from the end."""
    layer = site.attrs["layer"]
    parts = [layer.forward_layer, layer.backward_layer]
    if len(site.node.inputs) > 1 or any(part.return_state for part in parts):
        raise site.refusal(f"states of a Bidirectional layer go in or out; {_UNROLL}")
    x = _time_first(site, site.value(0))
    cont = _cont(site, x, False)
    answers = []
    for part, hint in zip(parts, ("lstm", "backward"), strict=True):
        _check(site, part, "LSTMCell")
        sequence = _backwards(site, x) if part.go_backwards else x
        (answer, *_) = _lstm(site, sequence, cont, part.cell, [], hint=hint)
        answers.append(answer if part.return_sequences else _last(site, answer))
    if layer.return_sequences:
        answers[1] = _backwards(site, answers[1])
    return _merged(site, answers, layer.merge_mode)


def _merged(site: Site, answers: list[Value], mode: str | None) -> list[Value]:
    a, b = answers
    if mode is None:
        return answers
    if mode == "mul":
        return [site.product(a, b)]
    if mode in ("sum", "ave"):
        total = site.sum(a, b)
        return [total if mode == "sum" else site.power(total, scale=0.5, hint="ave")]
    axis = len(a.shape) - 1
    top = site.layer("Concat", a, b, hint="concat", axis=axis)
    return [Value(top, Layout((*a.layout.axes[:axis], (top.shape[axis],)), a.layout.dims))]


@keras_layer("SimpleRNN")
def simple_rnn(site: Site) -> list[Value]:
    """The last state of Caffe's RNN; what it answers at each step is one tanh more."""
    layer = site.attrs["layer"]
    _check(site, layer, "SimpleRNNCell")
    if layer.return_sequences or layer.return_state:
        raise site.refusal(
            "Caffe's RNN computes another function of its states, so only the last state of a "
            f"SimpleRNN can be said; {_UNROLL}"
        )
    x = _time_first(site, site.value(0))
    if layer.go_backwards:
        x = _backwards(site, x)
    units, cell = layer.units, layer.cell
    states = [_state(site, site.value(1))] if len(site.node.inputs) > 1 else []
    blobs = site.layers(
        "RNN",
        x,
        _cont(site, x, bool(states)),
        *(states or [_zeros(site, x, units)]),
        weights={
            "input_weights": lambda: np.asarray(cell.kernel),
            "bias": lambda: np.asarray(cell.bias) if cell.use_bias else np.zeros(units),
            "recurrent_weights": lambda: np.asarray(cell.recurrent_kernel),
            "output_weights": np.zeros((units, units)),
            "output_bias": np.zeros(units),
        },
        hint="rnn",
        tops=2,
        num_output=units,
        expose_hidden=True,
    )
    return [_unstacked(blobs[1].raw)]


@no_layer("GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def unknown(site: Site) -> NoReturn:
    """Stock Caffe has none of these."""
    raise site.refusal(f"stock Caffe has no {site.attrs['class']} layer; {_UNROLL}")


def _check(site: Site, layer: Any, cell: str) -> None:
    """Refuse what differs from what Caffe computes."""
    found = type(layer.cell).__name__ if hasattr(layer, "cell") else type(layer).__name__
    if found != cell:
        raise site.refusal(f"stock Caffe has no layer for {found}; {_UNROLL}")
    wanted = {"activation": "tanh"}
    if cell == "LSTMCell":
        wanted["recurrent_activation"] = "sigmoid"
    for name, usual in wanted.items():
        own = getattr(getattr(layer.cell, name), "__name__", "")
        if own != usual:
            raise site.refusal(f"its {name} is {own}, and Caffe's is always {usual}; {_UNROLL}")
    if layer.stateful:
        raise site.refusal("it keeps its state from call to call; build it with stateful=False")
    if site.attrs["masked"]:
        raise site.refusal(
            "it leaves out steps by a mask (mask_zero or Masking), which depends on the data; "
            "build the model without the mask"
        )


def _is_read(site: Site, output: int) -> bool:
    tensor = Tensor(site.node, output)
    return tensor in site.graph.outputs.values() or bool(site.builder.readers.get(tensor))


def _lstm(
    site: Site,
    x: Value,
    cont: Value,
    cell: Any,
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

    exposed = list(states) or [_zeros(site, x, units) for _ in range(2 * expose)]
    blobs = site.layers(
        "LSTM",
        x,
        cont,
        *exposed,
        weights={
            "input_weights": gates(lambda: cell.kernel),
            "bias": gates(lambda: cell.bias if cell.use_bias else np.zeros(len(_GATES) * units)),
            "recurrent_weights": gates(lambda: cell.recurrent_kernel),
        },
        hint=hint,
        tops=1 + len(exposed),
        num_output=units,
        expose_hidden=expose,
    )
    steps, *last = (blob.raw for blob in blobs)
    return [Value(steps.blob, Layout(steps.layout.axes, ((1,), (0,), (2,)))), *last]


def _time_first(site: Site, x: Value) -> Value:
    """[N, T, …] as a blob [T, N, …]."""
    batch, steps, *rest = x.tf_shape
    axes = ((steps,), (batch,), *((size,) for size in rest))
    return site.to(x, Layout(axes, ((1,), (0,), *((i,) for i in range(2, len(axes))))))


def _cont(site: Site, x: Value, goes_on: bool) -> Value:
    """1 for all steps but the first, which begins a sequence unless a state is given for it."""
    steps, sequences = x.shape[:2]
    site.builder.notes.append(
        f"layer {site.node.origin!r} is for {steps} steps of {sequences} at a time: its `cont` "
        "(0 where a sequence begins) is a Parameter layer, nobody has to feed it"
    )
    numbers = np.ones((steps, sequences), np.float32)
    numbers[0] = float(goes_on)
    return parameter(site, numbers.shape, numbers, hint="cont")


def _zeros(site: Site, x: Value, units: int) -> Value:
    shape = (1, x.shape[1], units)
    return parameter(site, shape, np.zeros(shape, np.float32), hint="state")


def _state(site: Site, value: Value) -> Value:
    """A state [N, units] as [1, N, units]."""
    batch, units = value.tf_shape
    return site.to(value, Layout(((1,), (batch,), (units,)), ((0, 1), (2,))))


def _unstacked(value: Value) -> Value:
    """A state [1, N, units] as [N, units]; the blob stays."""
    return Value(value.blob, Layout(value.layout.axes, ((0, 1), (2,))))


def _backwards(site: Site, x: Value) -> Value:
    """The steps from the last to the first."""
    plain = x.blob.raw
    steps = np.arange(x.shape[0])[::-1]
    return site.like(chosen(site, plain, 0, steps, hint="backwards").blob, x)


def _last(site: Site, x: Value) -> Value:
    """The last step."""
    steps = x.shape[0]
    if steps > 1:
        x = site.slices(x, 0, [steps - 1], "last")[1]
    return _unstacked(x.blob.raw)
