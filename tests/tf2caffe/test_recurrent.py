"""Recurrent layers, embeddings and TimeDistributed in real Caffe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written

Build = Callable[[Any, Any], Any]  # keras.layers and the input: the outputs
STEPS, FEATURES, UNITS = 5, 3, 4


def sequences(build: Build, batch: int = 2) -> Any:
    """A model of sequences."""
    import keras

    x = keras.Input((STEPS, FEATURES), batch_size=batch, name="x")
    return keras.Model(x, build(keras.layers, x))


CASES: dict[str, Build] = {
    "last": lambda k, x: k.LSTM(UNITS)(x),
    "all": lambda k, x: k.LSTM(UNITS, return_sequences=True)(x),
    "no bias": lambda k, x: k.LSTM(UNITS, use_bias=False)(x),
    "backwards": lambda k, x: k.LSTM(UNITS, go_backwards=True)(x),
    "all backwards": lambda k, x: k.LSTM(UNITS, go_backwards=True, return_sequences=True)(x),
    "states": lambda k, x: k.LSTM(UNITS, return_state=True)(x),
    "all and states": lambda k, x: k.LSTM(UNITS, return_sequences=True, return_state=True)(x),
    "hidden state alone": lambda k, x: k.LSTM(UNITS, return_state=True)(x)[1],
    "from states": lambda k, x: k.LSTM(UNITS, return_sequences=True)(
        x, initial_state=k.LSTM(UNITS, return_state=True)(x)[1:]
    ),
    "cell": lambda k, x: k.RNN(k.LSTMCell(UNITS))(x),
    "two": lambda k, x: k.Dense(2)(k.LSTM(3)(k.LSTM(UNITS, return_sequences=True)(x))),
    "each step": lambda k, x: k.TimeDistributed(k.Dense(2, activation="relu"))(
        k.LSTM(UNITS, return_sequences=True)(x)
    ),
    "repeated": lambda k, x: k.LSTM(3, return_sequences=True)(k.RepeatVector(6)(k.LSTM(UNITS)(x))),
    "both ways": lambda k, x: k.Bidirectional(k.LSTM(UNITS))(x),
    "both ways, all": lambda k, x: k.Dense(2)(
        k.Bidirectional(k.LSTM(UNITS, return_sequences=True))(x)
    ),
    "both ways, sum": lambda k, x: k.Bidirectional(k.LSTM(UNITS), merge_mode="sum")(x),
    "both ways, average": lambda k, x: k.Bidirectional(
        k.LSTM(UNITS, return_sequences=True), merge_mode="ave"
    )(x),
    "both ways, product": lambda k, x: k.Bidirectional(k.LSTM(UNITS), merge_mode="mul")(x),
    "both ways, apart": lambda k, x: k.Bidirectional(k.LSTM(UNITS), merge_mode=None)(x),
    "simple": lambda k, x: k.SimpleRNN(UNITS)(x),
    "simple backwards": lambda k, x: k.SimpleRNN(UNITS, go_backwards=True)(x),
    "unrolled LSTM": lambda k, x: k.LSTM(UNITS, unroll=True)(x),
    "unrolled GRU": lambda k, x: k.GRU(UNITS, unroll=True, return_sequences=True)(x),
    "unrolled simple": lambda k, x: k.SimpleRNN(UNITS, unroll=True, return_sequences=True)(x),
    "unrolled both ways": lambda k, x: k.Bidirectional(k.GRU(UNITS, unroll=True))(x),
}


@pytest.mark.parametrize("name", CASES)
def test_recurrent(name: str, tmp_path: Path, caffe: Caffe) -> None:
    net = check(sequences(CASES[name]), tmp_path, caffe)
    others = "simple" in name or "GRU" in name or name == "unrolled both ways"
    assert ("LSTM" in net.types) != others


def test_an_lstm_of_one_sequence_needs_no_moves(tmp_path: Path, caffe: Caffe) -> None:
    model = sequences(lambda k, x: k.LSTM(UNITS, return_sequences=True, name="lstm")(x), batch=1)
    net = check(model, tmp_path, caffe)
    assert net.types == ["Input", "Reshape", "Parameter", "LSTM"]
    assert any("'lstm' is for 5 steps of 1 at a time" in note for note in net.network.notes)


def test_text_recognition(tmp_path: Path, caffe: Caffe) -> None:
    """A convolution, its columns as steps, LSTMs both ways, a softmax for each step."""
    import keras

    k = keras.layers
    x = keras.Input((8, 9, 3), batch_size=2, name="x")
    y = k.Permute((2, 1, 3))(k.Conv2D(4, 3, activation="relu")(x))
    y = k.Bidirectional(k.LSTM(UNITS, return_sequences=True))(k.Reshape((7, 24))(y))
    check(keras.Model(x, k.Dense(6, activation="softmax")(y)), tmp_path, caffe)


def test_embedding(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    k = keras.layers
    x = keras.Input((6,), batch_size=2, dtype="int32", name="x")
    y = k.LSTM(UNITS)(k.Embedding(11, 3, name="embed")(x))
    words = np.random.default_rng(0).integers(0, 11, (2, 6)).astype(np.float32)
    net = check(keras.Model(x, k.Dense(2)(y)), tmp_path, caffe, {"x": words})
    assert net.types[:2] == ["Input", "Embed"]


def test_categories(tmp_path: Path, caffe: Caffe) -> None:
    """Whole numbers stay whole, whatever they are cast to."""
    import keras

    x = keras.Input((1,), batch_size=5, dtype="int32", name="x")
    y = keras.layers.CategoryEncoding(6, output_mode="one_hot", name="code")(x)
    kinds = np.asarray([[0], [5], [2], [-1], [6]], np.float32)  # two of which are none
    model = keras.Model(x, keras.layers.Dense(3, name="fc")(y))
    check(model, tmp_path, caffe, {"x": kinds})


def test_embedding_and_convolution(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    k = keras.layers
    x = keras.Input((9,), batch_size=2, name="x")
    y = k.GlobalMaxPooling1D()(k.Conv1D(4, 3, activation="relu")(k.Embedding(11, 5)(x)))
    words = np.random.default_rng(0).integers(0, 11, (2, 9)).astype(np.float32)
    check(keras.Model(x, k.Dense(2)(y)), tmp_path, caffe, {"x": words})


def test_images_in_time(tmp_path: Path, caffe: Caffe) -> None:
    """A convolution, and a model of several layers, at each step."""
    import keras

    k = keras.layers
    inner = keras.Sequential(
        [keras.Input((6, 4, 4)), k.MaxPooling2D(2), k.Flatten(), k.Dense(3, name="inner")]
    )
    x = keras.Input((3, 8, 6, 2), batch_size=2, name="x")
    y = k.TimeDistributed(k.Conv2D(4, 3, activation="relu"), name="conv")(x)
    y = k.LSTM(UNITS)(k.TimeDistributed(inner)(y))
    net = check(keras.Model(x, y), tmp_path, caffe)
    assert net.types[:5] == ["Input", "Reshape", "Convolution", "ReLU", "Pooling"]


def test_images_in_time_that_are_unrolled(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    x = keras.Input((2, 5, 6, 2), batch_size=2, name="x")
    y = keras.layers.ConvLSTM2D(3, 3, padding="same", unroll=True, return_sequences=True)(x)
    check(keras.Model(x, y), tmp_path, caffe)


def test_numbers_in_another_order(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    x = keras.Input((STEPS, FEATURES), batch_size=2, name="x")
    y = keras.layers.Dense(UNITS)(x)
    ops = keras.ops
    found = [ops.flip(y, 1), ops.take(y, [2, 0, 0], 1), ops.take(y, [3, 1], 2), ops.roll(y, 2, 1)]
    found += [ops.take(y, 2, 1), ops.take(y, [[0, 3], [1, 2]], -1)]
    check(keras.Model(x, found), tmp_path, caffe)


MASKED: dict[str, Callable[[Any, Any], Any]] = {
    "ids": lambda k, x: k.LSTM(UNITS, name="r")(k.Embedding(11, 3, mask_zero=True)(x)),
    "ids, all": lambda k, x: k.GRU(UNITS, return_sequences=True, name="r")(
        k.Embedding(11, 3, mask_zero=True)(x)
    ),
    "backwards": lambda k, x: k.LSTM(UNITS, go_backwards=True, name="r")(
        k.Embedding(11, 3, mask_zero=True)(x)
    ),
    "one behind another": lambda k, x: k.GRU(2)(
        k.LSTM(UNITS, return_sequences=True, name="r")(k.Embedding(11, 3, mask_zero=True)(x))
    ),
}
IDS = np.array([[1, 4, 2, 0, 0, 0], [0, 3, 0, 5, 6, 0]], np.float32)


@pytest.mark.parametrize("name", MASKED)
def test_steps_that_a_mask_leaves_out(name: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    x = keras.Input((6,), batch_size=2, dtype="int32", name="x")
    net = check(keras.Model(x, MASKED[name](keras.layers, x)), tmp_path, caffe, {"x": IDS})
    assert any(note.startswith("layer 'r': a mask leaves out") for note in net.network.notes)


def test_masks_both_ways_are_refused(tmp_path: Path) -> None:
    import keras

    k = keras.layers
    x = keras.Input((6,), batch_size=2, dtype="int32", name="x")
    y = k.Bidirectional(k.LSTM(UNITS), name="r")(k.Embedding(11, 3, mask_zero=True)(x))
    with pytest.raises(UnsupportedError, match=r"layer 'r'.*leaves out steps by a mask"):
        written(keras.Model(x, y), tmp_path)


STEPWISE: dict[str, tuple[Build, str]] = {
    "GRU": (lambda k, x: k.GRU(UNITS, name="r")(x), "no layer for GRU"),
    "both ways GRU": (lambda k, x: k.Bidirectional(k.GRU(UNITS), name="r")(x), "GRUCell"),
    "activation": (
        lambda k, x: k.LSTM(UNITS, activation="relu", name="r")(x),
        "activation is relu",
    ),
    "gates": (
        lambda k, x: k.LSTM(UNITS, recurrent_activation="hard_sigmoid", name="r")(x),
        "recurrent_activation is hard_sigmoid",
    ),
    "steps of a simple one": (
        lambda k, x: k.SimpleRNN(UNITS, return_sequences=True, name="r")(x),
        "another function of its states",
    ),
    "many cells": (
        lambda k, x: k.RNN([k.LSTMCell(2), k.LSTMCell(3)], name="r")(x),
        "StackedRNNCells",
    ),
    "states both ways": (
        lambda k, x: k.Bidirectional(k.LSTM(UNITS, return_state=True), name="r")(x),
        "states of a Bidirectional layer go in or out",
    ),
}


@pytest.mark.parametrize("name", STEPWISE)
def test_step_by_step(name: str, tmp_path: Path, caffe: Caffe) -> None:
    """Caffe has no such layer, but all that its steps are made of."""
    build, reason = STEPWISE[name]
    model = sequences(build)
    net = check(model, tmp_path, caffe)
    assert ("LSTM" in net.types) == (name in ("many cells", "states both ways"))  # of steps again
    told = [note for note in net.network.notes if note.startswith("layer 'r': ")]
    assert len(told) == 1
    assert reason in told[0]
    assert told[0].endswith("; its steps are traced one by one")
    layer = model.get_layer("r")  # is the caller's, and as it was
    assert not getattr(layer, "forward_layer", layer).unroll


def test_an_lstm_in_a_dialect_without_one(tmp_path: Path, caffe: Caffe) -> None:
    model = sequences(lambda k, x: k.LSTM(UNITS, return_sequences=True, name="r")(x))
    net = check(model, tmp_path, caffe, dialect="portable")
    assert {"LSTM", "Parameter"}.isdisjoint(net.types)


def test_state_from_call_to_call_is_refused(tmp_path: Path) -> None:
    model = sequences(lambda k, x: k.GRU(UNITS, stateful=True, name="r")(x))
    with pytest.raises(UnsupportedError, match=r"layer 'r'.*stateful=False"):
        written(model, tmp_path)
