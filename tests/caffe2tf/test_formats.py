"""Output formats: what others read of them, with nothing of ours, and in any mode of theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import caffe2tf
from caffe2tf import formats
from conversions import Array, Files, nchw, nhwc, relative, snapshot, write_net
from prototxts import data, layer, param
from tfcaffe.oracle.pycaffe import Caffe

CONV = {"num_output": 6, "kernel_size": 3, "pad": 1}
NET = (
    data(2, 4, 6, 5)
    + layer("Convolution", "data", "conv/1", param("convolution_param", group=2, **CONV))
    + layer("BatchNorm", "conv/1", "norm")
    + layer("Scale", "norm", "scaled", "scale_param { bias_term: true }")
    + layer("ReLU", "scaled", "scaled", name="relu")
    + layer("Convolution", "scaled", "deep", param("convolution_param", group=6, **CONV))
    + layer("PReLU", "deep", "act")
    + layer("Pooling", "act", "pool", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }")
    + layer("InnerProduct", "pool", "fc", param("inner_product_param", num_output=7))
    + layer("Softmax", "fc", "prob/1")
)
OUTPUTS = ("m.keras", "saved", "m.pb", "m.ckpt", "m.npz", "m.h5", "m.weights.h5", "m.tflite")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The net, every output of one run, and an input."""
    folder = tmp_path_factory.mktemp("formats")
    files = write_net(folder, NET)
    np.save(folder / "x.npy", np.random.default_rng(1).normal(size=(2, 4, 6, 5)).astype("f"))
    caffe2tf.convert(files.net, files.weights, [folder / name for name in OUTPUTS])
    return files


@pytest.fixture(scope="module")
def expected(files: Files, caffe: Caffe) -> Array:
    """Real Caffe's answer to the input."""
    x = np.load(files.net.with_name("x.npy"))
    run = caffe.run(files.net, files.weights, {"data": x})
    return np.asarray(run.layers[-1].arrays[0], np.float32)


def test_every_format_is_tried() -> None:
    written = {formats.find(Path(name), None).name for name in OUTPUTS}
    assert written == set(formats.registry())


def test_all_in_one_run(files: Files) -> None:
    """Nothing else was left: no temporary folder, and a checkpoint's two files."""
    expected = {"net.prototxt", "net.caffemodel", "x.npy", *OUTPUTS} - {"m.ckpt"}
    expected |= {"m.ckpt.index", "m.ckpt.data-00000-of-00001"}
    assert {path.name for path in files.net.parent.iterdir()} == expected


def fresh(script: str, folder: Path, **environment: str) -> Array:
    """What a new process that cannot import this package makes of the files in a folder."""
    guard = (
        "import sys, numpy as np\n"
        "class Guard:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('caffe2tf', 'tfcaffe'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Guard())\n"
        "x = np.moveaxis(np.load('x.npy'), 1, -1)\n"
    )
    subprocess.run(
        [sys.executable, "-c", guard + script + "\nnp.save('y.npy', y)"],
        check=True,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
    )
    answer: Array = np.load(folder / "y.npy")
    (folder / "y.npy").unlink()
    return answer


SCRIPTS = {
    "keras": "import keras; y = keras.saving.load_model('m.keras').predict(x, verbose=0)",
    "savedmodel": (
        "import tensorflow as tf\n"
        "y = tf.saved_model.load('saved').signatures['serving_default']"
        "(data=tf.constant(x))['prob__1'].numpy()"
    ),
    "frozen": (
        "import tensorflow as tf\n"
        "graph = tf.compat.v1.GraphDef.FromString(open('m.pb', 'rb').read())\n"
        "tf.compat.v1.disable_eager_execution()\n"
        "y, = tf.import_graph_def(graph, {}, ['prob__1:0'], name='')\n"
        "y = tf.compat.v1.Session().run(y, {'data:0': x})"
    ),
    "tflite": (
        "import tensorflow as tf\n"
        "run = tf.lite.Interpreter('m.tflite').get_signature_runner('serving_default')\n"
        "y = run(data=x)['prob__1']"
    ),
}


@pytest.mark.parametrize("onednn", ["0", "1"])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_runs_elsewhere(script: str, onednn: str, files: Files, expected: Array) -> None:
    answer = fresh(script, files.net.parent, TF_ENABLE_ONEDNN_OPTS=onednn)
    assert relative(answer, expected) < 1e-5


