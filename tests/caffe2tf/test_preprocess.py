"""Preprocessing built in: equal to real Caffe fed with what was preprocessed beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import caffe2tf
from conversions import Array, Files, nhwc, relative, write_net
from prototxts import data, layer, param
from tfcaffe.oracle.pycaffe import Caffe
from weights_files import legacy, packed

NET = data(2, 3, 7, 6) + layer(
    "Convolution", "data", "y", param("convolution_param", num_output=4, kernel_size=3, pad=1)
)
MEAN = np.array([104.0, 117.0, 123.0], np.float32)
IMAGE = np.random.default_rng(3).uniform(90, 130, (3, 7, 6)).astype(np.float32)
LARGE = np.random.default_rng(4).uniform(90, 130, (3, 10, 9)).astype(np.float32)  # cut to 7×6
MIDDLE = LARGE[:, 1:8, 1:7]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The net, and means as files of every kind."""
    np.save(tmp_path / "channels.npy", MEAN)
    np.save(tmp_path / "image.npy", IMAGE)
    np.save(tmp_path / "large.npy", LARGE)
    (tmp_path / "image.binaryproto").write_bytes(legacy(IMAGE) + packed(5, IMAGE))
    return write_net(tmp_path, NET)


# What is asked for, and what then happens to images as the model is fed, in this order.
CASES: dict[str, tuple[dict[str, Any], bool, Any, float]] = {
    "values": ({"mean": "104,117,123"}, False, MEAN[:, None, None], 1),
    "a list": ({"mean": [104, 117, 123]}, False, MEAN[:, None, None], 1),
    "one value": ({"mean": "120"}, False, 120, 1),
    "npy of channels": ({"mean": "channels.npy"}, False, MEAN[:, None, None], 1),
    "npy of an image": ({"mean": "image.npy"}, False, IMAGE, 1),
    "binaryproto": ({"mean": "image.binaryproto"}, False, IMAGE, 1),
    "larger image": ({"mean": "large.npy"}, False, MIDDLE, 1),
    "scale": ({"scale": 0.017}, False, 0, 0.017),
    "rgb": ({"channel_order": "rgb"}, True, 0, 1),
    "all": (
        {"mean": "image.npy", "scale": 0.017, "channel_order": "rgb"},
        True,
        IMAGE,
        0.017,
    ),
}


@pytest.mark.parametrize(("options", "flip", "mean", "scale"), CASES.values(), ids=CASES)
def test_equals_caffe(
    options: dict[str, Any],
    flip: bool,
    mean: Any,
    scale: float,
    files: Files,
    caffe: Caffe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also after saving and loading, and as a SavedModel."""
    import tensorflow as tf

    monkeypatch.chdir(files.net.parent)
    images = np.random.default_rng(2).uniform(0, 255, (2, 3, 7, 6)).astype(np.float32)
    fed = ((images[:, ::-1] if flip else images) - mean) * np.float32(scale)
    expected = caffe.run(files.net, files.weights, {"data": fed}).layers[-1].arrays[0]
    model = caffe2tf.load(files.net, files.weights, **options)
    caffe2tf.convert(files.net, files.weights, ["m.keras", "saved"], **options)
    serve = tf.saved_model.load("saved").signatures["serving_default"]
    answers: list[Array] = [
        model.predict(nhwc(images), verbose=0),
        keras.saving.load_model("m.keras").predict(nhwc(images), verbose=0),
        serve(data=tf.constant(nhwc(images)))["y"].numpy(),
    ]
    for answer in answers:
        assert relative(answer, nhwc(expected)) < 1e-5


def test_mean_is_a_weight_that_does_not_train(files: Files) -> None:
    model = caffe2tf.load(files.net, files.weights, mean="104,117,123")
    assert model.count_params() == 3 * 4 * 9 + 4 + 3 + 3 + 1  # mean, variance, count
    layer_of_mean = next(la for la in model.layers if isinstance(la, keras.layers.Normalization))
    np.testing.assert_array_equal(np.ravel(layer_of_mean.mean), MEAN)
    assert not layer_of_mean.trainable_variables


def test_nothing_asked_for_adds_nothing(files: Files) -> None:
    model = caffe2tf.load(files.net, files.weights, channel_order="bgr")
    assert [la.name for la in model.layers] == ["data", "y"]


def test_mean_image_wants_a_fixed_size(files: Files) -> None:
    options = {"input_shape": {"data": (1, 3, None, None)}}
    mean = files.net.with_name("image.npy")
    with pytest.raises(caffe2tf.ConversionError, match=r"\[3, 7, 6\] does not fit"):
        caffe2tf.load(files.net, files.weights, mean=mean, **options)
    model = caffe2tf.load(files.net, files.weights, mean="1,2,3", **options)
    assert model.input_shape == (None, None, None, 3)


def test_small_mean_image(files: Files) -> None:
    np.save(files.net.with_name("small.npy"), IMAGE[:, :5])
    with pytest.raises(caffe2tf.ConversionError, match=r"smaller than the input .*resize"):
        caffe2tf.load(files.net, mean=files.net.with_name("small.npy"))


def test_no_image(tmp_path: Path) -> None:
    files = write_net(tmp_path, data(2, 3) + layer("ReLU", "data", "y"))
    with pytest.raises(caffe2tf.ConversionError, match="4 axes"):
        caffe2tf.load(files.net, scale=2.0)
