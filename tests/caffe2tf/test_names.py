"""Caffe's free-text names through every output and back."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import caffe2tf
from conversions import Files, write_net
from prototxts import layer, param
from tfcaffe.names import escape, unescape
from tfcaffe.twin import MEMBER, Twin

NAMES = [
    "a b",
    'it\'s "q"',
    "a/b",
    "a\\b",
    "{x}",
    "naïve",
    "日本",
    "class",
    "None",
    "self",
    "x" * 300,
    "",
    "a__b",
    "a/_b",
    "a_/b",
    "A",
    "a",
    "_x",
    "-x",
    ">x",
    "x>x",
    "a:b",
    "a.b",
    "../up",
    "%41",
    "a,b=c",
    "tab\tand\nline",
    "data",  # also the name of the input's blob
]
CONV = param("convolution_param", num_output=3, kernel_size=1)
INPUT = "input_param { shape { dim: 1 dim: 3 dim: 4 dim: 5 } }"


def chain() -> str:
    """A 1×1 convolution of each name; blobs are called alike, but for the last."""
    text, bottom = layer("Input", [], "data", INPUT, name="input layer"), "data"
    for name in NAMES:
        top = "the/end" if name == "data" else name
        text += layer("Convolution", bottom, top, CONV, name=name)
        bottom = top
    return text.replace("\t", "\\t").replace("and\n", "and\\n")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The net, and the outputs of one run beside it."""
    folder = tmp_path_factory.mktemp("names")
    files = write_net(folder, chain())
    outputs = [folder / name for name in ("m.keras", "m.npz", "m.h5", "m.ckpt", "saved", "m.pb")]
    caffe2tf.convert(files.net, files.weights, outputs)
    return files


def test_keras(files: Files) -> None:
    import keras

    model = keras.saving.load_model(files.net.with_name("m.keras"))
    names = [unescape(entry.name) for entry in model.layers if entry.weights]
    assert names == NAMES
    for name in NAMES:
        kernel = model.get_layer(escape(name)).get_weights()[0]
        np.testing.assert_array_equal(kernel[0, 0].T, files.blobs[name][0][:, :, 0, 0])


@pytest.mark.parametrize("where", ["m.keras", "saved"])
def test_record(where: str, files: Files) -> None:
    path = files.net.with_name(where)
    if path.is_dir():
        text = (path / "assets.extra" / MEMBER).read_text(encoding="utf-8")
    else:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(MEMBER).decode()
    twin = Twin.from_json(text, str(path))
    assert [blob.layer for blob in twin.blobs] == ["input layer", *NAMES]
    assert [blob.blob for blob in twin.blobs] == ["data", *NAMES[:-1], "the/end"]
    assert [blob.blob for blob in twin.outputs] == ["the/end"]


def test_npz(files: Files) -> None:
    with np.load(files.net.with_name("m.npz")) as arrays:
        assert {key.rpartition("/")[0] for key in arrays} == set(NAMES)
        for name in NAMES:
            np.testing.assert_array_equal(arrays[f"{name}/bias"], files.blobs[name][1])


def test_hdf5(files: Files) -> None:
    with h5py.File(files.net.with_name("m.h5")) as file:
        assert {unescape(key) for key in file} == set(NAMES)
        for name in NAMES:
            np.testing.assert_array_equal(file[escape(name)]["bias"], files.blobs[name][1])


def test_checkpoint(files: Files) -> None:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(files.net.with_name("m.ckpt")))
    keys = reader.get_variable_to_shape_map()
    assert {unescape(key.rpartition("/")[0]) for key in keys} == set(NAMES)
    for name in NAMES:
        array = reader.get_tensor(f"{escape(name)}/biases")
        np.testing.assert_array_equal(array, files.blobs[name][1])
    with tf.Graph().as_default():  # such names are taken for variables, too
        for key in keys:
            tf.compat.v1.get_variable(key, keys[key])


def feeds(signature: Any) -> list[str]:
    """A signature's input keys."""
    return sorted(signature.structured_input_signature[1])


def test_saved_model_and_frozen(files: Files) -> None:
    """Keys and nodes are the blobs' names, and both compute the same."""
    import tensorflow as tf

    folder = files.net.parent
    serve = tf.saved_model.load(folder / "saved").signatures["serving_default"]
    assert feeds(serve) == ["data"]
    assert list(serve.structured_outputs) == [escape("the/end")]
    graph = tf.compat.v1.GraphDef.FromString((folder / "m.pb").read_bytes())
    nodes = {node.name: node.op for node in graph.node}
    assert nodes["data"] == "Placeholder"
    assert escape("the/end") in nodes
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    served = serve(data=tf.constant(x))["the__end"].numpy()
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.import_graph_def(graph, name="")
        frozen = session.run(f"{escape('the/end')}:0", {"data:0": x})
    assert np.ptp(served) > 0
    np.testing.assert_allclose(frozen, served, rtol=1e-5, atol=1e-5 * np.abs(served).max())


CONCAT = layer("Concat", ["a.b", "c/d"], "x y")
TWO = layer("Input", [], ["a.b", "c/d"], "input_param { shape { dim: 2 dim: 3 } }", name="in")


def test_several_inputs_by_name(tmp_path: Path) -> None:
    import tensorflow as tf

    files = write_net(tmp_path, TWO + CONCAT)
    caffe2tf.convert(files.net, None, tmp_path / "saved")
    serve = tf.saved_model.load(tmp_path / "saved").signatures["serving_default"]
    answer = serve(**{"a>2eb": tf.ones((1, 3)), "c__d": tf.zeros((1, 3))})
    assert list(answer) == ["x>20y"]
    np.testing.assert_array_equal(answer["x>20y"], [[1, 1, 1, 0, 0, 0]])


@pytest.mark.parametrize(("first", "second"), [("a.b", "a_2eb"), ("self", "x")])
def test_inputs_that_tensorflow_cannot_tell_apart(first: str, second: str, tmp_path: Path) -> None:
    text = TWO + CONCAT
    files = write_net(tmp_path, text.replace("a.b", first).replace("c/d", second))
    with pytest.raises(caffe2tf.ConversionError, match=f"input '({first}|{second})'"):
        caffe2tf.convert(files.net, None, tmp_path / "saved")
    caffe2tf.convert(files.net, None, tmp_path / "m.pb")


def test_layers_of_one_name(tmp_path: Path) -> None:
    """Caffe allows them where they have no weights."""
    text = layer("Input", [], "x", INPUT, name="n")
    text += layer("ReLU", "x", "y", name="n") + layer("TanH", "y", "z", name="n")
    files = write_net(tmp_path, text)
    model = caffe2tf.load(files.net)
    assert [entry.name for entry in model.layers] == ["x", "n>d2", "n>d3"]
