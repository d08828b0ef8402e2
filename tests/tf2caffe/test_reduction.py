"""Means, sums, largest and smallest numbers and products over any dimensions, in real Caffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tables import Case, check_table, network
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written

IMAGE = (5, 6, 4)
ONE_LAYER = {  # over these dimensions of an image
    (1, 2): {"mean": "Pooling", "max": "Pooling", "sum": "Pooling Power"},
    (1,): {"mean": "Pooling", "max": "Pooling", "min": "Power Pooling Power"},
    (2,): {"mean": "Pooling", "max": "Pooling"},
    (3,): {"mean": "Convolution", "sum": "Convolution", "max": "Reshape Pooling Reshape"},
    (1, 2, 3): {"mean": "Pooling Convolution", "max": "Pooling Reshape Pooling"},
    (1, 3): {},
    (2, 3): {},
    (0,): {},
    (0, 3): {},
}


def functions(tf: Any) -> dict[str, Any]:
    return {
        "mean": tf.reduce_mean,
        "sum": tf.reduce_sum,
        "max": tf.reduce_max,
        "min": tf.reduce_min,
        "prod": tf.reduce_prod,
    }


@pytest.mark.parametrize("dialect", ["caffe-1.0", "portable"])
@pytest.mark.parametrize("over", ONE_LAYER)
def test_images(over: tuple[int, ...], dialect: str, tmp_path: Path, caffe: Caffe) -> None:
    """With the dimensions kept and without them, which does not change the layers."""
    import tensorflow as tf

    cases: dict[str, Case] = {}
    for name, function in functions(tf).items():
        types = ONE_LAYER[over].get(name, "")
        cases[f"{name}_kept"] = (lambda x, f=function: f(x, list(over), keepdims=True), types)
        if 0 not in over:
            cases[name] = (lambda x, f=function: f(x, list(over)), "")
    check_table(cases, tmp_path, caffe, IMAGE, dialect=dialect)


@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 4, 5)])
def test_any_rank(shape: tuple[int, ...], tmp_path: Path, caffe: Caffe) -> None:
    import tensorflow as tf

    rank = len(shape) + 1
    cases: dict[str, Case] = {}
    for name, function in functions(tf).items():
        cases |= {
            f"{name}_last": (lambda x, f=function: f(x, -1, keepdims=True), ""),
            f"{name}_first": (lambda x, f=function: f(x, 1), ""),
            f"{name}_most": (lambda x, f=function: f(x, [*range(1, rank)], keepdims=True), ""),
            f"{name}_flat": (lambda x, f=function: f(tf.reshape(x, (2, -1)), 1), ""),
        }
    check_table(cases, tmp_path, caffe, shape)


def test_what_is_made_of_them(tmp_path: Path, caffe: Caffe) -> None:
    import tensorflow as tf

    attention = "Reshape Pooling Reshape Convolution Eltwise Sigmoid Convolution Eltwise"
    cases: dict[str, Case] = {
        "attention": (
            lambda x: (
                x * tf.sigmoid(tf.reduce_max(x, 3, keepdims=True) + tf.reduce_mean(x, 3)[..., None])
            ),
            attention,
        ),
        "variance": (lambda x: tf.math.reduce_variance(x, [1, 2]), ""),
        "deviation": (lambda x: tf.math.reduce_std(x, [3]), ""),
        "length": (lambda x: tf.norm(x, axis=-1), "Eltwise Convolution Power"),
        "nothing": (lambda x: tf.abs(tf.reduce_mean(x[:, :, :, None], 3)), "AbsVal"),
    }
    check_table(cases, tmp_path, caffe, IMAGE)


@pytest.mark.parametrize("shape", [(7,), (5, 7), IMAGE])
def test_argmax(shape: tuple[int, ...], tmp_path: Path, caffe: Caffe) -> None:
    import tensorflow as tf

    cases: dict[str, Case] = {
        "largest": (lambda x: tf.cast(tf.argmax(x, -1), tf.float32), ""),
        "smallest": (lambda x: tf.cast(tf.argmin(x, 1), tf.float32), ""),
        # many numbers are equal: TensorFlow takes the first, Caffe the last
        "first": (lambda x: tf.cast(tf.argmax(tf.nn.relu(x - 0.8), -1), tf.float32), ""),
        "first_smallest": (lambda x: tf.cast(tf.argmin(tf.nn.relu(0.9 - x), 1), tf.float32), ""),
    }
    check_table(cases, tmp_path, caffe, shape)


def test_argmax_of_keras(tmp_path: Path, caffe: Caffe) -> None:
    """It makes the zeros of negative sign smaller first."""
    import keras

    x = keras.Input((5, 6, 4), batch_size=2)
    net = check(keras.Model(x, keras.ops.argmax(x, axis=-1, keepdims=True)), tmp_path, caffe)
    assert net.types == ["Input", "Convolution", "ArgMax", "Power"]


def test_places_of_the_k_largest_are_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    cases: dict[str, Case] = {"best": (lambda x: tf.cast(tf.math.top_k(x, 2)[1], tf.float32), "")}
    reason = r"TopKV2, layer 'best'\): .*values alone.*--outputs"
    with pytest.raises(UnsupportedError, match=reason):
        written(network(cases, (7,)), tmp_path)
