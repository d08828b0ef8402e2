"""`inspect` of TensorFlow's files: the variables of every kind that is read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tf2caffe
from tf2caffe.__main__ import main
from tfcaffe.errors import ConversionError

Run = Callable[..., tuple[int, str, str]]
OWN = {"conv/kernel": [3, 2, 2, 4], "conv/bias": [4], "fc/kernel": [4, 5], "fc/bias": [5]}
NUMBERS = 48 + 4 + 20 + 5


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `tf2caffe inspect`; gives the exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["inspect", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One trained Keras model, and one TF1 graph, in many files."""
    import keras
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("inspect")
    image = keras.Input((6, 5, 2))
    x = keras.layers.Conv2D(4, (3, 2), name="conv")(image)
    x = keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(5, name="fc")(x))
    model.compile(keras.optimizers.SGD(momentum=0.9), "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(2, 6, 5, 2)), rng.normal(size=(2, 5)), verbose=0)
    for name in ("model.keras", "model.weights.h5", "old.h5"):
        (model.save_weights if "weights" in name else model.save)(folder / name)
    model.export(folder / "saved", verbose=False)
    tf.train.Checkpoint(model=model).write(str(folder / "objects.ckpt"))
    arrays = {weight.path: weight.numpy() for weight in model.weights}
    np.savez(folder / "arrays.npz", **arrays)
    older = {
        name: {"weights": arrays[f"{name}/kernel"], "biases": arrays[f"{name}/bias"]}
        for name in ("conv", "fc")
    }
    np.save(folder / "older.npy", np.array(older, dtype=object))
    _graph(folder, arrays)
    return folder


def _graph(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """A TF1 checkpoint with slots, averages and a step; its graph frozen."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        made = [v1.get_variable(name, initializer=array) for name, array in arrays.items()]
        step = v1.train.get_or_create_global_step()
        loss = sum(tf.reduce_sum(v**2) for v in made)
        v1.train.MomentumOptimizer(0.1, 0.9).minimize(loss, step)
        tf.train.ExponentialMovingAverage(0.9).apply(made)
        tf.identity(loss + tf.zeros([1]), "loss")
        session.run(v1.global_variables_initializer())
        (folder / "run").mkdir()
        v1.train.Saver().save(session, str(folder / "run" / "tf1.ckpt"), global_step=3)
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["loss"]
        )
    (folder / "frozen.pb").write_bytes(frozen.SerializeToString())


def shapes_of(facts: dict, role: str = "") -> dict[str, list[int]]:
    return {v["name"]: v["shape"] for v in facts["variables"] if v["role"] == role}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.keras", "a Keras model"),
        ("old.h5", "a Keras HDF5 file"),
        ("saved", "a SavedModel"),
        ("saved/saved_model.pb", "a SavedModel"),
        ("arrays.npz", ""),
        ("run/tf1.ckpt-3", ""),
        ("run/tf1.ckpt-3.index", ""),
        ("run/tf1.ckpt-3.data-00000-of-00001", ""),
        ("run", ""),
        ("run/checkpoint", ""),
    ],
)
def test_variables(name: str, kind: str, run: Run, files: Path) -> None:
    code, out, err = run(files / name, "--json")
    facts = json.loads(out)
    assert code == 0
    assert shapes_of(facts) == OWN
    assert {v["dtype"] for v in facts["variables"] if not v["role"]} == {"float32"}
    assert facts["parameters"] == NUMBERS
    assert kind in facts["kind"] and f": {facts['kind']}\n" in err


def test_names_by_objects(run: Run, files: Path) -> None:
    code, out, _ = run(files / "objects.ckpt", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["parameters"] == NUMBERS
    assert sorted(shapes_of(facts).values()) == sorted(OWN.values())
    assert facts["training"] > NUMBERS  # its momenta, and counters


def test_an_npy_of_older_converters(run: Run, files: Path) -> None:
    facts = json.loads(run(files / "older.npy", "--json")[1])
    assert facts["parameters"] == NUMBERS
    assert shapes_of(facts)["conv/weights"] == OWN["conv/kernel"]


def test_what_belongs_to_training(run: Run, files: Path) -> None:
    code, out, _ = run(files / "run" / "tf1.ckpt-3")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert rows[0] == ["variable", "role", "type", "shape", "parameters"]
    assert ["conv/kernel", "float32", "3×2×2×4", "48"] in rows
    assert ["fc/bias/Momentum", "slot", "of", "fc/bias", "float32", "5", "5"] in rows
    average = "conv/kernel/ExponentialMovingAverage average of conv/kernel float32 3×2×2×4 48"
    assert average.split() in rows
    assert ["global_step", "counter", "int64", "scalar", "1"] in rows
    assert rows[-2:] == [
        ["total", str(NUMBERS)],
        ["of", "training", "only", str(2 * NUMBERS + 1)],
    ]


def test_names_by_a_model_of_the_same_structure(run: Run, files: Path) -> None:
    code, out, err = run(files / "model.weights.h5", "--json")
    assert code == 0 and "--like MODEL.keras has names" in err
    assert shapes_of(json.loads(out)).keys() != OWN.keys()
    code, out, err = run(
        files / "model.weights.h5", "--like", files / "model.keras", "--json", "-q"
    )
    assert (code, err) == (0, "")
    assert shapes_of(json.loads(out)) == OWN


def test_constants_of_a_frozen_graph(run: Run, files: Path) -> None:
    code, out, err = run(files / "frozen.pb", "--json")
    facts = json.loads(out)
    found = {c["name"]: c["shape"] for c in facts["constants"]}
    assert code == 0 and facts["kind"] == "a frozen graph"
    assert {name: found.get(name) for name in OWN} == OWN
    assert all(c["dtype"] == "float32" for c in facts["constants"])
    assert facts["parameters"] == sum(c["parameters"] for c in facts["constants"]) >= NUMBERS
    assert "its weights are constants, not variables" in err and "hold no floats" in err
    lines = [line.split() for line in run(files / "frozen.pb")[1].splitlines()]
    assert ["conv/kernel", "float32", "3×2×2×4", "48"] in lines
    assert lines[-1] == ["total", str(facts["parameters"])]


def test_a_graph_without_weights(run: Run, files: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.compat.v1.placeholder(tf.float32, [2, 3], "x")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    code, out, err = run(tmp_path / "graph.pb")
    assert (code, out) == (2, "")
    assert "graph.pb: is a graph without weights; inspect the checkpoint" in err


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_damaged_graph(cut: int, files: Path, tmp_path: Path) -> None:
    """Whatever is left of it, it is read or refused."""
    data = (files / "frozen.pb").read_bytes()
    path = tmp_path / "frozen.pb"
    for broken in (data[:cut], data[:cut] + b"\xff" + data[cut + 1 :]):
        path.write_bytes(broken)
        try:
            tf2caffe.inspect(path)
        except ConversionError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("net.keras", b"\0", "holds no variables that can be read"),
        ("net.weights.h5", b"\0", "holds no variables that can be read"),
        ("net.pb", b"\0", "is no TensorFlow graph"),
        ("net.pb", b"", "the file is empty"),
        ("net.tflite", b"\0", "is a TensorFlow Lite model, which is not read"),
        ("net.ckpt.index", b"\0", "net.ckpt"),
        ("net.ckpt.data-00000-of-00001", b"\0", "net.ckpt.index is missing"),
        ("zip", b"PK\x03\x04", "is a damaged or incomplete zip archive"),
        ("net.npy", b"\x93NUMPY", "net.npy"),
    ],
)
def test_damaged_files(name: str, content: bytes, words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    code, out, err = run(tmp_path / name)
    assert (code, out) == (2, "")
    assert err.startswith("tf2caffe: error: ") and words in err


def test_careless_use(run: Run, files: Path, tmp_path: Path) -> None:
    code, _, err = run(files / "model.keras", files / "arrays.npz")
    assert code == 2 and "model.keras: is TensorFlow's; inspect it alone" in err
    shutil.copy(files / "frozen.pb", tmp_path / "frozen.pb")
    code, _, err = run(tmp_path / "frozen.pb", "--like", files / "model.keras")
    assert code == 2 and "--like is for a .weights.h5" in err
    (tmp_path / "net.prototxt").write_text('name: "x"')
    code, _, err = run(tmp_path / "net.prototxt", "--like", files / "model.keras")
    assert code == 2 and "--like is for a .weights.h5" in err


@pytest.mark.parametrize(
    "name",
    [
        "model.keras",
        "model.weights.h5",
        "old.h5",
        "saved",
        "objects.ckpt",
        "run/tf1.ckpt-3",
        "arrays.npz",
        "older.npy",
        "frozen.pb",
    ],
)
def test_tensorflow_is_not_imported(name: str, files: Path) -> None:
    program = (
        "import sys; from tf2caffe.__main__ import main; code = main(sys.argv[1:]); "
        "heavy = {'tensorflow', 'keras', 'yaml'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    subprocess.run(
        [sys.executable, "-c", program, "inspect", files / name], check=True, capture_output=True
    )
