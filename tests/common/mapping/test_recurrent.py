"""LSTM and RNN by mappings: against Keras, TensorFlow's own cell and real Caffe, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.__main__ import main as caffe2tf
from mapped import in_memory, plan_of, resolved
from prototxts import data, layer, param
from tf2caffe.__main__ import main as tf2caffe
from tfcaffe.bind import bind
from tfcaffe.errors import MappingError
from tfcaffe.files import caffemodel
from tfcaffe.load import load_weights
from tfcaffe.mapping.apply import to_layers, to_variables
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import Plan
from tfcaffe.variables.files import open_variables

Arrays = dict[str, np.ndarray]
STEPS, BATCH, INPUTS, UNITS = 5, 3, 4, 6
FIELDS = param("recurrent_param", num_output=UNITS)
BEGIN = data(STEPS, BATCH, INPUTS, name="x") + data(STEPS, BATCH, name="cont")
NET = BEGIN + layer("LSTM", ["x", "cont"], "lstm", FIELDS)
KERAS = """
  lstm:
    input_weights: lstm/lstm_cell/kernel
    recurrent_weights: lstm/lstm_cell/recurrent_kernel
    bias: {bias}
"""
TF1 = """
  lstm:
    input_weights: {variable: rnn/kernel, part: input, gates: ijfo}
    recurrent_weights: {variable: rnn/kernel, part: recurrent, gates: icfo}
    bias: {variable: rnn/bias, gates: igfo, forget_bias: 1}
"""
SHAPES = {"rnn/kernel": (INPUTS + UNITS, 4 * UNITS), "rnn/bias": (4 * UNITS,)}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(NET, tmp_path)


def in_caffe(caffe: Caffe, folder: Path, x: np.ndarray) -> np.ndarray:
    """What `net.caffemodel` answers to [batch, steps, inputs]."""
    cont = np.ones((STEPS, BATCH), np.float32)
    cont[0] = 0
    fed = {"x": np.ascontiguousarray(x.swapaxes(0, 1)), "cont": cont}
    found = caffe.run(folder / "net.prototxt", folder / "net.caffemodel", fed)
    return found.blobs()["lstm"].swapaxes(0, 1)


def fill(folder: Path, entries: str, variables: Path) -> None:
    """`net.caffemodel` and, back from it, `back.npz`."""
    (folder / "net.prototxt").write_text(NET)
    (folder / "map.yaml").write_text(f"mapping: 1\nlayers:{entries}")
    net, model, mapping = (str(folder / n) for n in ("net.prototxt", "net.caffemodel", "map.yaml"))
    there = ["convert", str(variables), "--prototxt", net, "--mapping", mapping, "-o", model]
    assert tf2caffe(there) == 0
    back = ["convert", net, model, "--mapping", mapping, "-o", str(folder / "back.npz")]
    assert caffe2tf(back) == 0


def random(rng: np.random.Generator, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    return {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}


@pytest.mark.parametrize("bias", [True, False])
def test_keras(caffe: Caffe, tmp_path: Path, rng: np.random.Generator, bias: bool) -> None:
    import keras

    x = keras.Input((STEPS, INPUTS))
    cells = keras.layers.LSTM(UNITS, return_sequences=True, use_bias=bias, name="lstm")
    model = keras.Model(x, cells(x))
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    model.save(tmp_path / "model.keras")
    said = "lstm/lstm_cell/bias" if bias else "{constant: 0}"
    fill(tmp_path, KERAS.replace("{bias}", said), tmp_path / "model.keras")

    fed = rng.normal(size=(BATCH, STEPS, INPUTS)).astype(np.float32)
    wanted = model.predict(fed, verbose=0)
    np.testing.assert_allclose(in_caffe(caffe, tmp_path, fed), wanted, rtol=0, atol=1e-5)
    same(tmp_path / "back.npz", tmp_path / "model.keras")


def same(path: Path, other: Path) -> None:
    """Both hold the same numbers, bit for bit."""
    mine, theirs = open_variables(path).entries, open_variables(other).entries
    assert mine.keys() == {name for name, v in theirs.items() if not v.role}
    for name, variable in mine.items():
        np.testing.assert_array_equal(variable.floats(), theirs[name].floats(), name)


def test_one_kernel_of_tf1(caffe: Caffe, tmp_path: Path, rng: np.random.Generator) -> None:
    """TensorFlow's fused cell has the kernel, the order and the forget bias of TF1's cells."""
    import tensorflow as tf

    arrays = random(rng, SHAPES)
    np.savez(tmp_path / "vars.npz", **arrays)
    fill(tmp_path, TF1, tmp_path / "vars.npz")

    fed = rng.normal(size=(BATCH, STEPS, INPUTS)).astype(np.float32)
    zeros, none = np.zeros((BATCH, UNITS), np.float32), np.zeros(UNITS, np.float32)
    wanted = tf.raw_ops.BlockLSTM(
        seq_len_max=STEPS,
        x=fed.swapaxes(0, 1),
        cs_prev=zeros,
        h_prev=zeros,
        w=arrays["rnn/kernel"],
        **dict.fromkeys(("wci", "wcf", "wco"), none),
        b=arrays["rnn/bias"],
        forget_bias=1.0,
        cell_clip=-1.0,
    ).h.numpy()
    answer = in_caffe(caffe, tmp_path, fed).swapaxes(0, 1)
    np.testing.assert_allclose(answer, wanted, rtol=0, atol=1e-5)

    back = {name: v.floats() for name, v in open_variables(tmp_path / "back.npz").entries.items()}
    np.testing.assert_array_equal(back["rnn/kernel"], arrays["rnn/kernel"])
    np.testing.assert_allclose(back["rnn/bias"], arrays["rnn/bias"], rtol=0, atol=1e-6)


def moved(plan: Plan, entries: str, arrays: Arrays, folder: Path) -> tuple[Arrays, Arrays]:
    """The last layer's blobs, and the variables that come back from them."""
    answer = resolved(plan, entries, {name: array.shape for name, array in arrays.items()})
    answer.check()
    numbers = {name: in_memory(name, array) for name, array in arrays.items()}
    path = folder / "moved.caffemodel"
    caffemodel.write(path, to_layers(answer, numbers), overwrite=True)
    binding = bind(plan, load_weights(path))
    return binding.values(len(plan.layers) - 1), dict(to_variables(answer, binding))


