"""LSTM cells in loops and one by one: Caffe's layer; others step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steps import (
    BATCH,
    INPUTS,
    SEQUENCES,
    STEPS,
    UNITS,
    Cell,
    converted,
    gru_cell,
    hard_gates,
    new_cell,
    no_bias,
    numbers,
    old_cell,
    one_bias,
    over_time,
    peeping,
    unrolled,
    zeros,
)
from tfcaffe.oracle.pycaffe import Caffe
from whole import written


@pytest.mark.parametrize("functions", [False, True], ids=["frames", "functions"])
@pytest.mark.parametrize("cell", [old_cell, new_cell, no_bias])
def test_an_lstm_is_one_layer(cell: Cell, functions: bool, tmp_path: Path, caffe: Caffe) -> None:
    net = converted(
        lambda tf, x: over_time(tf, cell, x, zeros(tf))[0] * 2.0, tmp_path, caffe, functions
    )
    assert [kind for kind in net.types if kind not in ("Slice", "Concat", "Reshape")] == [
        *("Input", "Parameter", "LSTM", "Power")
    ]
    assert not any("step by step" in note for note in net.network.notes)


READ: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "last": lambda tf, steps, h, c: h * 3.0,
    "carry": lambda tf, steps, h, c: c * 3.0,
    "both": lambda tf, steps, h, c: h + 2.0 * c,
    "all and last": lambda tf, steps, h, c: steps * h,
    "last of all": lambda tf, steps, h, c: tf.tanh(steps[-1]),
    "last of all, turned": lambda tf, steps, h, c: tf.tanh(tf.transpose(steps, (1, 0, 2))[:, -1]),
    "last of all, kept": lambda tf, steps, h, c: tf.tanh(tf.slice(steps, (3, 0, 0), (1, -1, -1))),
    "twice turned": lambda tf, steps, h, c: tf.transpose(steps, (2, 0, 1))[:, -1] * 2.0,
}


CUT: dict[str, Callable[[Any, Any], Any]] = {
    "first": lambda tf, steps: steps[0] * 2.0,
    "one": lambda tf, steps: steps[1] * 2.0,
    "some": lambda tf, steps: steps[1:3] * 2.0,
    "units, too": lambda tf, steps: steps[1:, :, 1:3] * 2.0,
    "one unit": lambda tf, steps: steps[2, :, 3] * 2.0,
    "backwards": lambda tf, steps: steps[::-2] * 2.0,
    "behind arithmetic": lambda tf, steps: (tf.tanh(steps) * steps + 1.0)[1:3] * 2.0,
    "turned": lambda tf, steps: tf.transpose(tf.tanh(steps), (2, 0, 1))[:, 1:3] * 2.0,
    "turned back": lambda tf, steps: (
        tf.transpose(tf.tanh(tf.transpose(steps, (1, 2, 0))), (2, 0, 1))[1:3] * 2.0
    ),
    "two": lambda tf, steps: steps[1] * steps[2] + steps[3],
    "apart": lambda tf, steps: tf.add_n(tf.unstack(tf.tanh(steps), axis=0)),
}


@pytest.mark.parametrize("cell", [new_cell, gru_cell])
@pytest.mark.parametrize("result", CUT)
def test_cuts_of_all_steps(cell: Cell, result: str, tmp_path: Path, caffe: Caffe) -> None:
    """The time is on axis 0, where the batch is else."""
    net = converted(
        lambda tf, x: CUT[result](tf, over_time(tf, cell, x, zeros(tf))[0]), tmp_path, caffe
    )
    assert net.types.count("LSTM") == (cell is new_cell)


@pytest.mark.parametrize("way", [over_time, unrolled])
@pytest.mark.parametrize("result", READ)
def test_what_is_read_of_an_lstm(way: Any, result: str, tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        return READ[result](tf, *way(tf, new_cell, x, zeros(tf)))

    assert converted(make, tmp_path, caffe).types.count("LSTM") == 1


def test_an_lstm_that_begins_somewhere(tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        start = tf.reshape(x[:, :2], (BATCH, 2 * INPUTS))[:, :UNITS]
        return over_time(tf, new_cell, x, (start, tf.tanh(start)))[1] * 2.0

    assert "LSTM" in converted(make, tmp_path, caffe).types


@pytest.mark.parametrize("functions", [False, True], ids=["frames", "functions"])
@pytest.mark.parametrize("cell", [gru_cell, peeping, hard_gates, one_bias])
def test_other_cells_are_written_step_by_step(
    cell: Cell, functions: bool, tmp_path: Path, caffe: Caffe
) -> None:
    net = converted(
        lambda tf, x: over_time(tf, cell, x, zeros(tf))[1] * 2.0, tmp_path, caffe, functions
    )
    assert "LSTM" not in net.types
    assert any(f"step by step, {STEPS} times" in note for note in net.network.notes)


def test_states_that_are_read_within_a_chain(tmp_path: Path, caffe: Caffe) -> None:
    """Then no single layer says it."""

    def make(tf: Any, x: Any) -> Any:
        h, c = zeros(tf)
        total = 0.0
        for step in tf.unstack(x, axis=1):
            h, c = new_cell(tf, step, h, c)
            total = total + c
        return total

    assert "LSTM" not in converted(make, tmp_path, caffe).types


def test_two_cells_one_after_the_other(tmp_path: Path, caffe: Caffe) -> None:
    """Each step has numbers of its own: no LSTM, though every cell is one's."""

    def make(tf: Any, x: Any) -> Any:
        h, c = zeros(tf)
        for t, step in enumerate(tf.unstack(x, axis=1)):
            h, c = (new_cell, no_bias)[t % 2](tf, step, h, c)
        return h * 2.0

    assert "LSTM" not in converted(make, tmp_path, caffe).types


@pytest.mark.parametrize("place", [0, 2, -1])
def test_one_step_of_others(place: int, tmp_path: Path, caffe: Caffe) -> None:
    """It is read where it was made: nothing is joined."""
    net = converted(
        lambda tf, x: over_time(tf, gru_cell, x, zeros(tf))[0][place] * 2.0, tmp_path, caffe
    )
    assert net.types[-1] == "Power"
    assert net.types.count("TanH") == (place % STEPS) + 1


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "Bidirectional"])
def test_recurrent_layers_of_an_export(layer: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    k = keras.layers
    made = k.Bidirectional(k.LSTM(UNITS)) if layer == "Bidirectional" else getattr(k, layer)(UNITS)
    model = keras.Sequential([keras.Input((STEPS, INPUTS)), made, k.Dense(3)])
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(numbers(*variable.shape))
    model.export(tmp_path / "saved", verbose=False)
    net = written(tmp_path / "saved", tmp_path)
    assert net.types.count("LSTM") == {"LSTM": 1, "GRU": 0, "Bidirectional": 2}[layer]
    name = net.network.layers[0].name
    run = caffe.run(net.prototxt, net.caffemodel, {name: SEQUENCES[:1]})
    expected = np.asarray(model(SEQUENCES[:1]))
    found = run.layers[-1].arrays[0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("functions", [False, True], ids=["frames", "functions"])
def test_a_loop_that_reads_what_another_made(functions: bool, tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        steps, *_ = over_time(tf, new_cell, x, zeros(tf))
        x = tf.transpose(steps, (1, 0, 2))[:, :, :INPUTS]
        return over_time(tf, old_cell, x, zeros(tf))[1] * 2.0

    assert converted(make, tmp_path, caffe, functions).types.count("LSTM") == 2
