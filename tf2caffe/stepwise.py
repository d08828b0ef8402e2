"""Keras's recurrent layers of which Caffe has none: called so that a graph has their steps.

Source: keras/src/layers/rnn/rnn.py: with `unroll` the steps are traced one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tf2caffe.dialect import Dialect

# the cell that each of Caffe's layers computes, and its functions
_CELLS = {
    "LSTM": ("LSTMCell", {"activation": "tanh", "recurrent_activation": "sigmoid"}),
    "RNN": ("SimpleRNNCell", {"activation": "tanh"}),
}


def unsaid(layer: Any, inputs: int, masked: bool, dialect: Dialect) -> str:
    """Why no layer of Caffe's says this one; empty if one does, or if no steps would help.

    Args:
        inputs: the sequence, and states that come in.
        masked: whether a mask says which steps there are.
    """
    parts = _parts(layer)
    if any(part.unroll or part.stateful for part in parts):
        return ""
    if masked:  # Keras's Bidirectional answers otherwise there with `unroll`
        return "a mask leaves out steps" if len(parts) == 1 else ""
    if len(parts) > 1 and (inputs > 1 or any(part.return_state for part in parts)):
        return "states of a Bidirectional layer go in or out"
    return next((reason for part in parts if (reason := _unsaid(part, dialect))), "")


def _unsaid(layer: Any, dialect: Dialect) -> str:
    cell = getattr(layer, "cell", layer)
    kind = type(cell).__name__
    wanted = next((name for name, (found, _) in _CELLS.items() if found == kind), "")
    if not wanted:
        return f"stock Caffe has no layer for {kind}"
    if not dialect.has(wanted):
        return f"the dialect {dialect.name} has no {wanted}"
    for name, usual in _CELLS[wanted][1].items():
        own = getattr(getattr(cell, name), "__name__", "")
        if own != usual:
            return f"its {name} is {own}, and Caffe's is always {usual}"
    if wanted == "RNN" and (layer.return_sequences or layer.return_state):
        return "Caffe's RNN computes another function of its states"
    return ""


@contextmanager
def step_by_step(layer: Any) -> Iterator[None]:
    """Within, a call of the layer traces its steps."""
    parts = _parts(layer)
    try:
        for part in parts:
            part.unroll = True
        yield
    finally:
        for part in parts:
            part.unroll = False


def _parts(layer: Any) -> list[Any]:
    """The layer, or both of a Bidirectional."""
    names = ("forward_layer", "backward_layer")
    return [getattr(layer, name) for name in names if hasattr(layer, name)] or [layer]
