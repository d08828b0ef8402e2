"""The TensorFlow side of the shipped mappings: real models with every variable random.

Keras's and slim's own initialisation proves nothing (biases and means 0, factors 1, signals that
die), so all numbers are drawn, and BatchNorm's statistics are those of one pass in training mode.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import shipped_graphs as graphs
from shipped_graphs import Build
from tfcaffe.mapping.architectures import KERAS, SLIM, slim_package

Array = NDArray[np.float32]
CHECKPOINT = "model.ckpt"
_SEED = 5
_BATCH = 4  # images of the pass that sets the statistics
_CLASSES = 1000
# The last BatchNorm of a residual branch: weak, as in trained nets. Otherwise what both sides round
# differently grows from block to block, to 2e-4 in ResNet-152.
_BRANCH_END = re.compile(r"_3_bn/|/conv3/BatchNorm/|_project_BN/|_sepconv3_bn/|_branch2c/")


def drawn(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Numbers for a variable, by its name, that keep signals near 1."""
    last = name.split("/")[-1]
    if last in ("moving_variance", "variance"):
        numbers = rng.uniform(0.5, 2, shape)
    elif last in ("gamma", "scale"):
        weak = 0.2 if _BRANCH_END.search(name) else 1.0
        numbers = rng.uniform(0.5, 1.5, shape) * weak
    elif last in ("beta", "offset"):
        numbers = rng.uniform(
            0.5, 1.5, shape
        )  # ReLUs that pass most: fewer of them roll rounding up
    elif len(shape) == 1:
        numbers = rng.normal(0, 0.1, shape)
    else:
        depthwise = "depthwise" in name or "conv_dw" in name
        inputs = prod(shape[:2]) if depthwise else prod(shape[:-1])
        gain = 0.1 if shape[-1] == _CLASSES else 2.0  # logits from which softmax makes no peaks
        numbers = rng.standard_normal(shape, np.float32) * np.float32(sqrt(gain / inputs))
    return np.asarray(numbers, np.float32)


def images(size: int, rng: np.random.Generator, channels: int = 3) -> Array:
    """A batch of noise over large patches, which deep layers tell apart.

    From noise alone they see all images as one, and BatchNorm blows up what is left: rounding.
    """
    patches = rng.standard_normal((_BATCH, 8, 8, channels), np.float32)
    large = np.kron(patches, np.ones((1, -(-size // 8), -(-size // 8), 1), np.float32))
    noise = rng.standard_normal((_BATCH, size, size, channels), np.float32)
    return noise + large[:, :size, :size]


def keras_model(name: str, path: Path, *, options: Mapping[str, Any]) -> Path:
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


def graph(build: Build, size: int, path: Path, *, channels: int = 3, softmax: bool = True) -> Path:
    """A TF1 graph with named variables, as a SavedModel and, beside it, a checkpoint.

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
        output = tf.reshape(logits, [-1, logits.shape[-1]])
        if softmax:
            output = tf.nn.softmax(output)
        for variable in v1.global_variables():
            variable.load(drawn(variable.op.name, tuple(variable.shape), rng), session)
        if updates := v1.get_collection(v1.GraphKeys.UPDATE_OPS):
            session.run(updates, {data: images(size, rng, channels)})
        v1.train.Saver().save(session, str(path / CHECKPOINT), write_meta_graph=False)
        target = path / "model"
        v1.saved_model.simple_save(session, str(target), {"data": data}, {"output": output})
    return target


def slim_net(net: str, scope: str, path: Path, *, options: Mapping[str, Any]) -> Path:
    """A net of tf_slim.nets.

    Args:
        net, scope: `module.function` of the net and of its arguments' scope.
        options: of the net. BatchNorm's decay is 0, so that one pass sets all.
    """
    slim = slim_package()
    build_net, arg_scope = (
        getattr(importlib.import_module(f"tf_slim.nets.{module}"), function)
        for module, function in (net.split("."), scope.split("."))
    )

    def build(data: Any, training: bool) -> Any:
        with slim.arg_scope(
            arg_scope(**({} if net.startswith("vgg") else {"batch_norm_decay": 0.0}))
        ):
            return build_net(data, is_training=training, **options)[0]

    return graph(build, 224, path)


def slim_mobilenet(path: Path) -> Path:
    """MobileNet v1 in slim's words, with explicit padding; tf-slim's package does not have it."""
    slim = slim_package()
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


_FIRE = "squeeze1x1 expand1x1 expand3x3"
_V1_0: dict[str, Any] = {"first": (7, 96), "pools": (4, 8), "pad": 1}
# Builds the model of a mapping in a folder; gives its path.
MODELS: dict[str, Callable[[Path], Path]] = {
    **{
        name: partial(keras_model, function, options=options)
        for name, (function, options) in KERAS.items()
    },
    **{
        name: partial(slim_net, net, scope, options=options)
        for name, (net, scope, options) in SLIM.items()
    },
    "mobilenet_v1_slim": slim_mobilenet,
    "vgg19_tflearn": partial(graph, graphs.tflearn_vgg19(), 112),
    "caffenet_keras_groups": partial(graph, graphs.alexnet(norm_first=False, halves=True), 227),
    "lenet_caffe_tensorflow": partial(graph, graphs.lenet, 28, channels=1),
    "alexnet_caffe_tensorflow": partial(graph, graphs.alexnet(norm_first=True), 227),
    "caffenet_caffe_tensorflow": partial(graph, graphs.alexnet(norm_first=False), 227),
    "nin_caffe_tensorflow": partial(graph, graphs.nin, 224),
    "googlenet_caffe_tensorflow": partial(graph, graphs.googlenet, 224),
    "squeezenet_v1_0_caffe_tensorflow": partial(
        graph, graphs.squeezenet(**_V1_0, names=f"{_FIRE} conv10"), 227, softmax=False
    ),
    "squeezenet_v1_1_caffe_tensorflow": partial(
        graph,
        graphs.squeezenet(first=(3, 64), pools=(3, 5), pad=0, names=f"{_FIRE} conv10"),
        227,
        softmax=False,
    ),
    "squeezenet_deep_compression_caffe_tensorflow": partial(
        graph,
        graphs.squeezenet(**_V1_0, names="conv1x1_1 conv1x1_2 conv3x3_2 conv_final"),
        227,
        softmax=False,
    ),
    "vgg16_caffe_tensorflow": partial(
        graph, graphs.vgg((2, 2, 3, 3, 3), "conv{}_{}".format, ("fc6", "fc7", "fc8")), 224
    ),
    "resnet50_caffe_tensorflow": partial(graph, graphs.resnet50, 224),
}
