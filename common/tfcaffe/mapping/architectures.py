"""Networks that shipped mappings are for, made by their own code: for a checkpoint without a model.

`mapping check --run` needs a model. A bare checkpoint of a known net gets one here, of
keras.applications or of tf-slim (packages `tf-slim` and `tf_keras`, which are not installed with
this one), with the checkpoint's numbers in it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfcaffe.errors import RuntimeMissingError, UsageError
from tfcaffe.mapping import shipped
from tfcaffe.mapping.mapping_file import MappingFile
from tfcaffe.variables.base import Variable, Variables

_SIZE = 224  # height and width of slim's inputs
# By mapping: the function of keras.applications, and its arguments.
KERAS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "vgg16_keras": ("VGG16", {}),
    "vgg19_keras": ("VGG19", {}),
    "resnet50_keras": ("ResNet50", {}),
    "resnet101_keras": ("ResNet101", {}),
    "resnet152_keras": ("ResNet152", {}),
    "mobilenet_v1_keras": ("MobileNet", {}),
    "mobilenet_v2_keras": ("MobileNetV2", {}),
    "densenet121_keras": ("DenseNet121", {"classifier_activation": None}),
    "inception_v3_keras": ("InceptionV3", {}),
    "xception_keras": ("Xception", {}),
}
_VGG, _RESNET = "vgg.vgg_arg_scope", "resnet_utils.resnet_arg_scope"
_1000: Mapping[str, Any] = {"num_classes": 1000}
# By mapping: the function of tf_slim.nets, that of its arguments' scope, and its arguments.
SLIM: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "vgg16_slim": ("vgg.vgg_16", _VGG, {}),
    "vgg19_slim": ("vgg.vgg_19", _VGG, {}),
    "vgg_a_slim": ("vgg.vgg_a", _VGG, {}),
    "resnet50_slim": ("resnet_v1.resnet_v1_50", _RESNET, _1000),
    "resnet101_slim": ("resnet_v1.resnet_v1_101", _RESNET, _1000),
    "resnet152_slim": ("resnet_v1.resnet_v1_152", _RESNET, _1000),
    "inception_v1_slim": (
        "inception_v1.inception_v1",
        "inception_v3.inception_v3_arg_scope",
        _1000,
    ),
}


def is_known(mapping: MappingFile) -> bool:
    """Whether the mapping is a shipped one for a net that can be made."""
    name = mapping.path.stem
    return mapping.path == shipped.folder() / f"{name}.yaml" and (name in KERAS or name in SLIM)


def model_of(mapping: MappingFile, variables: Variables, folder: Path) -> Path:
    """The model of a known mapping with these numbers, written below `folder`.

    Raises:
        UsageError: the variables are not this net's.
        RuntimeMissingError: tf-slim is not installed.
    """
    name = mapping.path.stem
    if name in KERAS:
        return _keras(*KERAS[name], variables, folder / "model.keras")
    return _slim(*SLIM[name], variables, folder / "model")


def _keras(name: str, options: Mapping[str, Any], variables: Variables, path: Path) -> Path:
    import keras

    keras.utils.clear_session()  # its unnamed layers count from 0
    model = getattr(keras.applications, name)(weights=None, **options)
    for weight in model.weights:
        weight.assign(_found(variables, weight.path, tuple(weight.shape)))
    model.save(path)
    return path


def _slim(net: str, scope: str, options: Mapping[str, Any], found: Variables, path: Path) -> Path:
    import tensorflow as tf

    slim = slim_package()
    build, arg_scope = (
        getattr(importlib.import_module(f"tf_slim.nets.{module}"), function)
        for module, function in (net.split("."), scope.split("."))
    )
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        data = v1.placeholder(tf.float32, [None, _SIZE, _SIZE, 3], "data")
        with slim.arg_scope(arg_scope()):
            logits = build(data, is_training=False, **options)[0]
        output = tf.nn.softmax(tf.reshape(logits, [-1, logits.shape[-1]]))
        for variable in v1.global_variables():
            numbers = _found(found, variable.op.name, tuple(variable.shape))
            variable.load(numbers, session)
        v1.saved_model.simple_save(session, str(path), {"data": data}, {"output": output})
    return path


def slim_package() -> Any:
    """tf-slim, which asks for Keras's old layers where tf_keras no longer has them.

    Raises:
        RuntimeMissingError: it is not installed.
    """
    old = "tf_keras.src.legacy_tf_layers"
    try:
        for part in ("", ".base", ".convolutional", ".core", ".normalization", ".pooling"):
            sys.modules[f"tf_keras.legacy_tf_layers{part}"] = importlib.import_module(old + part)
        sys.modules["tf_keras"].legacy_tf_layers = sys.modules["tf_keras.legacy_tf_layers"]  # type: ignore[attr-defined]
        return importlib.import_module("tf_slim")
    except ImportError as error:
        raise RuntimeMissingError(
            f"--run makes this net by tf-slim's own code: pip install tf-slim tf_keras ({error})"
        ) from error


def _found(variables: Variables, name: str, shape: tuple[int, ...]) -> Any:
    variable: Variable | None = variables.entries.get(name)
    if variable is None or variable.shape != shape:
        there = "is not there" if variable is None else f"is {list(variable.shape)}"
        raise UsageError(
            f"{variables.path}: --run makes the net with 1000 classes, whose variable {name} is "
            f"{list(shape)}, and it {there}; give the model itself (.keras or SavedModel)"
        )
    return variable.floats()
