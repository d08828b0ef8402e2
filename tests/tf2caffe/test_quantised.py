"""Networks of few bits: weights are rounded as TensorFlow and Keras do, activations not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import answer, assert_close, frozen, run, tf1
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import assert_equal, compared, randomised, written

SHAPE = (2, 9, 8, 3)
RNG = np.random.default_rng(8)
KERNEL = RNG.standard_normal((3, 3, 3, 4)).astype(np.float32)
IMAGES = RNG.standard_normal(SHAPE).astype(np.float32)
LOW, HIGH = np.float32([-1, -0.5, -0.7, -0.3]), np.float32([1, 0.5, 0.7, 0.3])


def quint8() -> Any:
    import tensorflow as tf

    return tf.quint8


WEIGHTS: dict[str, Callable[[Any, Any], Any]] = {
    "Args": lambda q, w: q.fake_quant_with_min_max_args(w, -1.5, 1.5),
    "Vars": lambda q, w: q.fake_quant_with_min_max_vars(w, -1.5, 1.2, 4, narrow_range=True),
    "VarsPerChannel": lambda q, w: q.fake_quant_with_min_max_vars_per_channel(w, LOW, HIGH),
    "AndDequantize": lambda q, w: q.quantize_and_dequantize_v2(w, -1.0, 1.0, range_given=True),
    "codes": lambda q, w: q.dequantize(*q.quantize(w, -1.0, 1.5, quint8())),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name: str, tmp_path: Path, caffe: Caffe) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SHAPE, "x")
        kernel = WEIGHTS[name](tf.quantization, tf.constant(KERNEL))
        tf.nn.conv2d(x, kernel, 1, "SAME", name="y")

    graph, v1 = tf1(build)
    net = written(frozen(graph, tmp_path), tmp_path)
    assert net.types == ["Input", "Convolution"]
    expected = answer(graph, v1, {"x:0": IMAGES})
    assert_close(run(net, caffe, IMAGES), expected)


def activations(fake: bool) -> Callable[[Any, Any], None]:
    def build(tf: Any, v1: Any) -> None:
        q = tf.quantization
        x = v1.placeholder(tf.float32, SHAPE, "x")
        y = q.fake_quant_with_min_max_args(x, -5.0, 5.0, name="fake") if fake else x
        y = tf.nn.relu(tf.nn.conv2d(y, KERNEL, 1, "SAME"))
        if fake:
            y = q.dequantize(*q.quantize(y, 0.0, 40.0, tf.quint8))
        tf.add(y, -1.0, name="y")

    return build


def test_activations(tmp_path: Path, caffe: Caffe) -> None:
    """Refused, or left out if that is said: then the numbers are those of the net without it."""
    graph, v1 = tf1(activations(fake=True))
    path = frozen(graph, tmp_path)
    with pytest.raises(UnsupportedError, match=r"^node 'fake' .* rounds .*; --drop-fake-quant "):
        written(path, tmp_path)
    net = written(path, tmp_path, drop_fake_quant=True)
    assert net.types == ["Input", "Convolution", "ReLU", "Power"]
    (note,) = [note for note in net.network.notes if "fake" in note]
    assert note.startswith("2 fake quantisations of activations are left out (fake, Dequantize)")
    plain, _ = tf1(activations(fake=False))
    found = run(net, caffe, IMAGES)
    assert_close(found, answer(plain, v1, {"x:0": IMAGES}))
    rounded = answer(graph, v1, {"x:0": IMAGES}).transpose(0, 3, 1, 2)
    assert 1e-3 < np.abs(found - rounded).max() < 0.5


@pytest.mark.parametrize("paired", [True, False])
def test_codes(paired: bool, tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        q, x = tf.quantization, v1.placeholder(tf.float32, SHAPE, "x")
        codes = q.quantize(x, -3.0, 3.0, tf.quint8, name="codes")
        if not paired:
            kernel, low, high = q.quantize(KERNEL, -3.0, 3.0, tf.quint8)
            codes = tf.raw_ops.QuantizedConv2D(
                input=codes[0],
                filter=kernel,
                min_input=codes[1],
                max_input=codes[2],
                min_filter=low,
                max_filter=high,
                strides=[1, 1, 1, 1],
                padding="SAME",
            )
        q.dequantize(*codes, name="y")

    graph, _ = tf1(build)
    way_out = "--drop-fake-quant" if paired else "as it was before it was quantised"
    with pytest.raises(UnsupportedError, match=rf"^node 'codes' \(QuantizeV2\): .*{way_out}"):
        written(frozen(graph, tmp_path), tmp_path)


def test_a_layer_that_keras_quantised(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, name="fc")])
    model.quantize("int8")
    with pytest.raises(UnsupportedError, match=r"Round, layer 'fc'.* before it was quantised"):
        written(model, tmp_path)
    model.export(tmp_path / "saved", verbose=False)
    with pytest.raises(UnsupportedError, match=r"fc.*/Round' \(Round\).* before it was quant"):
        written(tmp_path / "saved", tmp_path)


@pytest.mark.parametrize("mode", ["int4", "int8"])
def test_weights_that_keras_quantised(mode: str, tmp_path: Path, caffe: Caffe) -> None:
    """A table of whole numbers and one of their scales; a product with weights of 4 bits."""
    import keras

    x = keras.Input((6,), name="x", dtype="int32")
    y = keras.layers.Embedding(9, 4, name="table")(x)
    y = keras.layers.Dense(3, name="fc")(y) if mode == "int4" else y
    model = randomised(keras.Model(x, y))
    model.quantize(mode)
    net = written(model, tmp_path)
    words = np.asarray([[0, 8, 3, 1, 1, 5]], np.float32)
    assert_equal(compared(model, net, caffe, {"x": words}))
    assert any("layer 'table': was quantised" in note for note in net.network.notes)


def test_activations_that_keras_quantises(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="fc")])
    model.quantize("int8")
    with pytest.raises(UnsupportedError, match=r"Round, layer 'fc'\): .* before it was quantised"):
        written(model, tmp_path)
