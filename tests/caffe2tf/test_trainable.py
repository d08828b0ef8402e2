"""A converted net as one to train: what is frozen, shared, initialised and decayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import caffe2tf
from conversions import write_net
from prototxts import data, layer, param
from tfcaffe.oracle.pycaffe import Caffe

LABEL = data(4, name="label")
LOSS = layer("SoftmaxWithLoss", ["ip", "label"], "loss")


def product(bottom: str, top: str, fields: str = "", **more: object) -> str:
    """An InnerProduct of 3 outputs."""
    return layer(
        "InnerProduct", bottom, top, fields + param("inner_product_param", num_output=3, **more)
    )


def variables(model: Any) -> dict[str, Any]:
    """By path, as a user sees them."""
    return {variable.path: variable for variable in model.variables}


def trained(model: Any, steps: int = 2) -> None:
    """A few steps towards random numbers."""
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(8, *tensor.shape[1:])).astype("f") for tensor in model.inputs]
    answers = rng.normal(size=(8, *model.outputs[0].shape[1:])).astype("f")
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(batches, answers, batch_size=4, epochs=steps, verbose=0)


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ("", True),
        ("param { lr_mult: 0 }", True),  # the bias still learns
        ("param { lr_mult: 0 } param { lr_mult: 0 }", False),
        ("param { lr_mult: 0 } param { lr_mult: 2 }", True),
    ],
    ids=["unsaid", "one", "all", "half"],
)
def test_frozen(specs: str, expected: bool, tmp_path: Path) -> None:
    files = write_net(tmp_path, data(4, 5) + product("data", "a", specs) + product("a", "b"))
    model = caffe2tf.load(files.net, files.weights)
    before = {path: v.numpy().copy() for path, v in variables(model).items()}
    assert model.get_layer("a").trainable == expected
    trained(model)
    moved = {path for path, v in variables(model).items() if not np.array_equal(v, before[path])}
    assert moved == ({"a/kernel", "a/bias"} if expected else set()) | {"b/kernel", "b/bias"}


NORM = data(4, 3, 5, 6) + layer("BatchNorm", "data", "n", "param { lr_mult: 0 } " * 3, name="norm")


@pytest.mark.parametrize(
    ("specs", "expected"), [("", True), ("param { lr_mult: 0 } " * 2, False)], ids=["free", "fixed"]
)
def test_scale_decides_for_its_batch_norm(specs: str, expected: bool, tmp_path: Path) -> None:
    """BatchNorm's own lr_mult are always 0 in Caffe, and freeze nothing."""
    scale = layer("Scale", "n", "n", specs + "scale_param { bias_term: true }", name="scale")
    files = write_net(tmp_path, NORM + scale)
    model = caffe2tf.load(files.net, files.weights)
    (norm,) = [la for la in model.layers if la.weights]
    assert isinstance(norm, keras.layers.BatchNormalization)
    assert norm.name == "norm"
    assert norm.trainable == expected
    assert len(norm.trainable_variables) == (2 if expected else 0)


def test_keep_scale(tmp_path: Path) -> None:
    """Two layers, and the same answer."""
    scale = layer("Scale", "n", "n", "scale_param { bias_term: true }", name="scale")
    files = write_net(tmp_path, NORM + scale)
    merged = caffe2tf.load(files.net, files.weights)
    apart = caffe2tf.load(files.net, files.weights, keep_scale=True)
    assert [la.name for la in apart.layers if la.weights] == ["norm", "scale"]
    x = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype("f")
    np.testing.assert_allclose(apart(x), merged(x), rtol=1e-5, atol=1e-5)
    caffe2tf.convert(files.net, files.weights, tmp_path / "a.npz", keep_scale=True)
    with np.load(tmp_path / "a.npz") as arrays:
        assert set(arrays) == {"norm/mean", "norm/variance", "scale/gamma", "scale/beta"}


SHARED = 'param { name: "w" } param { name: "b" }'
SIAMESE = (
    data(4, 5, name="left")
    + data(4, 5, name="right")
    + product("left", "l", SHARED)
    + product("right", "r", SHARED)
    + layer("Eltwise", ["l", "r"], "d", "eltwise_param { operation: SUM coeff: 1 coeff: -2 }")
)


