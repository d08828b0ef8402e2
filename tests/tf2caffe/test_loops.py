"""Loops in graphs, and the arrays that they read and fill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphs import control_flow, frozen, tf1
from steps import (
    BATCH,
    INPUTS,
    KERNEL,
    SEQUENCES,
    STEPS,
    converted,
    numbers,
)
from tfcaffe.errors import ConversionError
from tfcaffe.oracle.pycaffe import Caffe
from whole import written


def counted(tf: Any, x: Any) -> Any:
    """One loop after the other, the second from where the first ended, each with one in it."""
    flat = tf.reshape(x, (BATCH, STEPS * INPUTS))

    def inner(i: Any, y: Any) -> tuple[Any, Any]:
        more = lambda j, z: (j + 1.5, tf.sin(0.1) * tf.tanh(z) + tf.cast(i, tf.float32))  # noqa: E731
        return i + 1, tf.while_loop(lambda j, _: j < 3.0, more, (0.0, y))[1]

    i, y = tf.while_loop(lambda i, _: i < 2, inner, (0, flat))
    return 2.0 * tf.while_loop(lambda i, _: i > 0, lambda i, y: (i - 1, tf.abs(y) - 1.0), (i, y))[1]


@pytest.mark.parametrize("functions", [False, True], ids=["frames", "functions"])
def test_loops_in_loops_and_behind(functions: bool, tmp_path: Path, caffe: Caffe) -> None:
    net = converted(counted, tmp_path, caffe, functions)
    assert (net.types.count("TanH"), net.types.count("AbsVal")) == (4, 2)


@pytest.mark.parametrize("functions", [False, True], ids=["frames", "functions"])
def test_a_loop_that_never_runs(functions: bool, tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        return 2.0 * tf.while_loop(lambda i, _: i < 0, lambda i, y: (i + 1, y * 5.0), (0, x))[1]

    assert converted(make, tmp_path, caffe, functions).types == ["Input", "Power"]


@pytest.mark.parametrize("functions", [False, True], ids=["frames", "functions"])
def test_an_array_that_is_filled_backwards(functions: bool, tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        rows = tf.TensorArray(tf.float32, 3, element_shape=SEQUENCES.shape)

        def body(t: Any, made: Any, y: Any) -> Any:
            y = tf.tanh(y + 0.5)
            return t + 1, made.write(2 - t, y), y

        return tf.while_loop(lambda t, *_: t < 3, body, (0, rows, x))[1].stack() * 2.0

    converted(make, tmp_path, caffe, functions)


def test_places_that_depend_on_the_data(tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SEQUENCES.shape, "x")
        with control_flow(v1, functions=False):
            place = tf.cast(x[0, 0, 0], tf.int32)
            rows = tf.TensorArray(tf.float32, 3)
            body = lambda t, made: (t + 1, made.write(t + place, tf.tanh(x)))  # noqa: E731
            made = tf.while_loop(lambda t, _: t < 3, body, (0, rows))[1]
            tf.identity(made.stack(), name="y")

    graph, _ = tf1(build)
    with pytest.raises(ConversionError, match="an array that a loop reads or fills"):
        written(frozen(graph, tmp_path), tmp_path, outputs=["y"])


def test_an_array_that_grows(tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        rows = tf.TensorArray(tf.float32, 1, dynamic_size=True, element_shape=SEQUENCES.shape)
        body = lambda t, made: (t + 1, made.write(t, tf.tanh(x) * 2.0))  # noqa: E731
        return tf.while_loop(lambda t, _: t < 3, body, (0, rows))[1].stack() + 1.0

    converted(make, tmp_path, caffe, functions=True)


def test_a_list_that_is_pushed_to(tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x, raw = v1.placeholder(tf.float32, SEQUENCES.shape, "x"), tf.raw_ops
        rows = raw.EmptyTensorList(
            element_shape=SEQUENCES.shape, max_num_elements=9, element_dtype=tf.float32
        )
        for row in (tf.tanh(x), tf.abs(x)):
            rows = raw.TensorListPushBack(input_handle=rows, tensor=row)
        body = lambda t, rows: (  # noqa: E731
            t + 1,
            raw.TensorListSetItem(input_handle=rows, index=t, item=tf.exp(x)),
        )
        with control_flow(v1, functions=True):
            rows = tf.while_loop(lambda t, _: t < 1, body, (0, rows))[1]
        stacked = raw.TensorListStack(
            input_handle=rows, element_shape=SEQUENCES.shape, element_dtype=tf.float32
        )
        tf.identity(stacked, name="y")

    graph, _ = tf1(build)
    with pytest.raises(ConversionError, match="an array that a loop reads or fills"):
        written(frozen(graph, tmp_path), tmp_path, outputs=["y"])


def test_an_array_that_is_not_full(tmp_path: Path) -> None:
    """TensorFlow fills it up with zeros."""

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SEQUENCES.shape, "x")
        with control_flow(v1, functions=True):
            rows = tf.TensorArray(tf.float32, 5, element_shape=SEQUENCES.shape)
            body = lambda t, made: (t + 1, made.write(t, tf.tanh(x) * 2.0))  # noqa: E731
            made = tf.while_loop(lambda t, _: t < 3, body, (0, rows))[1]
            tf.identity(made.stack(), name="y")

    graph, _ = tf1(build)
    with pytest.raises(
        ConversionError, match=r"\(TensorList\S+ an array that a loop reads or fills"
    ):
        written(frozen(graph, tmp_path), tmp_path, outputs=["y"])


def test_an_array_that_tells_its_size(tmp_path: Path, caffe: Caffe) -> None:
    """As TensorFlow 1 stacked what a loop made."""

    def make(tf: Any, x: Any) -> Any:
        raw, steps = tf.raw_ops, tf.transpose(x, (1, 0, 2))
        made = raw.TensorArrayV3(size=STEPS, dtype=tf.float32)

        def body(t: Any, flow: Any, y: Any) -> tuple[Any, Any, Any]:
            y = tf.tanh(tf.matmul(tf.gather(steps, t) + y, KERNEL[:, :INPUTS]))
            flow = raw.TensorArrayWriteV3(handle=made.handle, index=t, value=y, flow_in=flow)
            return t + 1, flow, y

        first = (0, made.flow, tf.zeros((BATCH, INPUTS)))
        _, flow, _ = tf.while_loop(lambda t, *_: t < STEPS, body, first)
        size = raw.TensorArraySizeV3(handle=made.handle, flow_in=flow)
        return 2.0 * raw.TensorArrayGatherV3(
            handle=made.handle, indices=tf.range(0, size), flow_in=flow, dtype=tf.float32
        )

    assert converted(make, tmp_path, caffe).types.count("TanH") == STEPS


def test_a_loop_without_arrays(tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        flat = tf.reshape(x, (BATCH, STEPS * INPUTS))
        body = lambda i, y: (i + 2, tf.tanh(tf.matmul(y, numbers(12, 12))))  # noqa: E731
        return tf.while_loop(lambda i, _: i < 5, body, (0, flat))[1] * 2.0

    net = converted(make, tmp_path, caffe)
    assert net.types.count("TanH") == 3
