"""Graphs from files: frozen, of TF1 checkpoints, SavedModels of both; and what training left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import answer, assert_close, control_flow, frozen, run, tf1
from tfcaffe.errors import ConversionError, UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import randomised, written

SHAPE = (2, 9, 8, 3)
RNG = np.random.default_rng(8)
KERNEL = RNG.standard_normal((3, 3, 3, 4)).astype(np.float32)
DENSE = (0.1 * RNG.standard_normal((80, 5))).astype(np.float32)
IMAGES = RNG.standard_normal(SHAPE).astype(np.float32)


def convolved(tf: Any, v1: Any, x: Any) -> Any:
    with v1.variable_scope("conv1"):
        kernel = v1.get_variable("weights", initializer=KERNEL)
        return tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME"), name="relu")


def head(tf: Any, v1: Any, x: Any) -> Any:
    """Flattened by what TF1's code computes from the shape."""
    flat = tf.reshape(x, tf.stack([v1.shape(x)[0], int(np.prod(x.shape[1:]))]))
    with v1.variable_scope("fc"):
        return tf.matmul(flat, v1.get_variable("weights", initializer=DENSE))


# -- what training left in a graph


def dropout1(tf: Any, v1: Any, x: Any) -> Any:
    keep = v1.placeholder(tf.float32, name="keep_prob")
    mask = tf.floor(keep + v1.random_uniform(v1.shape(x)))
    return x / keep * mask


def dropout2(tf: Any, v1: Any, x: Any) -> Any:
    mask = tf.cast(v1.random_uniform(v1.shape(x)) >= 0.4, tf.float32)
    return x * (1 / 0.6) * mask


def dropout_of_a_product(tf: Any, v1: Any, x: Any) -> Any:
    """Without the factor 1 / keep: its own factor is the network's."""
    mask = tf.floor(0.6 + v1.random_uniform(v1.shape(x)))
    return tf.abs(x) * 3.0 * mask


def condition(tf: Any, v1: Any, x: Any) -> Any:
    training = v1.placeholder_with_default(False, (), "keras_learning_phase")
    with control_flow(v1, functions=False):
        return v1.cond(
            tf.logical_and(training, True),
            lambda: dropout1(tf, v1, x) * 7.0,
            lambda: tf.identity(x),
        )


def condition2(tf: Any, v1: Any, x: Any) -> Any:
    training = v1.placeholder(tf.bool, (), "is_training")
    with control_flow(v1, functions=True):
        return v1.cond(tf.logical_not(training), lambda: tf.abs(x), lambda: x * 7.0)


def condition3(tf: Any, v1: Any, x: Any) -> Any:
    """The node behind the branch and the one within it have one name: `cond/Identity`."""
    training = v1.placeholder(tf.bool, (), "is_training")
    with control_flow(v1, functions=True):
        return v1.cond(training, lambda: x * 7.0, lambda: tf.identity(x))


def checked(tf: Any, v1: Any, x: Any) -> Any:
    with v1.control_dependencies([v1.assert_positive(tf.reduce_sum(x))]):
        return v1.Print(tf.stop_gradient(x), [x], "x")


LEFT: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "dropout of TF1": (dropout1, []),
    "dropout of TF2": (dropout2, []),
    "dropout of a product": (dropout_of_a_product, ["AbsVal"]),  # the factor is the next Power's
    "a cond that is off": (condition, []),
    "a cond of functions": (condition2, ["AbsVal"]),
    "a cond that passes on": (condition3, []),
    "checks": (checked, []),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_training_left_is_gone(name: str, tmp_path: Path) -> None:
    left, layers = LEFT[name]

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (None, 9, 8, 3), "x")
        left(tf, v1, tf.square(x)) - tf.constant(1.0, name="one")

    graph, _ = tf1(build)
    net = written(frozen(graph, tmp_path), tmp_path)
    assert net.types == ["Input", "Eltwise", *layers, "Power"]
    assert tuple(net.network.layers[0].tops[0].shape) == (1, 3, 9, 8)
    last = net.network.layers[-1].message.power_param
    assert last.scale == (3 if name == "dropout of a product" else 1)