@pytest.mark.parametrize("gates", ["ifco", "ijfo", "ofgi", "ifoc"])
@pytest.mark.parametrize("layout", ["", "OI"])
def test_gates_and_parts(
    plan: Plan, tmp_path: Path, rng: np.random.Generator, gates: str, layout: str
) -> None:
    """Against the definition: Caffe's i, f, o and candidate, each found by its letter."""
    arrays = random(rng, SHAPES)
    order = [gates.replace("g", "c").replace("j", "c").index(letter) for letter in "ifoc"]
    apart = arrays["rnn/kernel"].reshape(INPUTS + UNITS, 4, UNITS)
    wanted = np.concatenate([apart[:, gate] for gate in order], axis=1).T
    bias = np.concatenate([arrays["rnn/bias"].reshape(4, UNITS)[gate] for gate in order])
    if layout:
        arrays["rnn/kernel"] = np.ascontiguousarray(arrays["rnn/kernel"].T)
    more = f", gates: {gates}" + (f", layout: {layout}" if layout else "")
    entries = f"""
  lstm:
    recurrent_weights: {{variable: rnn/kernel, part: recurrent{more}}}
    input_weights: {{variable: rnn/kernel, part: input{more}}}
    bias: {{variable: rnn/bias, gates: {gates}}}
"""
    blobs, back = moved(plan, entries, arrays, tmp_path)
    np.testing.assert_array_equal(blobs["input_weights"], wanted[:, :INPUTS])
    np.testing.assert_array_equal(blobs["recurrent_weights"], wanted[:, INPUTS:])
    np.testing.assert_array_equal(blobs["bias"], bias)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)


