"""Models in models: their layers are known by name, compared, and can be cut at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.errors import ConversionError
from tfcaffe.oracle.pycaffe import Caffe
from whole import assert_equal, check, compared, randomised, written


def tower(keras: Any, name: str, *more: Any) -> Any:
    layers = keras.layers
    convs = [layers.Conv2D(4, 3, padding="same", name="conv"), layers.Conv2D(4, 1, name=name)]
    return keras.Sequential([layers.Input((6, 5, 4)), *convs, *more], name=f"tower_{name}")


def two_towers(keras: Any) -> Any:
    """Both have a layer `conv`; the right one is called twice and holds a model itself."""
    x = keras.Input((6, 5, 4), name="x")
    left, right = tower(keras, "l"), tower(keras, "r", tower(keras, "deep"))
    once = right(x)
    return keras.Model(x, keras.layers.Concatenate(name="all")([left(x), once, right(once)]))


def test_names(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    model = two_towers(keras)
    net = check(model, tmp_path, caffe)
    names = [layer.name for layer in net.network.layers]
    right = ["tower_r/conv", "r", "tower_r/tower_deep/conv", "deep"]
    further = [f"{name}_2" for name in right]
    assert sorted(names) == sorted(["x", "tower_l/conv", "l", *right, *further, "all"])
    assert sorted(blob.layer for blob in compared(model, net, caffe).blobs) == sorted(names)


def test_a_name_that_another_layer_has(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    x = keras.Input((4,), name="x")
    fc = keras.layers.Dense(4, name="fc")
    model = keras.Model(x, [fc(fc(x)), keras.layers.Dense(2, name="fc_2")(x)])
    net = check(model, tmp_path, caffe)
    assert {layer.name for layer in net.network.layers} == {"x", "fc", "fc_call2", "fc_2"}


def test_cuts(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    model = randomised(two_towers(keras))
    net = written(model, tmp_path, outputs=["r#2", "tower_deep", "l"], inputs=["tower_r/conv", "x"])
    assert {blob.node for blob in net.network.twin.inputs} == {"tower_r/conv", "x"}
    with pytest.raises(ConversionError, match="--outputs conv: the model has no such name; near"):
        written(model, tmp_path, outputs=["conv"])


def test_each_step(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    layers = keras.layers
    x = keras.Input((3, 6, 5, 4), name="frames")
    y = layers.TimeDistributed(tower(keras, "deep"), name="steps")(x)
    model = keras.Model(x, layers.Flatten(name="flat")(layers.ReLU(name="relu")(y)))
    net = check(model, tmp_path, caffe)
    assert_equal(compared(model, net, caffe), ["conv", "deep"])
    assert written(model, tmp_path, outputs=["conv"]).types == ["Input", "Reshape", "Convolution"]


def test_a_dictionary_is_sorted_as_keras_does(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    apart = keras.Model([b, a], keras.layers.Subtract(name="apart")([b, a]))
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    check(keras.Model([x, y], apart({"a": x, "b": y})), tmp_path, caffe)


def test_a_functional_class_with_a_call_of_its_own(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    class Twice(keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return 2.0 * super().call(inputs)

    a, x = keras.Input((4,), name="a"), keras.Input((4,), name="x")
    inner = Twice(a, keras.layers.Dense(3, name="fc")(a))
    check(keras.Model(x, inner(x)), tmp_path, caffe)
    with pytest.raises(ConversionError, match="export it as a SavedModel"):
        written(inner, tmp_path)


ODD = ["a b", 'a"b', "a'b", "a\nb", "a\\b", "ü", "..", "_x", "a:b", "a,b", "%s", "{b}", "x" * 300]


def test_odd_names(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    x = y = keras.Input((4,), name="x y")
    for name in ODD:
        y = keras.layers.Dense(4, name=name)(y)
    wrapped = keras.layers.TimeDistributed(keras.layers.Dense(2, name="in it"), name="each 1")
    model = keras.Model(x, wrapped(keras.layers.Reshape((2, 2), name="*")(y)))
    net = check(model, tmp_path, caffe)
    assert [la.name for la in net.network.layers if la.type == "InnerProduct"][:-1] == ODD
    assert wrapped.layer.name == "in it"
    np.testing.assert_array_equal([layer.name for layer in model.layers][1:-2], ODD)
