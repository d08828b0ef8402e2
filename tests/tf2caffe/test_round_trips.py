"""Caffe nets that come back from Keras as they were, and Keras models that come back from Caffe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import random_weights
from prototxts import data, layer, param
from round_trips import differences, said, weight_differences
from tfcaffe.files import caffemodel
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.load import load_net, load_weights
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import make_plan
from whole import Written, assert_equal, compared, written

CONV, POOL = "convolution_param", "pooling_param"


def back(text: str, folder: Path, caffe: Caffe) -> Written:
    """A net with random weights through Keras; what is written must be the same layers.

    Real Caffe computes the same as the Keras model, blob by blob.
    """
    import caffe2tf

    net, weights = folder / "given.prototxt", folder / "given.caffemodel"
    net.write_text(text)
    plan = make_plan(load_net(net), batch=1)
    blobs = random_weights.random_blobs(plan, 1)
    layers = [entry.layer for entry in plan.layers]
    given = [LayerBlobs(la.name, la.type, Blobs.of(blobs.get(la.name, []))) for la in layers]
    caffemodel.write(weights, given)
    model = caffe2tf.load(net, weights, batch=1)
    made = written(model, folder)
    after = said(make_plan(load_net(made.prototxt), batch=1), load_weights(made.caffemodel))
    assert differences(said(plan, load_weights(weights)), after) == []
    assert_equal(compared(model, made, caffe))
    return made


def branches(cases: Mapping[str, str], shape: Sequence[int] = (1, 4, 9, 10)) -> str:
    """A net with one layer for each case behind a common input."""
    made = [
        layer(text.split()[0], "data", name, text.partition(" ")[2]) for name, text in cases.items()
    ]
    return data(*shape) + "".join(made)


def one(kind: str, message: str = "", **fields: Any) -> str:
    return f"{kind} {param(message, **fields) if message else ''}"


POOLINGS = {
    f"{pool}_k{k}_s{s}_p{p}": one("Pooling", POOL, pool=pool, kernel_size=k, stride=s, pad=p)
    for pool in ("MAX", "AVE")
    for k, s, p in [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1), (2, 2, 1), (3, 3, 1), (3, 3, 0)]
}
CASES: dict[str, dict[str, str]] = {
    "pooling": POOLINGS,
    "lrn": {
        "across": one("LRN"),
        "five": one("LRN", "lrn_param", local_size=3, alpha=0.0001, beta=0.5, k=2),
        "one": one("LRN", "lrn_param", local_size=1, alpha=0.3),
        "within": one("LRN", "lrn_param", norm_region="WITHIN_CHANNEL", local_size=3, alpha=0.7),
    },
    "mean": {
        "each": one("MVN"),
        "all": one("MVN", "mvn_param", across_channels=True, eps=0.25),
        "centred": one("MVN", "mvn_param", normalize_variance=False),
    },
    "largest": {
        "place": one("ArgMax", "argmax_param", axis=1),
        "three": one("ArgMax", "argmax_param", axis=2, top_k=3),
        "values": one("ArgMax", "argmax_param", axis=1, top_k=2, out_max_val=True),
    },
    "deconvolution": {
        "plain": one("Deconvolution", CONV, num_output=3, kernel_size=4, stride=2, pad=1),
        "groups": one("Deconvolution", CONV, num_output=6, kernel_size=3, stride=2, group=2),
        "depthwise": one(
            *("Deconvolution", CONV), num_output=4, kernel_size=4, stride=2, pad=1, group=4
        ),
        "multiplied": one("Deconvolution", CONV, num_output=8, kernel_size=3, stride=3, group=4),
        "one_axis": one(
            *("Deconvolution", CONV), num_output=4, kernel_size=3, stride_h=1, stride_w=2, group=4
        ),
        "dilated": one(
            *("Deconvolution", CONV), num_output=3, kernel_size=3, stride=2, dilation=2, pad=1
        ),
    },
    "convolution": {
        "dilated": one(
            *("Convolution", CONV), num_output=3, kernel_size=3, stride=2, dilation=2, pad=2
        ),
        "no_bias": one(
            *("Convolution", CONV),
            num_output=3,
            kernel_size=3,
            stride=2,
            dilation=2,
            bias_term=False,
        ),
        "groups": one("Convolution", CONV, num_output=6, kernel_size=3, stride=2, group=2, pad=1),
        "single": one("Convolution", CONV, num_output=1, kernel_size=1),
    },
    "scale": {
        "bare": one("Scale"),
        "biased": one("Scale", "scale_param", bias_term=True),
        "two_axes": one("Scale", "scale_param", axis=1, num_axes=2, bias_term=True),
        "columns": one("Scale", "scale_param", axis=3, num_axes=1),
    },
    "activation": {
        "prelu": one("PReLU"),
        "leaky": one("ReLU", "relu_param", negative_slope=0.1),
        "elu": one("ELU", "elu_param", alpha=0.5),
        "abs": one("AbsVal"),
        "power": one("Power", "power_param", power=2, scale=0.5, shift=1),
        "softmax": one("Softmax"),
    },
}


@pytest.mark.parametrize("family", CASES)
def test_one_layer_each(family: str, tmp_path: Path, caffe: Caffe) -> None:
    back(branches(CASES[family]), tmp_path, caffe)


def test_batch_norm_with_and_without_scale(tmp_path: Path, caffe: Caffe) -> None:
    """A BatchNorm alone gets no Scale; one with a Scale keeps whether that has a bias."""
    text = data(1, 3, 5, 6)
    text += layer("BatchNorm", "data", "alone", param("batch_norm_param", eps=0.01))
    for name, bias in (("biased", True), ("bare", False)):
        text += layer("BatchNorm", "data", name)
        text += layer("Scale", name, f"{name}_scale", param("scale_param", bias_term=bias))
    net = back(text, tmp_path, caffe)
    assert net.types.count("BatchNorm") == 3
    assert net.types.count("Scale") == 2


def test_mean_and_variance_without_mvn(tmp_path: Path, caffe: Caffe) -> None:
    """A dialect that has no MVN says it in steps."""
    import caffe2tf

    net = tmp_path / "given.prototxt"
    net.write_text(branches(CASES["mean"]))
    model = caffe2tf.load(net, batch=1)
    made = written(model, tmp_path, dialect="portable")
    assert "MVN" not in made.types
    assert_equal(compared(model, made, caffe))


def test_crops_to_the_size_of_another_blob(tmp_path: Path, caffe: Caffe) -> None:
    """As in fully convolutional nets: the input's size, or that of what is added to it."""
    text = data(1, 3, 12, 14)
    text += layer("Convolution", "data", "conv", param(CONV, num_output=2, kernel_size=3, stride=2))
    text += layer("Convolution", "conv", "deep", param(CONV, num_output=2, kernel_size=3))
    text += layer("Crop", ["conv", "deep"], "skip", param("crop_param", axis=2, offset=1))
    text += layer("Eltwise", ["skip", "deep"], "fused")
    up = param(CONV, num_output=2, kernel_size=6, stride=4, group=2, bias_term=False)
    text += layer("Deconvolution", "fused", "up", up)
    text += layer("Crop", ["up", "data"], "score", param("crop_param", axis=2, offset=(0, 1)))
    net = back(text, tmp_path, caffe)
    assert net.types.count("Crop") == 2