@pytest.mark.parametrize("name", ["added", "multiplied", "uniform"])
def test_noise_is_refused(name: str, tmp_path: Path) -> None:
    """An input that it is added to stays one."""

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (2, 9, 8, 3), "x")
        y = v1.placeholder(tf.float32, (2, 9, 8, 3), "y")
        made = v1.random_uniform if name == "uniform" else v1.random_normal
        noise = made((2, 9, 8, 3), 0.0, 0.5, name="noise")
        noise = noise * tf.exp(x) if name == "multiplied" else noise
        tf.add(x + noise, y, name="sum")

    graph, _ = tf1(build)
    with pytest.raises(UnsupportedError, match=r"node 'noise[^']*' \(Random"):
        written(frozen(graph, tmp_path), tmp_path)


@pytest.mark.parametrize("functions", [False, True])
def test_a_cond_that_sizes_decide(functions: bool, tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (1, 4, 5, 3), "x")
        with control_flow(v1, functions):
            small = tf.shape(x)[1] < 5
            tf.identity(tf.cond(small, lambda: tf.tanh(x), lambda: tf.abs(x)), name="y")

    graph, _ = tf1(build)
    assert written(frozen(graph, tmp_path), tmp_path, outputs=["y"]).types == ["Input", "TanH"]


def test_a_cond_that_depends_on_the_data(tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (1, 4, 4, 3), "x")
        v1.cond(tf.reduce_sum(x) > 0, lambda: tf.abs(x), lambda: x * 2.0)

    graph, _ = tf1(build)
    with pytest.raises(ConversionError, match="a branch that depends on the net's inputs"):
        written(frozen(graph, tmp_path), tmp_path)


@pytest.mark.parametrize(("functions", "op"), [(False, "loop"), (True, "StatelessWhile")])
def test_a_loop_that_depends_on_the_data(functions: bool, op: str, tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (1, 6), "x")
        with control_flow(v1, functions):
            y = tf.while_loop(lambda y: tf.reduce_sum(y) > 0.1, lambda y: (0.5 * y,), (x,))[0]
        tf.nn.relu(y, name="y")

    graph, _ = tf1(build)
    with pytest.raises(ConversionError, match=rf"^node '\S+' \({op}\): a loop, .* the Keras model"):
        written(frozen(graph, tmp_path), tmp_path)


def test_sizes_that_depend_on_the_data(tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (1, 6), "x")
        tf.boolean_mask(x, x > 0, name="y")

    graph, _ = tf1(build)
    with pytest.raises(ConversionError, match="which depends on the data"):
        written(frozen(graph, tmp_path), tmp_path)


# -- ends and sizes


def net_of(tf: Any, v1: Any) -> None:
    x = v1.placeholder(tf.float32, (None, None, None, 3), "x")
    y = convolved(tf, v1, x)
    tf.nn.softmax(tf.reduce_mean(y, (1, 2)), name="prob")
    tf.abs(y, name="other")


def constants(build: Callable[..., None]) -> Any:
    """A frozen graph with the variables' first values."""
    graph, v1 = tf1(build)
    with v1.Session(graph=graph) as session, graph.as_default():
        session.run(v1.global_variables_initializer())
        names = [op.name for op in graph.get_operations() if op.name in ("prob", "other", "y")]
        return v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), names)


