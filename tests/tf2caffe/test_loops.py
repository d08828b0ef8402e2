"""Loops in graphs: written step by step, and LSTM cells as Caffe's layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import answer, control_flow, frozen, tf1
from tfcaffe.errors import ConversionError
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


@pytest.mark.parametrize("place", [0, 2, -1])
def test_one_step_of_others(place: int, tmp_path: Path, caffe: Caffe) -> None:
    """It is read where it was made: nothing is joined."""
    net = converted(
        lambda tf, x: over_time(tf, gru_cell, x, zeros(tf))[0][place] * 2.0, tmp_path, caffe
    )
    assert net.types[-1] == "Power"
    assert net.types.count("TanH") == (place % STEPS) + 1


def test_a_loop_without_arrays(tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        flat = tf.reshape(x, (BATCH, STEPS * INPUTS))
        body = lambda i, y: (i + 2, tf.tanh(tf.matmul(y, numbers(12, 12))))  # noqa: E731
        return tf.while_loop(lambda i, _: i < 5, body, (0, flat))[1] * 2.0

    net = converted(make, tmp_path, caffe)
    assert net.types.count("TanH") == 3


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


def block(tf: Any, x: Any, later: bool, **options: Any) -> Any:
    """TensorFlow's op for all steps; the time is first."""
    none = np.zeros(UNITS, np.float32)
    start = np.zeros((BATCH, UNITS), np.float32)
    op = tf.raw_ops.BlockLSTMV2 if later else tf.raw_ops.BlockLSTM
    given = {"seq_len_max": np.int64(STEPS), "cs_prev": start, "h_prev": start, "w": JOINED}
    given |= {"wci": none, "wcf": none, "wco": none, "b": BIAS, "cell_clip": -1.0}
    return op(x=tf.transpose(x, (1, 0, 2)), **(given | options))


@pytest.mark.parametrize("later", [False, True])
def test_block_lstm(later: bool, tmp_path: Path, caffe: Caffe) -> None:
    more = {} if later else {"forget_bias": 0.5}
    net = converted(lambda tf, x: block(tf, x, later, **more).h * 2.0, tmp_path, caffe)
    assert net.types.count("LSTM") == 1


STRANGE: dict[str, dict[str, Any]] = {
    "clipped": {"cell_clip": 0.4},
    "peepholes": {"use_peephole": True, "wci": FIRST[0], "wcf": FIRST[1], "wco": FIRST[0] * 2},
    "clipped peepholes": {"use_peephole": True, "wco": FIRST[0], "cell_clip": 0.3},
    "states": {"h_prev": FIRST, "cs_prev": FIRST[::-1].copy()},
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("later", [False, True])
def test_block_lstm_that_caffe_has_not(
    name: str, later: bool, tmp_path: Path, caffe: Caffe
) -> None:
    net = converted(lambda tf, x: block(tf, x, later, **STRANGE[name]).h * 2, tmp_path, caffe)
    assert "LSTM" not in net.types


def test_gates_of_block_lstm(tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        made = block(tf, x, False)
        return made.i + 2 * made.cs + 3 * made.f + 4 * made.o + 5 * made.ci + 6 * made.co + made.h

    converted(make, tmp_path, caffe)


def test_block_lstm_that_stops_is_refused(tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SEQUENCES.shape, "x")
        tf.identity(block(tf, x, False, seq_len_max=np.int64(2)).h, name="y")

    graph, _ = tf1(build)
    with pytest.raises(ConversionError, match=r"\(BlockLSTM\S*: it stops before the last step"):
        written(frozen(graph, tmp_path), tmp_path, outputs=["y"])
