"""Ops and ways to write them that graphs of TensorFlow 1 have, and Keras's layers do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import frozen, same, tf1
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import written

SHAPE = (2, 7, 6, 4)
RNG = np.random.default_rng(3)
MASK = np.array([True, False, False, True])
CONSTANT = RNG.standard_normal(SHAPE).astype(np.float32)
KERNEL = RNG.standard_normal((3, 3, 4, 4)).astype(np.float32)
COLUMN = RNG.standard_normal((1, 5, 1)).astype(np.float32)
ROW = RNG.standard_normal(4).astype(np.float32)


def weighted(tf: Any, x: Any) -> Any:
    y = tf.reshape(x, [2, 7, 6, 2, 2])
    mean, variance = tf.nn.weighted_moments(y, [1, 2, 4], tf.ones_like(y), keepdims=True)
    return tf.reshape((y - mean) * tf.math.rsqrt(variance + 0.1), SHAPE)


CASES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "elu of exp": lambda tf, v1, x: tf.where(x > 0, x, 0.7 * (tf.exp(x) - 1.0)),
    "elu of expm1": lambda tf, v1, x: tf.where(x <= 0, tf.math.expm1(x), x),
    "equal": lambda tf, v1, x: tf.cast(tf.equal(x, tf.nn.max_pool2d(x, 3, 1, "SAME")), x.dtype) * x,
    "not equal to a constant": lambda tf, v1, x: tf.cast(tf.not_equal(tf.nn.relu(x), 0.0), x.dtype),
    "truth of a number": lambda tf, v1, x: tf.cast(tf.cast(tf.nn.relu(x), tf.bool), tf.float32),
    "whole numbers": lambda tf, v1, x: tf.cast(3 * (5 - tf.argmax(x, -1)), tf.float32),
    "one_hot": lambda tf, v1, x: tf.one_hot(tf.argmax(x, 3), 4, 2.0, -1.0),
    "one_hot in front": lambda tf, v1, x: tf.one_hot(tf.argmax(x, 3)[:, :, 0], 5, axis=1),
    "where by a constant": lambda tf, v1, x: tf.where(MASK, x, tf.square(x) + 1.0),
    "where by a constant, one constant": lambda tf, v1, x: tf.where(MASK, CONSTANT, x),
    "rows by a constant": lambda tf, v1, x: v1.where([True, False], x, tf.square(x)),
    "rows": lambda tf, v1, x: v1.where(tf.reduce_mean(x, [1, 2, 3]) > 0, x, tf.square(x)),
    "broadcast_to": lambda tf, v1, x: tf.broadcast_to(tf.reduce_max(x, 1, keepdims=True), SHAPE),
    "any": lambda tf, v1, x: tf.cast(tf.reduce_any(x > 1.0, 3), tf.float32),
    "all": lambda tf, v1, x: tf.cast(tf.reduce_all(x > -1.0, 1), tf.float32),
    "pooling with places": lambda tf, v1, x: tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")[0],
    "an old bias": lambda tf, v1, x: tf.raw_ops.BiasAddV1(value=x, bias=ROW),
    "more than a little": lambda tf, v1, x: tf.math.log(tf.maximum(1e4 * x, 0.01)),
    "less than a little": lambda tf, v1, x: tf.math.log(-tf.minimum(1e4 * x, -0.01)),
    "masked by a large number": lambda tf, v1, x: tf.nn.relu(
        tf.where(x > 1.0, tf.fill(SHAPE, -1e9), x)
    ),
    "large numbers by a mask": lambda tf, v1, x: tf.nn.relu(
        tf.where(x > 1.0, tf.fill(SHAPE, 1.0), tf.fill(SHAPE, -1e9))
    ),
    "softplus of large numbers": lambda tf, v1, x: x * tf.tanh(tf.math.log1p(tf.exp(100.0 * x))),
    "channels padded with a number": lambda tf, v1, x: tf.pad(
        x, [[0, 0], [0, 2], [1, 0], [2, 1]], constant_values=0.5
    ),
    "columns padded with a number": lambda tf, v1, x: tf.pad(
        x[:, 0, 0], [[0, 0], [2, 1]], constant_values=-2.0
    ),
    "zeros in its shape": lambda tf, v1, x: tf.concat([x, tf.raw_ops.ZerosLike(x=x)], 1),
    "group normalisation of Keras 2": lambda tf, v1, x: weighted(tf, x),
    "divided by what is not 0": lambda tf, v1, x: tf.math.divide_no_nan(x, np.abs(ROW) + 1.0),
    "rows by rows": lambda tf, v1, x: tf.matmul(x[:, :1, 0], x[:, 1:2, 0], transpose_b=True),
    "weighted features": lambda tf, v1, x: tf.einsum("bhwc,bhw->bc", x, tf.sigmoid(x[..., 0])),
    "columns by rows": lambda tf, v1, x: tf.matmul(x[:, 0, :, :1], tf.tanh(x[:, :1, 0])),
    "a matrix by a vector": lambda tf, v1, x: x[:, 0] @ tf.reduce_max(x, [1, 2])[..., None],
    "one number": lambda tf, v1, x: tf.reduce_mean(tf.square(x)),
}


@pytest.mark.parametrize("name", CASES)
def test_spelling(name: str, tmp_path: Path, caffe: Caffe) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SHAPE, "x")
        tf.identity(CASES[name](tf, v1, x), name="y")

    net = same(build, tmp_path, caffe)
    assert name != "elu of exp" or net.types == ["Input", "ELU"]
    assert not name.startswith("group") or "MVN" in net.types


def test_a_cut_of_what_lies_turned(tmp_path: Path, caffe: Caffe) -> None:
    """Of a single sample; the dimension that is cut is the blob's first axis there."""

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (1, 6), "x")
        y = tf.nn.softmax(tf.matmul(COLUMN, tf.expand_dims(x, 1)), 2)
        tf.identity(tf.transpose(y, [0, 2, 1])[:, ::2, 0:2], name="y")

    same(build, tmp_path, caffe)