def test_a_static_input_and_rnn(tmp_path: Path, rng: np.random.Generator) -> None:
    """Roles and shapes in Caffe's order; an RNN has no gates, and its output has a matrix."""
    net = BEGIN + data(BATCH, 2, name="s") + layer("RNN", ["x", "cont", "s"], "rnn", FIELDS)
    shapes = {
        "input_weights": (INPUTS, UNITS),
        "bias": (UNITS,),
        "static_input_weights": (2, UNITS),
        "recurrent_weights": (UNITS, UNITS),
        "output_weights": (UNITS, UNITS),
        "output_bias": (UNITS,),
    }
    plan = plan_of(net, tmp_path)
    assert [p.role for p in plan.layers[-1].params] == list(shapes)
    arrays = random(rng, shapes)
    entries = "\n  rnn: {" + ", ".join(f"{name}: {name}" for name in shapes) + "}\n"
    blobs, back = moved(plan, entries, arrays, tmp_path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(blobs[name], array.T)
        np.testing.assert_array_equal(back[name], array)


def test_words(plan: Plan) -> None:
    said = {str(pair.blob): pair.words for pair in resolved(plan, TF1, SHAPES).pairs}
    assert said == {
        "lstm.input_weights": "IO → OI, 0 to 3 of 10 inputs, gates icfo → ifoc",
        "lstm.recurrent_weights": "IO → OI, 4 to 9 of 10 inputs, gates icfo → ifoc",
        "lstm.bias": "gates icfo → ifoc, +1 for forget_bias",
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("gates: ijfo", "gates: ijf", "`gates` names i, f, c .* once each, not 'ijf'"),
        ("gates: ijfo", "gates: icgo", "once each, not 'icgo'"),
        ("rnn/bias, ", "rnn/bias, minus: rnn/more, ", "`minus` is for blobs without gates"),
        ("part: input, ", "", r"rnn/kernel stands for lstm.input_weights .* and for lstm.recurr"),
        ("part: input", "part: recurrent", "`part: recurrent` is for recurrent_weights"),
        ("rnn/bias, ", "rnn/bias, part: input, ", "`part: input` is for input_weights of"),
        ("part: input", "part: input, forget_bias: 1", "`forget_bias` is for the bias of an LSTM"),
        ("rnn/kernel, part: input", "rnn/other, part: input", "there is no variable rnn/other"),
        ("rnn/kernel, part: input", "rnn/other, part: input", "only `part: input` of rnn/other"),
        ("rnn/kernel, part: input", "rnn/other, part: input", "only `part: recurrent` of rnn/kern"),
    ],
)
def test_what_does_not_fit_is_said(plan: Plan, old: str, new: str, words: str) -> None:
    assert old in TF1
    found = [str(p) for p in resolved(plan, TF1.replace(old, new, 1), SHAPES).problems]
    assert any(re.search(words, problem) for problem in found), found


def test_both_parts_are_of_one_layer(tmp_path: Path) -> None:
    plan = plan_of(NET + layer("LSTM", ["x", "cont"], "more", FIELDS), tmp_path)
    taken = "{variable: rnn/kernel, part: input}"
    more = f"  more: {{input_weights: {taken}, recurrent_weights: w, bias: b}}\n"
    shapes = {**SHAPES, "w": (UNITS, 4 * UNITS), "b": (4 * UNITS,)}
    (found,) = resolved(plan, TF1 + more, shapes).problems
    assert re.search("rnn/kernel stands for lstm.* and for more.input_weights", str(found))


@pytest.mark.parametrize("entry", ["part: hidden", "part: [input]"])
def test_part_is_a_word(plan: Plan, entry: str) -> None:
    with pytest.raises(MappingError, match=r"m.yaml:\d+:\d+: `part`"):
        resolved(plan, TF1.replace("part: input", entry), SHAPES)


def test_part_is_of_one_variable(plan: Plan) -> None:
    with pytest.raises(MappingError, match="belongs to one `variable`"):
        resolved(plan, TF1.replace("variable: rnn/kernel", "along: I, concat: [a, b]"), SHAPES)


@pytest.mark.parametrize("rows", [INPUTS + UNITS - 1, INPUTS + UNITS + 2])
def test_both_parts_are_the_whole(plan: Plan, rows: int) -> None:
    found = resolved(plan, TF1, {**SHAPES, "rnn/kernel": (rows, 4 * UNITS)}).problems
    assert len(found) == 2
    assert all(f"is [{rows}, 24], wanted is [10, 24]" in str(problem) for problem in found)


def test_no_model_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even a file of arrays, whose gates would be in an order that nobody says."""
    net = tmp_path / "net.prototxt"
    net.write_text(NET)
    for name in ("net.keras", "net.npz"):
        assert caffe2tf(["convert", str(net), "-o", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert "'lstm'" in error and "LSTM" in error and "docs/mappings.md" in error
    assert [path.name for path in tmp_path.iterdir()] == ["net.prototxt"]
    assert caffe2tf(["inspect", str(net)]) == 0
    out = capsys.readouterr()
    assert "it becomes no model" in out.out + out.err
    count = 4 * UNITS * (INPUTS + UNITS + 1)
    assert f"{count}" in out.out.replace(",", "")
