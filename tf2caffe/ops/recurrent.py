"""Keras's recurrent layers as Caffe's LSTM and RNN; others come here only to be refused.

Source: lstm_layer.cpp, rnn_layer.cpp; keras/src/layers/rnn/lstm.py.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from tf2caffe.net.recurrence import (
    backwards,
    cont_of,
    is_read,
    last_of,
    lstm_of,
    state_of,
    time_first,
    unstacked,
    zeros,
)
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import keras_layer, no_layer
from tfcaffe.layout import Layout


@keras_layer("LSTM", "RNN")
def lstm(site: Site) -> list[Value]:
    """Of the sequence or of its last step; its states behind, where they are asked for."""
    layer = site.attrs["layer"]
    _check(site, layer)
    inputs = [site.value(i) for i in range(len(site.node.inputs))]
    states = [state_of(site, value) for value in inputs[1:]]
    wants_cell = bool(layer.return_state) and is_read(site, 2)
    x = time_first(site, inputs[0])
    if layer.go_backwards:
        x = backwards(site, x)
    cont = cont_of(site, x, bool(states))
    made = lstm_of(site, x, cont, layer.cell, states, expose=bool(states) or wants_cell)
    answer = made[0] if layer.return_sequences else last_of(site, made[0])
    if not layer.return_state:
        return [answer]
    hidden = last_of(site, made[0]) if layer.return_sequences and is_read(site, 1) else answer
    if layer.return_sequences and not is_read(site, 1):
        return [answer]
    return [answer, hidden, *([unstacked(made[2])] if wants_cell else [])]


@keras_layer("Bidirectional")
def bidirectional(site: Site) -> list[Value]:
    """Two LSTMs, one of them from the end."""
    layer = site.attrs["layer"]
    parts = [layer.forward_layer, layer.backward_layer]
    _check(site, *parts)
    x = time_first(site, site.value(0))
    cont = cont_of(site, x, False)
    answers = []
    for part, hint in zip(parts, ("lstm", "backward"), strict=True):
        sequence = backwards(site, x) if part.go_backwards else x
        (answer, *_) = lstm_of(site, sequence, cont, part.cell, [], hint=hint)
        answers.append(answer if part.return_sequences else last_of(site, answer))
    if layer.return_sequences:
        answers[1] = backwards(site, answers[1])
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
    _check(site, layer)
    x = time_first(site, site.value(0))
    if layer.go_backwards:
        x = backwards(site, x)
    units, cell = layer.units, layer.cell
    states = [state_of(site, site.value(1))] if len(site.node.inputs) > 1 else []
    blobs = site.layers(
        "RNN",
        x,
        cont_of(site, x, bool(states)),
        *(states or [zeros(site, x, units)]),
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
    return [unstacked(blobs[1].raw)]


@no_layer("GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def unknown(site: Site) -> NoReturn:
    """Caffe has none of these; their steps are traced where that can be."""
    _check(site, site.attrs["layer"])
    raise site.refusal(
        f"stock Caffe has no {site.attrs['class']} layer; cut the net before it with --outputs"
    )


def _check(site: Site, *layers: Any) -> None:
    """Refuse what depends on more than the sequence."""
    if any(layer.stateful for layer in layers):
        raise site.refusal("it keeps its state from call to call; build it with stateful=False")
    if site.attrs["masked"]:
        raise site.refusal(
            "it leaves out steps by a mask (mask_zero or Masking), which depends on the data; "
            "build the model without the mask"
        )
