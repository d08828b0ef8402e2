"""Preprocessing as Keras layers in front of the net."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2tf.site import Tensor, fill
from tfcaffe.layout import Layout
from tfcaffe.preprocess import Preprocessing


def preprocessed(x: Tensor, steps: Preprocessing, layout: Layout, name: str) -> Tensor:
    """The input with its channels turned round, minus the mean, times the scale."""
    import keras

    made = 0

    def helper() -> str:
        nonlocal made
        made += 1
        return f"{name}>h{made}"

    if steps.flip:
        x = keras.ops.flip(x, axis=layout.dim(1))
        x._keras_history.operation.name = helper()
    if steps.mean is not None:
        x = _minus(x, steps.mean, layout, helper())
    if steps.scale != 1:
        x = keras.layers.Rescaling(steps.scale, name=helper())(x)
    return x


def _minus(x: Tensor, mean: np.ndarray, layout: Layout, name: str) -> Tensor:
    """Keras's Normalization with a variance of 1: the mean is a weight that is not trained."""
    import keras

    axes = (1,) if mean.ndim == 1 else (1, 2, 3)
    order = [layout.dim(axis) for axis in axes]
    values = np.transpose(mean, np.argsort(order)) if mean.ndim > 1 else mean
    layer: Any = keras.layers.Normalization(axis=tuple(sorted(order)), name=name)
    fill(layer, {"mean": values, "variance": np.ones_like(values)}, x)
    layer.finalize_state()
    return layer(x)
