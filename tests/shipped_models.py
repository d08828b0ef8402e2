"""The TensorFlow side of the shipped mappings: real models with every variable random.

Keras's and slim's own initialisation proves nothing (biases and means 0, factors 1, signals that
die), so all numbers are drawn, and BatchNorm's statistics are those of one pass in training mode.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from functools import partial
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
_SEED = 5
_BATCH = 4  # images of the pass that sets the statistics
_CLASSES = 1000
# The last BatchNorm of a residual branch: weak, as in trained nets. Otherwise what both sides round
# differently grows from block to block, to 2e-4 in ResNet-152.
_BRANCH_END = re.compile(r"_3_bn/|/conv3/BatchNorm/|_project_BN/|_sepconv3_bn/")


def drawn(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Numbers for a variable, by its name, that keep signals near 1."""
    last = name.split("/")[-1]
    if last == "moving_variance":
        numbers = rng.uniform(0.5, 2, shape)
    elif last == "gamma":
        weak = 0.2 if _BRANCH_END.search(name) else 1.0
        numbers = rng.uniform(0.5, 1.5, shape) * weak
    elif len(shape) == 1:
        numbers = rng.normal(0, 0.1, shape)
    else:
        depthwise = "depthwise" in name or "conv_dw" in name
        inputs = prod(shape[:2]) if depthwise else prod(shape[:-1])
        gain = 0.03 if shape[-1] == _CLASSES else 2  # logits from which a softmax makes no peaks
        numbers = rng.standard_normal(shape, np.float32) * np.float32(sqrt(gain / inputs))
    return np.asarray(numbers, np.float32)


def images(size: int, rng: np.random.Generator, channels: int = 3) -> Array:
    """A batch of noise."""
    return rng.standard_normal((_BATCH, size, size, channels), np.float32)