@pytest.mark.parametrize("with_weights", [True, False], ids=["weights", "none"])
def test_shared(with_weights: bool, tmp_path: Path) -> None:
    """Both branches are one layer, before and after training and loading."""
    files = write_net(tmp_path, SIAMESE)
    model = caffe2tf.load(files.net, files.weights if with_weights else None)
    assert [v.path for v in model.variables] == ["l/kernel", "l/bias"]
    before = model.get_layer("l").get_weights()[0].copy()
    trained(model)
    kernel, bias = model.get_layer("l").get_weights()
    assert not np.array_equal(kernel, before)
    left, right = np.random.default_rng(1).normal(size=(2, 4, 5)).astype("f")
    expected = (left @ kernel + bias) - 2 * (right @ kernel + bias)
    model.save(tmp_path / "m.keras")
    for each in (model, keras.saving.load_model(tmp_path / "m.keras")):
        np.testing.assert_allclose(each([left, right]), expected, rtol=1e-5, atol=1e-5)


# -- fillers


def filler(text: str) -> str:
    """A weight filler for `convolution`."""
    return f"weight_filler {{ {text} }}"


def convolution(fields: str, kind: str = "Convolution", channels: int = 8) -> str:
    """One layer of 3×4 kernels, big enough for its random numbers to have a distribution."""
    own = f"convolution_param {{ num_output: 64 kernel_h: 3 kernel_w: 4 {fields} }}"
    return data(1, channels, 9, 9) + layer(kind, "data", "y", own)


FILLERS = {
    "xavier": convolution(filler('type: "xavier"')),
    "xavier fan out": convolution(filler('type: "xavier" variance_norm: FAN_OUT')),
    "xavier average": convolution(filler('type: "xavier" variance_norm: AVERAGE')),
    "msra": convolution(filler('type: "msra"')),
    "gaussian": convolution(filler('type: "gaussian" mean: 0.3 std: 0.02')),
    "uniform": convolution(filler('type: "uniform" min: -1 max: 3')),
    "constant": convolution(filler('type: "constant" value: 0.25')),
    "grouped": convolution("group: 4 " + filler('type: "msra" variance_norm: FAN_OUT')),
    "depthwise": convolution("group: 8 " + filler('type: "msra"')),
    "deconvolution": convolution(filler('type: "xavier"'), "Deconvolution"),
    "transposed product": data(1, 200)
    + layer(
        "InnerProduct",
        "data",
        "y",
        "inner_product_param { num_output: 64 transpose: true " + filler('type: "xavier"') + "}",
    ),
    "bilinear": data(1, 5, 4, 4)
    + layer(
        "Deconvolution",
        "data",
        "y",
        "convolution_param { num_output: 5 group: 5 kernel_size: 4 stride: 2 "
        + filler('type: "bilinear"')
        + "}",
    ),
}


@pytest.mark.parametrize("text", FILLERS.values(), ids=FILLERS)
def test_fillers_draw_as_caffe_does(text: str, tmp_path: Path, caffe: Caffe) -> None:
    """Without weights: mean, spread and quantiles of the kernel are those of real Caffe's."""
    keras.utils.set_random_seed(1)
    net, saved = tmp_path / "net.prototxt", tmp_path / "caffe.h5"
    net.write_text(text)
    caffe.save(net, saved, seed=1)
    model, drawn = caffe2tf.load(net), caffe2tf.load(net, saved)
    ours, theirs = model.get_layer("y").get_weights()[0], drawn.get_layer("y").get_weights()[0]
    spread = np.std(theirs) + 1e-6
    assert abs(np.std(ours) - np.std(theirs)) < 0.15 * spread
    for percent in (2, 25, 50, 75, 98):
        difference = np.percentile(ours, percent) - np.percentile(theirs, percent)
        assert abs(difference) < 0.3 * spread, percent