def test_frozen(tmp_path: Path, caffe: Caffe) -> None:
    """Two outputs; every blob against TensorFlow's own graph."""
    from tfcaffe.verify import verify

    path = tmp_path / "net.pb"
    path.write_bytes(constants(net_of).SerializeToString())
    with pytest.raises(ConversionError, match=r"say its sizes with --input-shape x=A,B,C,3"):
        written(path, tmp_path)
    with pytest.raises(ConversionError, match=r"\[None, None, None, 3\], which \[1, 9, 8, 1\]"):
        written(path, tmp_path, input_shape={"x": (1, 9, 8, 1)})
    with pytest.raises(ConversionError, match="--input-shape y: there is no such input"):
        written(path, tmp_path, input_shape={"y": SHAPE})
    net = written(path, tmp_path, input_shape={"x": SHAPE})
    assert [layer.name for layer in net.network.layers[:3]] == ["x", "conv1", "conv1_relu"]
    report = verify(net.prototxt, net.caffemodel, path, oracle=caffe, record=net.network.twin)
    assert report.verdict == "equal" and len(report.blobs) == len(net.types)
    assert len(report.outputs) == 2


def test_cut_frozen(tmp_path: Path, caffe: Caffe) -> None:
    path = tmp_path / "net.pb"
    definition = constants(net_of)
    path.write_bytes(definition.SerializeToString())
    net = written(
        path,
        tmp_path,
        inputs=["conv1/relu"],
        outputs=["other:0"],
        input_shape={"conv1/relu": (1, 5, 4, 4)},
    )
    assert net.types == ["Input", "AbsVal"]
    with pytest.raises(ConversionError, match=r"--outputs othr: .* near ones are other"):
        written(path, tmp_path, outputs=["othr"], input_shape={"x": SHAPE})
    definition.node.add(name="nope1", op="NoOp")
    path.write_bytes(definition.SerializeToString())
    for name in ("nope", "conv1/weight"):  # near a NoOp, and a Const
        with pytest.raises(
            ConversionError, match=rf"--outputs {name}: .* name(?!.*(nope1|weights))"
        ):
            written(path, tmp_path, outputs=[name], input_shape={"x": SHAPE})
    with pytest.raises(ConversionError, match="do not depend on the inputs"):
        written(path, tmp_path, inputs=["prob"], outputs=["other"], input_shape={"prob": (1, 4)})


def test_no_graph(tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    for content in (b"", b"\xff\xff\xff\xff"):
        path.write_bytes(content)
        with pytest.raises(ConversionError, match=r"net\.pb: (holds no graph|is no frozen graph)"):
            written(path, tmp_path)


# -- variables


def trained(tf: Any, v1: Any) -> None:
    """A graph as training code leaves it: gradients, an optimizer, a saver."""
    x = v1.placeholder(tf.float32, (2, 9, 8, 3), "x")
    y = head(tf, v1, convolved(tf, v1, x))
    tf.nn.softmax(y, name="y")
    loss = tf.reduce_mean(tf.square(y))
    v1.train.MomentumOptimizer(0.1, 0.9).minimize(loss)


def test_checkpoint_with_its_graph(tmp_path: Path, caffe: Caffe) -> None:
    graph, v1 = tf1(trained)
    with v1.Session(graph=graph) as session, graph.as_default():
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), global_step=3)
        expected = session.run("y:0", {"x:0": IMAGES})
    prefix = tmp_path / "model.ckpt-3"
    with pytest.raises(ConversionError, match=r"one for training, .* for instance, y"):
        written(prefix, tmp_path)
    for source in (prefix, Path(f"{prefix}.meta"), Path(f"{prefix}.index")):
        net = written(source, tmp_path, outputs=["y"])
    assert [layer.name for layer in net.network.layers] == ["x", "conv1", "conv1_relu", "fc", "y"]
    assert_close(run(net, caffe, IMAGES), expected)


def test_saved_model_of_tf1(tmp_path: Path, caffe: Caffe) -> None:
    graph, v1 = tf1(trained)
    folder = tmp_path / "saved"
    with v1.Session(graph=graph) as session, graph.as_default():
        session.run(v1.global_variables_initializer())
        x, y = (graph.get_tensor_by_name(f"{name}:0") for name in "xy")
        v1.saved_model.simple_save(session, str(folder), {"images": x}, {"probs": y})
        expected = session.run(y, {x: IMAGES})
    net = written(folder, tmp_path)
    assert net.network.layers[0].name == "images"
    assert_close(run(net, caffe, IMAGES), expected)
    with pytest.raises(ConversionError, match=r"--signature other: .* there are: serving_default"):
        written(folder, tmp_path, signature="other")


