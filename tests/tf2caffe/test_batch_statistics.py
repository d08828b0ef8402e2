"""What joins the images of a batch: exact for one that is said, refused for one that is free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import frozen, same, tf1
from tf2caffe.options import with_defaults
from tf2caffe.sources import open_source
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import randomised, written

RNG = np.random.default_rng(6)
GAMMA, BETA = (RNG.standard_normal(4).astype(np.float32) for _ in range(2))
COLUMN = RNG.standard_normal((1, 3, 1)).astype(np.float32)
MATRIX = RNG.standard_normal((8, 3)).astype(np.float32)
SHORT = ["Input", "MVN", "Eltwise", "Pooling", "Reshape", "Power", "Scale", "Scale"]


def fused(tf: Any, v1: Any, x: Any) -> Any:
    return v1.nn.fused_batch_norm(x, GAMMA, BETA, epsilon=0.1, is_training=True)[0]


def moments(tf: Any, v1: Any, x: Any) -> Any:
    mean, variance = tf.nn.moments(x, [0, 1, 2])
    return tf.nn.batch_normalization(x, mean, variance, BETA, GAMMA, 0.1)


def of_pow(tf: Any, v1: Any, x: Any) -> Any:
    """As nets for style transfer write an instance normalisation."""
    mean, variance = tf.nn.moments(x, [1, 2], keepdims=True)
    return GAMMA * ((x - mean) / (variance + 0.1) ** 0.5) + BETA


FORMS: dict[str, Callable[[Any, Any, Any], Any]] = {"fused": fused, "moments": moments}


def built(form: Callable[[Any, Any, Any], Any], batch: int | None) -> Callable[[Any, Any], None]:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (batch, 7, 6, 4), "x")
        tf.identity(form(tf, v1, x), name="y")

    return build


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", FORMS)
def test_said(name: str, batch: int, tmp_path: Path, caffe: Caffe) -> None:
    net = same(built(FORMS[name], batch), tmp_path, caffe)
    assert batch > 1 or net.types == SHORT
    assert any(f"holds for a batch of {batch} alone" in note for note in net.network.notes)


def test_each_image(tmp_path: Path, caffe: Caffe) -> None:
    net = same(built(of_pow, 2), tmp_path, caffe)
    assert net.types == SHORT
    assert not any("alone" in note for note in net.network.notes)


@pytest.mark.parametrize("name", [*FORMS, "a mean"])
def test_free(name: str, tmp_path: Path) -> None:
    form = FORMS.get(name, lambda tf, v1, x: tf.reduce_mean(x, [0, 3]))
    graph, _ = tf1(built(form, None))
    path = frozen(graph, tmp_path)
    with pytest.raises(UnsupportedError, match=r"the batch.* is free: .*--input-shape x=1,"):
        written(path, tmp_path)
    written(path, tmp_path, input_shape={"x": (1, 7, 6, 4)})


def test_channels_first(tmp_path: Path, caffe: Caffe) -> None:
    """No processor of TensorFlow's computes that order: against the same net in the other one."""

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (1, 4, 7, 6), "x")
        given = {
            "scale": GAMMA,
            "offset": BETA,
            "mean": np.zeros(0, "f"),
            "variance": np.zeros(0, "f"),
        }
        last = tf.transpose(x, [0, 2, 3, 1])
        y = tf.raw_ops.FusedBatchNormV3(x=last, is_training=True, epsilon=0.1, **given)[0]
        tf.transpose(y, [0, 3, 1, 2], name="y")

    graph, _ = tf1(build)
    net = same(build, tmp_path, caffe)
    definition = graph.as_graph_def()
    (node,) = (node for node in definition.node if node.op == "FusedBatchNormV3")
    node.attr["data_format"].s = b"NCHW"
    node.input[0] = "x"
    (end,) = (node for node in definition.node if node.name == "y")
    end.op, other = "Identity", end.input[0]
    del end.input[:]
    end.input.append(other)
    perm = end.attr["T"].type
    end.attr.clear()
    end.attr["T"].type = perm
    path = tmp_path / "first.pb"
    path.write_bytes(definition.SerializeToString())
    images = {"x": RNG.standard_normal((1, 4, 7, 6)).astype(np.float32)}
    expected = caffe.run(net.prototxt, net.caffemodel, images).layers[-1].arrays[0]
    first = written(path, tmp_path)
    assert first.types == SHORT
    found = caffe.run(first.prototxt, first.caffemodel, images).layers[-1].arrays[0]
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


def test_keras_layers_called_in_training_mode(tmp_path: Path, caffe: Caffe) -> None:
    """predict() calls them for inference nevertheless, and a note says so."""
    import keras

    x = keras.Input((7, 6, 4), name="x")
    y = keras.layers.RandomFlip()(x)  # whose default is True
    y = keras.layers.BatchNormalization(name="bn")(y, training=True)
    model = randomised(keras.Model(x, y))
    net = written(model, tmp_path)
    assert net.types == ["Input", "BatchNorm", "Scale"]
    said = [note for note in net.network.notes if "was called with training=True" in note]
    assert len(said) == 1 and said[0].startswith("layer 'bn': ")
    images = RNG.standard_normal((1, 7, 6, 4)).astype(np.float32)
    expected = model.predict(images, verbose=0).transpose(0, 3, 1, 2)
    fed = {"x": images.transpose(0, 3, 1, 2)}
    found = caffe.run(net.prototxt, net.caffemodel, fed).layers[-1].arrays[0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_options_are_asked(tmp_path: Path) -> None:
    graph, _ = tf1(built(fused, None))
    path = frozen(graph, tmp_path)
    assert list(open_source(path, with_defaults({})).graph.free) == ["x"]
    said = with_defaults({"input_shape": {"x": (2, 7, 6, 4)}})
    assert not open_source(path, said).graph.free


def test_an_output_without_an_axis_for_the_batch(tmp_path: Path) -> None:
    """Its numbers at another batch would lie otherwise than TensorFlow's: a note says so."""

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (None, 8), "x")
        y = tf.tensordot(tf.expand_dims(x, 2), MATRIX, [[1], [0]])
        tf.matmul(COLUMN, y, name="y")

    graph, _ = tf1(build)
    path = frozen(graph, tmp_path)
    note = "output 'y': its blob has no axis for the batch"
    assert any(note in text for text in written(path, tmp_path).network.notes)
    said = written(path, tmp_path, input_shape={"x": (1, 8)})
    assert not any(note in text for text in said.network.notes)