def test_saved_model_has_plain_ops(files: Files) -> None:
    """No calls but the signature's own, nothing for XLA, and keys that are blob names."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((files.net.with_name("saved") / "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    signature = graph.signature_def["serving_default"]
    assert (list(signature.inputs), list(signature.outputs)) == (["data"], ["prob__1"])
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    serving = [f for name, f in functions.items() if name.startswith("__inference_serve_")]
    assert serving
    for function in functions.values():
        assert "_XlaMustCompile" not in function.attr or not function.attr["_XlaMustCompile"].b
    for function in serving:
        ops = {node.op for node in function.node_def}
        assert "Conv2D" in ops and "DepthwiseConv2dNative" in ops
        assert not [op for op in ops if op in functions or "Call" in op or "Xla" in op]


def test_frozen_has_no_calls(files: Files) -> None:
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(files.net.with_name("m.pb").read_bytes())
    assert not graph.library.function
    ops = {node.op for node in graph.node}
    assert not [op for op in ops if "Call" in op or "Variable" in op or "Xla" in op]
    assert [node.name for node in graph.node if node.op == "Placeholder"] == ["data"]
    assert "prob__1" in {node.name for node in graph.node}


def roles(files: Files) -> dict[str, Array]:
    """What every output of weights holds, by layer and role, out of the blobs."""
    norm, scale = files.blobs["norm"], files.blobs["scaled"]
    pooled = (6, 3, 2)
    return {
        "conv/1 weights": files.blobs["conv/1"][0].transpose(2, 3, 1, 0),
        "conv/1 bias": files.blobs["conv/1"][1],
        "norm mean": norm[0] / norm[2],
        "norm variance": norm[1] / norm[2],
        "norm gamma": scale[0],
        "norm beta": scale[1],
        "deep weights": files.blobs["deep"][0].transpose(2, 3, 0, 1),
        "deep bias": files.blobs["deep"][1],
        "act slope": files.blobs["act"][0],
        "fc weights": files.blobs["fc"][0].reshape(7, *pooled).transpose(2, 3, 1, 0).reshape(-1, 7),
        "fc bias": files.blobs["fc"][1],
    }


CUSTOMARY = {"weights": "weights", "bias": "biases", "mean": "moving_mean"}
CUSTOMARY |= {"variance": "moving_variance"}


def test_npz(files: Files) -> None:
    with np.load(files.net.with_name("m.npz")) as found:
        expected = {key.replace(" ", "/"): array for key, array in roles(files).items()}
        assert set(found) == set(expected)
        for key, array in expected.items():
            np.testing.assert_allclose(found[key], array, rtol=1e-6, err_msg=key)


def test_hdf5(files: Files) -> None:
    with h5py.File(files.net.with_name("m.h5")) as found:
        assert set(found) == {"conv__1", "norm", "deep", "act", "fc"}
        for key, array in roles(files).items():
            name, role = key.replace("/", "__").split()
            np.testing.assert_allclose(found[name][role], array, rtol=1e-6, err_msg=key)
        assert sum(len(group) for group in found.values()) == len(roles(files))


def test_checkpoint(files: Files) -> None:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(files.net.with_name("m.ckpt")))
    expected = {}
    for key, array in roles(files).items():
        name, role = key.replace("/", "__").split()
        expected[f"{name}/{CUSTOMARY.get(role, role)}"] = array
    assert set(reader.get_variable_to_shape_map()) == set(expected)
    for key, array in expected.items():
        np.testing.assert_allclose(reader.get_tensor(key), array, rtol=1e-6, err_msg=key)


def test_checkpoint_restores_variables(files: Files) -> None:
    """As code for TensorFlow 1 does it: by name, with a Saver."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        bias = tf.compat.v1.get_variable("fc/biases", (7,), use_resource=True)
        tf.compat.v1.train.Saver([bias]).restore(session, str(files.net.with_name("m.ckpt")))
        np.testing.assert_array_equal(session.run(bias), files.blobs["fc"][1])


def test_keras_weights(files: Files) -> None:
    """They are those of the model that the .keras is."""
    import keras

    model = keras.saving.load_model(files.net.with_name("m.keras"))
    expected = [array.copy() for array in model.get_weights()]
    for variable in model.variables:
        variable.assign(variable * 0 - 1)
    model.load_weights(files.net.with_name("m.weights.h5"))
    for found, array in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, array)


def test_keras_archive(files: Files) -> None:
    """Keras's own layers only, and a record that says what wrote it."""
    with zipfile.ZipFile(files.net.with_name("m.keras")) as archive:
        assert archive.testzip() is None
        config = json.loads(archive.read("config.json"))
        record = json.loads(archive.read("tfcaffe.json"))
    assert config["registered_name"] == "Functional"
    modules = {entry["module"] for entry in config["config"]["layers"]}
    assert all(module.startswith("keras") for module in modules)
    assert record["net"] == "net.prototxt" and record["keras"]
    kinds = [entry["class_name"] for entry in config["config"]["layers"]]
    assert kinds.count("Conv2D") == 1  # the grouped one is one layer
    assert kinds.count("DepthwiseConv2D") == 1


@pytest.mark.parametrize("name", OUTPUTS)
def test_overwritten_whole_or_not_at_all(name: str, files: Files, tmp_path: Path) -> None:
    """A failure while the last output is written leaves all as it was; success replaces it."""
    target = tmp_path / name
    caffe2tf.convert(files.net, files.weights, target)
    old = snapshot(tmp_path)
    with pytest.raises(caffe2tf.ConversionError, match="WEIGHTS"):
        caffe2tf.convert(files.net, None, [target, tmp_path / "x.npz"], overwrite=True)
    assert snapshot(tmp_path) == old
    caffe2tf.convert(files.net, files.weights, target, outputs=["pool"], overwrite=True)
    new = snapshot(tmp_path)
    assert set(new) == set(old)
    assert new != old


def test_to_and_a_name_of_ones_own(files: Files, tmp_path: Path) -> None:
    with pytest.raises(caffe2tf.ConversionError, match=r"'\.v2'"):
        caffe2tf.convert(files.net, files.weights, tmp_path / "net.v2")
    caffe2tf.convert(files.net, files.weights, tmp_path / "net.v2", to="savedmodel")
    assert (tmp_path / "net.v2" / "saved_model.pb").is_file()


def test_layout_helpers() -> None:
    """What these tests move axes with is its own inverse."""
    blob = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    assert nhwc(blob).shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(nchw(nhwc(blob)), blob)
