"""Normalisation layers of Keras, and as people write them, in real Caffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tables import Case, check_table, numbers
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from whole import assert_equal, check, compared

IMAGE = (5, 6, 4)
BY_ONES = "Convolution Convolution Eltwise Eltwise Convolution Power Convolution Eltwise"
BY_ROWS = "MVN Eltwise Pooling Reshape Power Scale"
GROUPS = f"Reshape {BY_ROWS} Reshape Scale"


def layer_cases() -> dict[str, Case]:
    from keras import layers

    group = layers.GroupNormalization
    return {
        "layer": (layers.LayerNormalization(), f"{BY_ONES} Scale"),
        "layer_plain": (layers.LayerNormalization(center=False, scale=False), BY_ONES),
        "layer_no_beta": (layers.LayerNormalization(center=False), f"{BY_ONES} Scale"),
        "layer_image": (layers.LayerNormalization(axis=[1, 2, 3]), GROUPS),
        "layer_plane": (layers.LayerNormalization(axis=[1, 2]), f"{BY_ROWS} Scale"),
        "layer_columns": (layers.LayerNormalization(axis=[2, 3]), ""),
        "layer_rows": (layers.LayerNormalization(axis=1), ""),
        "root_mean": (
            layers.RMSNormalization(),
            "Eltwise Convolution Power Convolution Eltwise Scale",
        ),
        "groups": (group(2), GROUPS),
        "groups_plain": (group(2, center=False, scale=False), ""),
        "instances": (group(-1), f"{BY_ROWS} Scale"),
        "one_group": (group(1), ""),
        "groups_of_rows": (group(5, axis=1), ""),
        "unit": (layers.UnitNormalization(), ""),
        "unit_rows": (layers.UnitNormalization(axis=1), ""),
        "batch": (layers.BatchNormalization(), "BatchNorm Scale"),
        "batch_plain": (layers.BatchNormalization(center=False, scale=False), "BatchNorm"),
        "batch_no_gamma": (layers.BatchNormalization(scale=False), "BatchNorm Scale"),
        "batch_rows": (layers.BatchNormalization(axis=1), "Scale"),
        "batch_columns": (layers.BatchNormalization(axis=2, scale=False), "Scale"),
        "constant": (
            layers.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 4, 9, 1e-20]),
            "Scale",
        ),
        "constant_back": (
            layers.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 4, 9, 1], invert=True),
            "Scale",
        ),
    }


def hand_cases() -> dict[str, Case]:
    import tensorflow as tf

    gamma, beta = numbers(4), numbers(4) ** 2
    mean, variance = numbers(4), np.abs(numbers(4)) + np.float32(0.5)

    def instances(x: Any) -> Any:
        moments = tf.nn.moments(x, [1, 2], keepdims=True)
        return tf.nn.batch_normalization(x, *moments, beta, gamma, 1e-3)

    def divided(x: Any) -> Any:
        own_mean, own_variance = tf.nn.moments(x, [1, 2], keepdims=True)
        return (x - own_mean) / tf.sqrt(own_variance + 1e-3) * gamma + beta

    def rows(x: Any) -> Any:
        own = tf.reduce_mean(x, -1, keepdims=True)
        return (x - own) * tf.math.rsqrt(tf.reduce_mean((x - own) ** 2, -1, keepdims=True) + 1e-3)

    def fused_rows(x: Any) -> Any:
        """As tf_keras's LayerNormalization has it."""
        flat = tf.reshape(x, (1, -1, 4, 1))
        ones, zeros = tf.ones(flat.shape[1]), tf.zeros(flat.shape[1])
        y = tf.raw_ops.FusedBatchNormV3(
            x=flat,
            scale=ones,
            offset=zeros,
            mean=[],
            variance=[],
            epsilon=1e-3,
            data_format="NCHW",
            is_training=True,
        )[0]
        return tf.reshape(y, x.shape) * gamma + beta

    def batch(x: Any, b: Any, g: Any) -> Any:
        return tf.nn.batch_normalization(x, tf.identity(mean), tf.identity(variance), b, g, 1e-3)

    return {
        "instances": (instances, f"{BY_ROWS} Scale"),
        "divided": (divided, f"{BY_ROWS} Scale"),
        "rows": (rows, BY_ONES),
        "fused_rows": (fused_rows, f"{BY_ONES} Scale"),
        "batch": (lambda x: batch(x, beta, gamma), "BatchNorm Scale"),
        "batch_no_gamma": (lambda x: batch(x, beta, None), "BatchNorm Scale"),
        "batch_no_beta": (lambda x: batch(x, None, gamma), "BatchNorm Scale"),
        "batch_neither": (lambda x: batch(x, None, None), "BatchNorm"),
        "unit": (
            lambda x: tf.nn.l2_normalize(x, -1),
            "Eltwise Convolution Power ReLU Power Convolution Eltwise",
        ),
        "unit_plane": (lambda x: tf.nn.l2_normalize(x, [1, 2]), ""),
        "unit_zero": (lambda x: tf.nn.l2_normalize(x * 0, -1) + x, ""),
        "unit_coarse": (lambda x: tf.nn.l2_normalize(x, -1, epsilon=0.8), ""),
    }


