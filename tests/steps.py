"""Cells of recurrent layers, step by step and in loops, in graphs of TensorFlow 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from graphs import answer, control_flow, frozen, tf1
from tfcaffe.oracle.pycaffe import Caffe
from whole import Written, written

BATCH, STEPS, INPUTS, UNITS = 2, 4, 3, 5
RNG = np.random.default_rng(4)
SEQUENCES = RNG.standard_normal((BATCH, STEPS, INPUTS)).astype(np.float32)
Cell = Callable[[Any, Any, Any, Any], tuple[Any, Any]]  # TensorFlow, x, h and c: h and c


def numbers(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


JOINED, BIAS = numbers(INPUTS + UNITS, 4 * UNITS), numbers(4 * UNITS)
KERNEL, RECURRENT = numbers(INPUTS, 4 * UNITS), numbers(UNITS, 4 * UNITS)
GRU = numbers(INPUTS + UNITS, 2 * UNITS), numbers(INPUTS + UNITS, UNITS)
FIRST = numbers(BATCH, UNITS)


def old_cell(tf: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """As TF1 has it: x and h joined; i, g, f, o; something added to f."""
    gates = tf.nn.bias_add(tf.matmul(tf.concat([x, h], 1), JOINED), BIAS)
    i, g, f, o = tf.split(gates, 4, 1)
    c = c * tf.sigmoid(f + 0.75) + tf.sigmoid(i) * tf.tanh(g)
    return tf.tanh(c) * tf.sigmoid(o), c


def new_cell(tf: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """As Keras has it: two products; i, f, g, o."""
    gates = tf.matmul(x, KERNEL) + tf.matmul(h, RECURRENT) + BIAS
    i, f, g, o = tf.split(gates, 4, 1)
    c = tf.sigmoid(f) * c + tf.tanh(g) * tf.sigmoid(i)
    return tf.sigmoid(o) * tf.tanh(c), c


def no_bias(tf: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    i, f, g, o = tf.split(tf.matmul(h, RECURRENT) + tf.matmul(x, KERNEL), 4, -1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.tanh(c) * tf.sigmoid(o), c


def one_bias(tf: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """One number for all gates."""
    i, f, g, o = tf.split(tf.matmul(tf.concat([x, h], 1), JOINED) + tf.constant([0.7]), 4, 1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.tanh(c) * tf.sigmoid(o), c


def gru_cell(tf: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    r, z = tf.split(tf.sigmoid(tf.matmul(tf.concat([x, h], 1), GRU[0])), 2, 1)
    candidate = tf.tanh(tf.matmul(tf.concat([x, r * h], 1), GRU[1]))
    return z * h + (1.0 - z) * candidate, c


def peeping(tf: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """Its gates see the state: Caffe's LSTM has no such cell."""
    gates = tf.matmul(tf.concat([x, h], 1), JOINED) + BIAS
    i, g, f, o = tf.split(gates, 4, 1)
    c = c * tf.sigmoid(f + 0.5 * c) + tf.sigmoid(i) * tf.tanh(g)
    return tf.tanh(c) * tf.sigmoid(o), c


def hard_gates(tf: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """All but one gate are those of Caffe's."""
    i, f, g, o = tf.split(tf.matmul(x, KERNEL) + tf.matmul(h, RECURRENT), 4, 1)
    c = tf.sigmoid(f) * c + tf.nn.relu(i) * tf.tanh(g)
    return tf.tanh(c) * tf.sigmoid(o), c


def over_time(tf: Any, cell: Cell, x: Any, start: Any) -> tuple[Any, Any, Any]:
    """All h [STEPS, BATCH, UNITS], the last h and c, by a loop over arrays of tensors."""
    steps = tf.TensorArray(tf.float32, STEPS).unstack(tf.transpose(x, (1, 0, 2)))

    def body(t: Any, made: Any, h: Any, c: Any) -> tuple[Any, Any, Any, Any]:
        h, c = cell(tf, steps.read(t), h, c)
        return t + 1, made.write(t, h), h, c

    first = (0, tf.TensorArray(tf.float32, STEPS), *start)
    _, made, h, c = tf.while_loop(lambda t, *_: t < tf.shape(x)[1], body, first)
    return made.stack(), h, c


def unrolled(tf: Any, cell: Cell, x: Any, start: Any) -> tuple[Any, Any, Any]:
    """The same without a loop."""
    (h, c), made = start, []
    for step in tf.unstack(x, axis=1):
        h, c = cell(tf, step, h, c)
        made.append(h)
    return tf.stack(made), h, c


def converted(
    make: Callable[[Any, Any], Any], folder: Path, caffe: Caffe, functions: bool = False
) -> Written:
    """Convert a graph that reads sequences `x`; Caffe computes what TensorFlow does."""

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SEQUENCES.shape, "x")
        with control_flow(v1, functions):
            tf.identity(make(tf, x), name="y")

    graph, v1 = tf1(build)
    net = written(frozen(graph, folder), folder, outputs=["y"])
    expected = answer(graph, v1, {"x:0": SEQUENCES})
    (shape,) = (top.shape for top in net.network.layers[0].tops)
    blob = SEQUENCES if shape == SEQUENCES.shape else SEQUENCES.reshape(shape)
    run = caffe.run(net.prototxt, net.caffemodel, {"x": blob})
    found = next(la.arrays for la in reversed(run.layers) if la.arrays)[0]
    assert np.abs(found.reshape(expected.shape) - expected).max() <= 1e-5 * np.abs(expected).max()
    return net


def zeros(tf: Any) -> tuple[Any, Any]:
    return tf.zeros((BATCH, UNITS)), tf.zeros((BATCH, UNITS))