def test_layers_of_one_name_are_told_apart(tmp_path: Path, caffe: Caffe) -> None:
    text = data(1, 3, 6, 7)
    for top in ("a", "b"):
        text += layer("ReLU", "data", top, name="act")
    net = back(text, tmp_path, caffe)
    assert [la.name for la in net.network.layers] == ["data", "act", "act_2"]


@pytest.mark.parametrize("pads", [2, 1])
def test_what_only_looks_like_lrn(pads: int, tmp_path: Path, caffe: Caffe) -> None:
    """Of squares one channel further on, no layer of Caffe's is the sum."""
    import keras
    from keras import ops

    x = keras.Input((5, 6, 4), batch_size=1, name="x")
    squares = keras.layers.Multiply()([x, x])
    padded = ops.pad(squares, [[0, 0], [0, 0], [0, 0], [pads, 4 - pads]])
    total = keras.layers.Add()([padded[..., i : i + 4] for i in range(5)])
    base = keras.layers.Rescaling(0.1, 1.0)(total)
    model = keras.Model(x, keras.layers.Multiply()([x, ops.power(base, -0.75)]))
    net = written(model, tmp_path)
    assert ("LRN" in net.types) == (pads == 2)
    assert_equal(compared(model, net, caffe))


def test_what_only_looks_like_divisors(tmp_path: Path, caffe: Caffe) -> None:
    """Caffe divides the border of an average by other counts than these."""
    import keras
    from keras import ops

    x = keras.Input((6, 6, 2), batch_size=1, name="x")
    y = keras.layers.AveragePooling2D(2, 1)(keras.layers.ZeroPadding2D(1)(x))
    share = np.full((1, 7, 7, 1), 0.5, np.float32)
    model = keras.Model(x, ops.divide(y, share))
    net = written(model, tmp_path)
    assert_equal(compared(model, net, caffe))