def test_initialisers_are_in_the_config(tmp_path: Path) -> None:
    """Also of a net with weights, so that it can be trained anew; and they survive saving."""
    fill = 'weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "constant" value: 2 }'
    own = f"inner_product_param {{ num_output: 3 {fill} }}"
    files = write_net(tmp_path, data(1, 4) + layer("InnerProduct", "data", "y", own))
    caffe2tf.convert(files.net, files.weights, tmp_path / "m.keras")
    config = keras.saving.load_model(tmp_path / "m.keras").get_layer("y").get_config()
    assert config["kernel_initializer"]["class_name"] == "RandomNormal"
    assert config["kernel_initializer"]["config"]["stddev"] == 0.5
    assert config["bias_initializer"]["config"]["value"] == 2


def test_without_a_filler_weights_are_not_drawn_first(tmp_path: Path) -> None:
    """A file that brings its numbers loads without drawing others; a net without any has some."""
    own = "inner_product_param { num_output: 3 }"
    files = write_net(tmp_path, data(1, 4) + layer("InnerProduct", "data", "y", own))
    kinds = [
        caffe2tf.load(files.net, weights).get_layer("y").get_config()["kernel_initializer"]
        for weights in (files.weights, None)
    ]
    assert [kind["class_name"] for kind in kinds] == ["Zeros", "GlorotUniform"]


@pytest.mark.parametrize(
    ("text", "variable", "value"),
    [
        (data(1, 3) + layer("Scale", "data", "y"), "y/kernel", 1.0),
        (data(1, 3, 4, 4) + layer("PReLU", "data", "y"), "y/alpha", 0.25),
    ],
    ids=["Scale", "PReLU"],
)
def test_unsaid_fillers(text: str, variable: str, value: float, tmp_path: Path) -> None:
    """Caffe's own defaults for these types. Source: scale_layer.cpp, prelu_layer.cpp."""
    (tmp_path / "net.prototxt").write_text(text)
    found = variables(caffe2tf.load(tmp_path / "net.prototxt"))[variable]
    np.testing.assert_array_equal(found, np.full(found.shape, value))


@pytest.mark.parametrize(
    "text", ['type: "positive_unitball"', 'type: "gaussian" sparse: 5', 'type: "odd"']
)
def test_fillers_that_keras_lacks(text: str, tmp_path: Path) -> None:
    """Refused without weights; with weights they do not matter."""
    files = write_net(tmp_path, convolution(filler(text)))
    with pytest.raises(caffe2tf.ConversionError, match="weight_filler"):
        caffe2tf.load(files.net)
    caffe2tf.load(files.net, files.weights)


# -- weight decay

DECAY = (
    data(4, 5)
    + product("data", "a", "param { decay_mult: 1 } param { decay_mult: 0 }")
    + product("a", "b", "param { decay_mult: 3 }")
    + product("b", "ip", "param { lr_mult: 0 } param { lr_mult: 0 }")
    + LABEL
    + LOSS
)


def test_weight_decay(tmp_path: Path) -> None:
    """Its gradient is decay · decay_mult · w, as the solver's; frozen blobs have none."""
    import tensorflow as tf

    files = write_net(tmp_path, DECAY, phase="TRAIN")
    caffe2tf.convert(
        files.net, files.weights, tmp_path / "m.keras", phase="TRAIN", weight_decay=0.01
    )
    model = keras.saving.load_model(tmp_path / "m.keras")
    with tf.GradientTape() as tape:
        loss = tf.add_n(model.losses)
    found = variables(model)
    expected = {"a/kernel": 0.01, "b/kernel": 0.03, "b/bias": 0.01}
    gradients = tape.gradient(loss, [v.value for v in found.values()])
    for (path, variable), gradient in zip(found.items(), gradients, strict=True):
        if path in expected:
            np.testing.assert_allclose(gradient, expected[path] * variable.numpy(), rtol=1e-5)
        else:
            assert gradient is None, path
    assert set(found) - set(expected) == {"a/bias", "ip/kernel", "ip/bias"}


def test_no_decay_unless_asked_for(tmp_path: Path) -> None:
    files = write_net(tmp_path, DECAY, phase="TRAIN")
    assert not caffe2tf.load(files.net, files.weights, phase="TRAIN").losses