def test_layers(tmp_path: Path, caffe: Caffe) -> None:
    check_table(layer_cases(), tmp_path, caffe, IMAGE)


def test_written_out(tmp_path: Path, caffe: Caffe) -> None:
    check_table(hand_cases(), tmp_path, caffe, IMAGE)


def test_portable_layers(tmp_path: Path, caffe: Caffe) -> None:
    """BatchNorm's eps is 1e-5 there, the difference is in the variance."""
    cases = {name: (made, "") for name, (made, _) in layer_cases().items()}
    net = check_table(cases, tmp_path, caffe, IMAGE, dialect="portable")
    eps = [la.message.batch_norm_param.eps for la in net.network.layers if la.type == "BatchNorm"]
    assert len(eps) == 3
    assert np.allclose(eps, 1e-5)


@pytest.mark.parametrize("bias", [1.0, 2.0])
def test_portable_response_normalisation(bias: float, tmp_path: Path, caffe: Caffe) -> None:
    """Three readers take no bias but 1: a factor behind it does the rest."""
    import tensorflow as tf

    def normalised(x: Any) -> Any:
        return tf.nn.local_response_normalization(x, 2, bias, 0.7, 0.75)

    types = "LRN" if bias == 1 else "LRN Power"
    check_table({"local": (normalised, types)}, tmp_path, caffe, IMAGE, dialect="portable")


@pytest.mark.parametrize("shape", [(8,), (5, 8), (2, 3, 4, 8)])
def test_any_rank(shape: tuple[int, ...], tmp_path: Path, caffe: Caffe) -> None:
    from keras import layers

    cases: dict[str, Case] = {
        "layer": (layers.LayerNormalization(), ""),
        "layer_first": (layers.LayerNormalization(axis=1), ""),
        "groups": (layers.GroupNormalization(4), ""),
        "unit": (layers.UnitNormalization(), ""),
        "batch": (layers.BatchNormalization(), ""),
        "batch_first": (layers.BatchNormalization(axis=1), ""),
    }
    check_table(cases, tmp_path, caffe, shape)


@pytest.mark.parametrize("dialect", ["caffe-1.0", "opencv", "portable"])
def test_a_block(dialect: str, tmp_path: Path, caffe: Caffe, opencv: OpenCV) -> None:
    """ConvNeXt's: the names are the Keras layers'; OpenCV computes the same in its dialects."""
    import keras
    from keras import layers

    x = keras.Input((7, 6, 4), batch_size=2)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.LayerNormalization(epsilon=1e-6, name="norm")(y)
    y = layers.Dense(8, activation="gelu", name="wide")(y)
    y = layers.Dense(4, name="narrow")(y)
    y = layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="add")([x, y]))
    y = layers.Dense(3, name="logits")(layers.LayerNormalization(name="last")(y))
    model = keras.Model(x, y)
    net = check(model, tmp_path, caffe, dialect=dialect)
    if dialect != "caffe-1.0":
        assert_equal(compared(model, net, opencv, rtol=1e-4))
    names = [layer.name for layer in net.network.layers]
    assert {"depthwise", "norm", "wide", "narrow", "add", "pool", "last", "logits"} <= set(names)
    assert net.types[names.index("norm")] == "Scale"


def test_flattened(tmp_path: Path, caffe: Caffe) -> None:
    """The numbers stay where they are: a factor for each of C, H and W.

    On axis 1, since OpenCV would fold any other Scale into the convolution.
    """
    import keras
    from keras import layers

    x = keras.Input((7, 6, 3), batch_size=2)
    y = layers.Flatten()(layers.Conv2D(4, 3, name="conv")(x))
    y = layers.Dense(3, name="fc")(layers.BatchNormalization(name="bn")(y))
    net = check(keras.Model(x, y), tmp_path, caffe)
    middle = ["Reshape", "Scale", "Reshape"]
    assert net.types == ["Input", "Convolution", *middle, "InnerProduct"]