@pytest.mark.parametrize("behind", [True, False])
def test_what_only_looks_like_a_deconvolution(behind: bool, tmp_path: Path, caffe: Caffe) -> None:
    """Zeros behind each row and column but the last are Caffe's; zeros in front are not."""
    import keras
    from keras import layers, ops

    from whole import randomised

    pads = (0, 1) if behind else (1, 0)
    x = y = keras.Input((4, 5, 3), batch_size=1, name="x")
    for axis, size in ((1, 4), (2, 5)):
        shape = list(y.shape)
        y = ops.reshape(y, [*shape[: axis + 1], 1, *shape[axis + 1 :]])
        y = ops.pad(y, [pads if d == axis + 1 else (0, 0) for d in range(5)])
        y = ops.reshape(y, [*shape[:axis], 2 * size, *shape[axis + 1 :]])
        y = layers.Cropping2D([(0, int(d == axis)) for d in (1, 2)])(y)
    y = layers.DepthwiseConv2D(3, name="up")(layers.ZeroPadding2D(2)(y))
    model = randomised(keras.Model(x, y))
    net = written(model, tmp_path)
    assert (net.types == ["Input", "Deconvolution"]) == behind
    assert_equal(compared(model, net, caffe))


def test_strides_that_others_do_not_want(tmp_path: Path, caffe: Caffe) -> None:
    """What a convolution makes without strides is read by another layer, too."""
    import keras
    from keras import layers

    from whole import randomised

    x = keras.Input((9, 10, 3), batch_size=1, name="x")
    y = layers.Conv2D(4, 3, dilation_rate=2, name="conv")(x)
    few = layers.MaxPooling2D(1, 2, name="few")(y)
    all_ = layers.Activation("sigmoid", name="all")(y)
    model = randomised(keras.Model(x, [few, all_]))
    net = written(model, tmp_path)
    assert_equal(compared(model, net, caffe), ["conv", "few", "all"])


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_truths_times_zero_are_a_constant(factor: float, tmp_path: Path, caffe: Caffe) -> None:
    import keras
    from keras import layers, ops

    x = keras.Input((4, 5, 2), batch_size=1, name="x")
    truths = ops.cast(ops.greater(x, 0.0), "float32")
    shifted = layers.Rescaling(factor, 0.25)(truths)
    model = keras.Model(x, layers.Multiply(name="y")([x, shifted]))
    net = written(model, tmp_path)
    assert (net.types == ["Input", "Power"]) == (factor == 0)
    assert_equal(compared(model, net, caffe))


def test_keras_models_come_back(tmp_path: Path, caffe: Caffe) -> None:
    """With the same weights bit for bit, layer by layer, and the same outputs."""
    import keras
    from keras import layers

    import caffe2tf
    from whole import randomised

    x = keras.Input((11, 13, 3), batch_size=1, name="x")
    y = layers.Conv2D(6, 3, padding="same", name="conv")(x)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.PReLU(shared_axes=[1, 2], name="prelu")(y)
    y = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(y)
    y = layers.BatchNormalization(center=False, scale=False, name="bare")(y)
    y = layers.Conv2DTranspose(4, 3, strides=2, name="up")(y)
    y = layers.Conv2D(8, 3, groups=2, dilation_rate=2, name="groups")(y)
    y = layers.BatchNormalization(scale=False, name="centred")(y)
    y = layers.MaxPooling2D(3, 2, name="pool")(y)
    y = layers.Flatten(name="flat")(y)
    y = layers.Dense(7, activation="softmax", name="dense")(y)
    model = randomised(keras.Model(x, y))
    net = written(model, tmp_path)
    assert_equal(compared(model, net, caffe))
    again = caffe2tf.load(net.prototxt, net.caffemodel)
    assert weight_differences(model, again) == ([], 0)
    fed = np.random.default_rng(3).standard_normal((1, 11, 13, 3)).astype(np.float32)
    wanted, got = np.asarray(model(fed)), np.asarray(again(fed))
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-6)