def exported(folder: Path) -> Any:
    """A Keras model and the SavedModel that Keras 3 exports of it."""
    import keras

    x = keras.Input((9, 8, 3), name="image")
    y = keras.layers.Conv2D(4, 3, 2, "same", activation="relu", name="conv1")(x)
    y = keras.layers.BatchNormalization(name="bn")(y)
    y = keras.layers.Dropout(0.5)(y)
    y = keras.layers.Dense(5, activation="softmax", name="fc")(keras.layers.Flatten()(y))
    model = randomised(keras.Model(x, y))
    model.export(folder, verbose=False)
    return model


def test_saved_model_that_keras_exports(tmp_path: Path, caffe: Caffe) -> None:
    model = exported(tmp_path / "saved")
    net = written(tmp_path / "saved", tmp_path, input_shape={"image": SHAPE})
    names = [layer.name for layer in net.network.layers]
    assert names == ["image", "conv1", "conv1_relu", "bn", "bn_scale", "fc", "fc_softmax"]
    assert_close(run(net, caffe, IMAGES), np.asarray(model(IMAGES)))


def test_saved_model_of_tf2(tmp_path: Path, caffe: Caffe) -> None:
    """Functions that call functions, two signatures, a constant that is captured."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(KERNEL, name="kernel")
            self.shift = tf.constant([1.0, 2.0, 3.0, 4.0])

        @tf.function
        def inner(self, x: Any) -> Any:
            return tf.nn.conv2d(x, self.kernel, 1, "VALID") + self.shift

        @tf.function(input_signature=[tf.TensorSpec((None, 9, 8, 3), name="image")])
        def serve(self, image: Any) -> Any:
            return {"features": tf.nn.relu(self.inner(image))}

        @tf.function(input_signature=[tf.TensorSpec((1, 3), name="row")])
        def other(self, row: Any) -> Any:
            return {"square": tf.square(row)}

    module = Module()
    folder = tmp_path / "saved"
    tf.saved_model.save(module, str(folder), {"serve": module.serve, "other": module.other})
    with pytest.raises(ConversionError, match="name a signature with --signature; there are: oth"):
        written(folder, tmp_path)
    net = written(folder, tmp_path, signature="serve", input_shape={"image": SHAPE})
    assert net.types == ["Input", "Convolution", "ReLU"]
    assert_close(run(net, caffe, IMAGES), module.serve(IMAGES)["features"].numpy())


def test_numbers_of_16_and_8_bits(tmp_path: Path, caffe: Caffe) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.uint8, (2, 9, 8, 3), "x")
        half = tf.cast(KERNEL.astype(np.float16), tf.float16)
        codes = tf.quantization.quantize(
            np.linspace(-1, 1, 4, dtype=np.float32), -1.0, 1.0, tf.quint8, "MIN_FIRST"
        )
        y = tf.nn.conv2d(tf.cast(x, tf.float16), half, 1, "SAME")
        tf.nn.bias_add(
            tf.cast(y, tf.float32), tf.quantization.dequantize(*codes, "MIN_FIRST"), name="y"
        )

    graph, v1 = tf1(build)
    net = written(frozen(graph, tmp_path), tmp_path)
    assert net.types == ["Input", "Convolution"]
    notes = " ".join(net.network.notes)
    assert "16 bits" in notes and "1 arrays of 8-bit codes" in notes
    images = RNG.integers(0, 256, SHAPE).astype(np.uint8)
    found, expected = run(net, caffe, images.astype(np.float32)), answer(graph, v1, {"x:0": images})
    assert np.abs(found - expected.transpose(0, 3, 1, 2)).max() <= 2e-3 * np.abs(expected).max()