def keras_model(name: str, path: Path, **options: Any) -> Path:
    """A model of keras.applications, as `.keras`."""
    import keras

    keras.utils.clear_session()  # its unnamed layers count from 0
    model = getattr(keras.applications, name)(weights=None, **options)
    rng = np.random.default_rng(_SEED)
    for weight in model.weights:
        weight.assign(drawn(weight.path, tuple(weight.shape), rng))
    norms = [la for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(images(model.input_shape[1], rng), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    target = path / "model.keras"
    model.save(target)
    return target


def graph(build: Callable[[Any, bool], Any], size: int, path: Path, channels: int = 3) -> Path:
    """A TF1 graph with named variables, as a SavedModel.

    Args:
        build: logits from a placeholder, in training mode or not; the second call reuses variables.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    rng = np.random.default_rng(_SEED)
    with tf.Graph().as_default(), v1.Session() as session:
        data = v1.placeholder(tf.float32, [None, size, size, channels], "data")
        build(data, True)
        v1.get_variable_scope().reuse_variables()
        logits = build(data, False)
        prob = tf.nn.softmax(tf.reshape(logits, [-1, logits.shape[-1]]))
        for variable in v1.global_variables():
            variable.load(drawn(variable.op.name, tuple(variable.shape), rng), session)
        if updates := v1.get_collection(v1.GraphKeys.UPDATE_OPS):
            session.run(updates, {data: images(size, rng, channels)})
        target = path / "model"
        v1.saved_model.simple_save(session, str(target), {"data": data}, {"prob": prob})
    return target


def _slim() -> Any:
    """tf-slim asks for Keras's old layers where tf_keras no longer has them."""
    old = "tf_keras.src.legacy_tf_layers"
    for part in ("", ".base", ".convolutional", ".core", ".normalization", ".pooling"):
        sys.modules[f"tf_keras.legacy_tf_layers{part}"] = importlib.import_module(old + part)
    sys.modules["tf_keras"].legacy_tf_layers = sys.modules["tf_keras.legacy_tf_layers"]
    return importlib.import_module("tf_slim")


def slim_net(module: str, name: str, path: Path, scope: dict[str, Any], **options: Any) -> Path:
    """A net of tf_slim.nets.

    Args:
        scope: arguments of the module's `…_arg_scope`.
    """
    slim = _slim()
    nets = importlib.import_module(f"tf_slim.nets.{module}")
    home = importlib.import_module("tf_slim.nets.resnet_utils") if "resnet" in module else nets
    scopes = {"resnet_v1": "resnet_arg_scope", "vgg": "vgg_arg_scope"}
    arg_scope = getattr(home, scopes.get(module, f"{module}_arg_scope"))

    def build(data: Any, training: bool) -> Any:
        with slim.arg_scope(arg_scope(**scope)):
            return getattr(nets, name)(data, is_training=training, **options)[0]

    return graph(build, 224, path)


def slim_mobilenet(path: Path) -> Path:
    """MobileNet v1 in slim's words, with explicit padding; tf-slim's package does not have it."""
    slim = _slim()
    halving = (2, 4, 6, 12)
    outputs = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)

    def build(data: Any, training: bool) -> Any:
        import tensorflow as tf

        def padded(value: Any) -> Any:
            return tf.pad(value, [[0, 0], [1, 1], [1, 1], [0, 0]])

        norm = {"is_training": training, "decay": 0.0, "epsilon": 0.001, "scale": True}
        words = {"normalizer_fn": slim.batch_norm, "normalizer_params": norm, "padding": "VALID"}
        words["activation_fn"] = tf.nn.relu6
        with tf.compat.v1.variable_scope("MobilenetV1"):
            value = slim.conv2d(padded(data), 32, 3, stride=2, scope="Conv2d_0", **words)
            for i, count in enumerate(outputs, 1):
                value = slim.separable_conv2d(
                    padded(value),
                    None,
                    3,
                    depth_multiplier=1,
                    stride=2 if i in halving else 1,
                    scope=f"Conv2d_{i}_depthwise",
                    **words,
                )
                value = slim.conv2d(value, count, 1, scope=f"Conv2d_{i}_pointwise", **words)
            value = tf.reduce_mean(value, [1, 2], keepdims=True)
            with tf.compat.v1.variable_scope("Logits"):
                return slim.conv2d(value, 1000, 1, activation_fn=None, scope="Conv2d_1c_1x1")

    return graph(build, 224, path)


class _Plain:
    """Layers of a TF1 graph under variable names of one's own."""

    def __init__(self, weights: str, biases: str) -> None:
        self._roles = weights, biases

    def _variables(self, name: str, shape: list[int]) -> tuple[Any, Any]:
        import tensorflow as tf

        kernel, bias = (f"{name}/{role}" for role in self._roles)
        get = tf.compat.v1.get_variable
        return get(kernel, shape), get(bias, shape[-1:])

    def conv(self, value: Any, name: str, size: int, count: int, stride: int, pad: int) -> Any:
        import tensorflow as tf

        kernel, bias = self._variables(name, [size, size, value.shape[-1], count])
        pads = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
        return tf.nn.conv2d(value, kernel, stride, pads) + bias

    def halves(self, value: Any, name: str, size: int, count: int, pad: int) -> Any:
        """A convolution in two groups, as two layers."""
        import tensorflow as tf

        parts = [
            self.conv(part, f"{name}_{i}", size, count // 2, 1, pad)
            for i, part in enumerate(tf.split(value, 2, -1), 1)
        ]
        return tf.concat(parts, -1)

    def dense(self, value: Any, name: str, count: int) -> Any:
        import tensorflow as tf

        flat = tf.reshape(value, [-1, prod(value.shape[1:])])
        kernel, bias = self._variables(name, [flat.shape[-1], count])
        return flat @ kernel + bias


def tflearn_vgg19(path: Path) -> Path:
    """tflearn's VGG-19 under the names that it gives of itself."""

    def build(data: Any, training: bool) -> Any:
        import tensorflow as tf

        net, value, i = _Plain("W", "b"), data, 0
        for block, repeats in enumerate((2, 2, 4, 4, 4)):
            for _ in range(repeats):
                name = f"Conv2D_{i}" if i else "Conv2D"
                value = tf.nn.relu(net.conv(value, name, 3, min(64 << block, 512), 1, 1))
                i += 1
            value = tf.nn.max_pool2d(value, 2, 2, "SAME")
        value = tf.nn.relu(net.dense(value, "FullyConnected", 4096))
        value = tf.nn.relu(net.dense(value, "FullyConnected_1", 4096))
        return net.dense(value, "FullyConnected_2", 1000)

    return graph(build, 112, path)


def caffenet_groups(path: Path) -> Path:
    """CaffeNet with each half of a grouped convolution as a layer of its own."""

    def build(data: Any, training: bool) -> Any:
        import tensorflow as tf

        net, relu = _Plain("kernel", "bias"), tf.nn.relu
        pool = partial(tf.nn.max_pool2d, ksize=3, strides=2, padding="VALID")
        lrn = partial(tf.nn.lrn, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
        value = lrn(pool(relu(net.conv(data, "conv1", 11, 96, 4, 0))))
        value = lrn(pool(relu(net.halves(value, "conv2", 5, 256, 2))))
        value = relu(net.conv(value, "conv3", 3, 384, 1, 1))
        value = relu(net.halves(value, "conv4", 3, 384, 1))
        value = pool(relu(net.halves(value, "conv5", 3, 256, 1)))
        value = relu(net.dense(value, "fc6", 4096))
        value = relu(net.dense(value, "fc7", 4096))
        return net.dense(value, "fc8", 1000)

    return graph(build, 227, path)


def lenet(path: Path) -> Path:
    """LeNet under caffe-tensorflow's names."""

    def build(data: Any, training: bool) -> Any:
        import tensorflow as tf

        net = _Plain("weights", "biases")
        value = tf.nn.max_pool2d(net.conv(data, "conv1", 5, 20, 1, 0), 2, 2, "VALID")
        value = tf.nn.max_pool2d(net.conv(value, "conv2", 5, 50, 1, 0), 2, 2, "VALID")
        return net.dense(tf.nn.relu(net.dense(value, "ip1", 500)), "ip2", 10)

    return graph(build, 28, path, channels=1)


_LOGITS = {"classifier_activation": None}
_DECAY = {"batch_norm_decay": 0.0}
# Builds the model of a mapping in a folder; gives its path. What is not here has names only.
MODELS: dict[str, Callable[[Path], Path]] = {
    "vgg16_keras": lambda path: keras_model("VGG16", path),
    "vgg19_keras": lambda path: keras_model("VGG19", path),
    "resnet50_keras": lambda path: keras_model("ResNet50", path),
    "resnet101_keras": lambda path: keras_model("ResNet101", path),
    "resnet152_keras": lambda path: keras_model("ResNet152", path),
    "mobilenet_v1_keras": lambda path: keras_model("MobileNet", path),
    "mobilenet_v2_keras": lambda path: keras_model("MobileNetV2", path),
    "densenet121_keras": lambda path: keras_model("DenseNet121", path, **_LOGITS),
    "inception_v3_keras": lambda path: keras_model("InceptionV3", path),
    "xception_keras": lambda path: keras_model("Xception", path),
    "vgg16_slim": lambda path: slim_net("vgg", "vgg_16", path, {}),
    "vgg19_slim": lambda path: slim_net("vgg", "vgg_19", path, {}),
    "vgg_a_slim": lambda path: slim_net("vgg", "vgg_a", path, {}),
    **{
        f"resnet{n}_slim": partial(
            lambda path, n: slim_net("resnet_v1", f"resnet_v1_{n}", path, _DECAY, num_classes=1000),
            n=n,
        )
        for n in (50, 101, 152)
    },
    "mobilenet_v1_slim": slim_mobilenet,
    "inception_v1_slim": lambda path: slim_net(
        "inception_v1", "inception_v1", path, _DECAY, num_classes=1000
    ),
    "vgg19_tflearn": tflearn_vgg19,
    "caffenet_keras_groups": caffenet_groups,
    "lenet_caffe_tensorflow": lenet,
}