INSIDE: dict[str, tuple[Callable[[Any, Any], Any], list[str]]] = {
    "bias": (lambda tf, y: tf.nn.bias_add(y, ROW), ["Convolution"]),
    "scale, relu": (lambda tf, y: tf.nn.relu(y * ROW - 0.5), ["Convolution", "Scale", "ReLU"]),
}


@pytest.mark.parametrize("name", INSIDE)
def test_inside_a_dilation(name: str, tmp_path: Path, caffe: Caffe) -> None:
    """Between SpaceToBatchND and BatchToSpaceND stands more than a convolution."""
    inside, layers = INSIDE[name]

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (1, 9, 8, 4), "x")
        y = tf.space_to_batch_nd(x, [2, 2], [[2, 3], [2, 2]])
        y = inside(tf, tf.nn.conv2d(y, KERNEL, 1, "VALID"))
        tf.identity(tf.batch_to_space(y, [2, 2], [[0, 1], [0, 0]]), name="y")

    assert same(build, tmp_path, caffe).types == ["Input", *layers]


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "blocks": (
        lambda tf, x: tf.space_to_batch_nd(x, [2, 2], [[0, 1], [0, 0]]) * 2.0,
        "moves places of the image into the batch",
    ),
    "a mean across": (
        lambda tf, x: tf.batch_to_space(
            tf.nn.softmax(tf.space_to_batch_nd(x, [2, 2], [[0, 1], [0, 0]]), 1),
            [2, 2],
            [[0, 1], [0, 0]],
        ),
        "moves places of the image into the batch",
    ),
    "matrices": (
        lambda tf, x: tf.matmul(x[:, 0], x[:, 1], transpose_b=True),
        "is a product of two matrices that are not",
    ),
    "cut decimals": (
        lambda tf, x: tf.cast(x, tf.int32),
        r"\(Cast\): makes whole numbers \(int32\)",
    ),
    "noise": (lambda tf, x: x + tf.random.normal(SHAPE), "draws random numbers at each call"),
    "python": (
        lambda tf, x: tf.ensure_shape(tf.numpy_function(np.abs, [x], tf.float32), SHAPE) * 2.0,
        "calls code of Python",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    made, message = REFUSED[name]

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SHAPE, "x")
        tf.identity(made(tf, x), name="y")

    graph, _ = tf1(build)
    with pytest.raises(UnsupportedError, match=message):
        written(frozen(graph, tmp_path), tmp_path)
