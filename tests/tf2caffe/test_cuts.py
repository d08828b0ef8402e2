"""Networks that are cut at both ends: converted, and compared with the whole model by `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphs import control_flow, frozen, tf1
from tfcaffe.errors import ConversionError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from whole import randomised


def model() -> Any:
    import keras

    k = keras.layers
    x = keras.Input((9, 8, 3), name="x")
    a = k.Conv2D(4, 3, name="a")(x)
    b = k.Conv2D(5, 3, activation="relu", name="b")(a)
    c = k.Concatenate(name="c")([b, k.Conv2D(2, 3, name="d")(a)])
    e = k.Dense(3, name="e")(k.Flatten(name="f")(c))
    return randomised(keras.Model(x, [e, k.Conv2D(2, 1, name="g")(x)]))


CUTS = {
    "at the end": {"outputs": ["c", "g"]},
    "within": {"inputs": ["b", "d"], "outputs": ["c", "e"]},
    "one input within": {"inputs": ["a"], "outputs": ["e"]},
    "at an input and within": {"inputs": ["x", "c"], "outputs": ["e", "g"]},
}


@pytest.mark.parametrize("mode", ["chained", "isolated"])
@pytest.mark.parametrize("name", CUTS)
def test_keras(name: str, mode: Any, tmp_path: Path, caffe: Caffe) -> None:
    import tf2caffe

    net, whole = tmp_path / "net", model()
    tf2caffe.convert(whole, net, **CUTS[name])
    report = verify(f"{net}.prototxt", f"{net}.caffemodel", whole, mode=mode, oracle=caffe)
    assert report.verdict == "equal"
    assert len(report.outputs) == len(CUTS[name]["outputs"])


@pytest.mark.parametrize("mode", ["chained", "isolated"])
def test_a_graph_behind_what_no_net_computes(mode: Any, tmp_path: Path, caffe: Caffe) -> None:
    import numpy as np

    import tf2caffe

    kernel = np.random.default_rng(1).standard_normal((3, 3, 3, 4)).astype(np.float32)

    def build(tf: Any, v1: Any) -> None:
        picture = v1.placeholder(tf.string, (), "file")
        image = tf.image.resize(tf.io.decode_jpeg(picture, channels=3)[None], (9, 8))
        y = tf.nn.relu(tf.nn.conv2d(tf.identity(image, "image"), kernel, 1, "SAME"), name="y")
        tf.where(y > 1.0, name="found")

    graph, _ = tf1(build)
    path, net = frozen(graph, tmp_path), tmp_path / "net"
    shapes = {"image": (1, 9, 8, 3)}
    tf2caffe.convert(path, net, inputs=["image"], outputs=["y"], input_shape=shapes)
    report = verify(f"{net}.prototxt", f"{net}.caffemodel", path, mode=mode, oracle=caffe)
    assert report.verdict == "equal"


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("mode", ["chained", "isolated"])
def test_inputs_for_training(mode: Any, legacy: bool, tmp_path: Path, caffe: Caffe) -> None:
    """What a net has not of its model is fed as it was meant: all kept, not trained."""
    import tf2caffe

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (1, 6), "x")
        keep = v1.placeholder(tf.float32, (), "keep")
        training = v1.placeholder(tf.bool, (), "training")
        mask = tf.floor(keep + v1.random_uniform((1, 6)))
        y = tf.tanh(x) / keep * mask
        with control_flow(v1, functions=False):
            v1.cond(training, lambda: y * 7.0, lambda: tf.abs(y), name="y")

    graph, _ = tf1(build)
    path, net = frozen(graph, tmp_path), tmp_path / "net"
    tf2caffe.convert(path, net, legacy_input=legacy)
    report = verify(f"{net}.prototxt", f"{net}.caffemodel", path, mode=mode, oracle=caffe)
    assert report.verdict == "equal"


def test_an_input_that_is_left_out(tmp_path: Path) -> None:
    import tf2caffe

    with pytest.raises(ConversionError, match=r"layer 'g'\): it reads the input 'x', which --inp"):
        tf2caffe.convert(model(), tmp_path / "net", inputs=["a"])
