"""Keras models of many kinds, their files, and what is read of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.errors import FileFormatError
from tfcaffe.variables.base import Variables
from tfcaffe.variables.files import open_variables


def many_kinds() -> Any:
    """Layers of many kinds, two of one kind, wrappers, recurrence, and models in the model."""
    import keras
    from keras import layers

    inputs = keras.Input((7, 6, 3))
    x = layers.SeparableConv2D(4, 3, name="sep")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", name="dw")(x)
    x = layers.BatchNormalization(scale=False, name="bn")(x)
    x = layers.BatchNormalization(center=False, name="bn2")(x)
    x = layers.Conv2D(4, 1, use_bias=False, name="one")(x)
    x = layers.Conv2DTranspose(3, 2, name="up")(x)
    x = layers.PReLU(name="prelu")(x) + 1.0
    x = layers.TimeDistributed(layers.Conv1D(2, 2, name="inner"), name="td")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    x = layers.Reshape((-1, 4))(x)
    x = layers.Bidirectional(layers.LSTM(3), name="both")(x)
    deep = keras.Input((6,))
    x = keras.Model(deep, layers.Dense(5, name="deep")(deep), name="functional")(x)
    x = keras.Sequential([layers.Dense(4, name="fc"), layers.Dense(2)], name="chain")(x)
    return keras.Model(inputs, x, name="outer")


def sequential() -> Any:
    import keras
    from keras import layers

    kinds = [layers.Conv2D(3, 2), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(4)]
    return keras.Sequential([keras.Input((6, 5, 2)), *kinds], name="plain")


def chains_in_chains() -> Any:
    """Sequentials with inputs of their own within others: each is a scope alone."""
    import keras

    def chain(name: str, *kinds: Any) -> Any:
        return keras.Sequential([keras.Input((6,)), *kinds], name=name)

    def fc(name: str) -> Any:
        return keras.layers.Dense(6, name=name)

    return chain("outer", chain("mid", chain("inner", fc("x")), fc("w")), fc("y"))


def eleven_layers() -> Any:
    import keras

    inputs = x = keras.Input((3,))
    for i in range(11):
        x = keras.layers.Dense(3, name=f"layer{10 - i}")(x)
    return keras.Model(inputs, x)


def same_names() -> Any:
    """Two nested models with a layer of one name: told apart by the models' names."""
    import keras

    inputs = x = keras.Input((3,))
    for name in ("left", "right"):
        inner = keras.Input((3,))
        x = keras.Model(inner, keras.layers.Dense(3, name="fc")(inner), name=name)(x)
    return keras.Model(inputs, x, name="outer")


def randomised(make: Callable[[], Any]) -> Any:
    model = make()
    rng = np.random.default_rng(5)
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(rng.standard_normal(variable.shape))
    return model


def own(variables: Variables) -> dict[str, Any]:
    return {name: v.read() for name, v in variables.entries.items() if not v.role}


def expect_equal(found: dict[str, Any], model: Any) -> None:
    expected = {v.path: v.numpy() for v in model.variables if "seed_generator" not in v.path}
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def expect_refusal(path: Path, match: str, error: type[Exception] = FileFormatError) -> None:
    with pytest.raises(error, match=match):
        for variable in open_variables(path).entries.values():
            variable.read()
