"""Poolings of Keras in real Caffe."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from branches import branches
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written

_SIZES = [(10, 13), (11, 8), (9, 9)]
_WINDOWS = list(
    product([1, 2, 3, 4, 5, (2, 3)], [1, 2, 3, (1, 2)], ["same", "valid"])  # kernel, stride
)


def _name(kernel: Any, stride: Any, padding: str) -> str:
    return f"k{kernel}_s{stride}_{padding}".replace(", ", "x").replace("(", "").replace(")", "")


@pytest.mark.parametrize("size", _SIZES)
def test_every_maximum(size: tuple[int, int], tmp_path: Path, caffe: Caffe) -> None:
    """Also of numbers below 0, and where Caffe's rounding makes a window more."""
    from keras.layers import Activation, MaxPooling2D

    cases = {_name(k, s, p): [MaxPooling2D(k, s, p), Activation("tanh")] for k, s, p in _WINDOWS}
    net = check(branches((*size, 3), cases), tmp_path, caffe)
    assert set(net.types) <= {"Input", "Pooling", "Convolution", "TanH"}


@pytest.mark.parametrize("size", _SIZES)
def test_every_average(size: tuple[int, int], tmp_path: Path, caffe: Caffe) -> None:
    """Divisors are TensorFlow's, at each border and where a window reaches over it."""
    from keras.layers import Activation, AveragePooling2D

    cases = {
        _name(k, s, p): [AveragePooling2D(k, s, p), Activation("tanh")] for k, s, p in _WINDOWS
    }
    net = check(branches((*size, 3), cases), tmp_path, caffe)
    assert set(net.types) <= {"Input", "Pooling", "Convolution", "Reshape", "Scale", "TanH"}


@pytest.mark.parametrize(
    ("size", "layers"),
    [
        ((8, 12), ["Pooling"]),
        ((9, 12), ["Pooling", "Convolution"]),
    ],
)
def test_what_rounding_makes_too_much_is_cut(
    size: tuple[int, int], layers: list[str], tmp_path: Path
) -> None:
    from keras.layers import MaxPooling2D

    net = written(branches((*size, 3), {"pool": [MaxPooling2D(2)]}), tmp_path)
    assert net.types == ["Input", *layers]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "layers"),
    [
        (2, 2, "valid", ["Pooling"]),  # 8 x 12
        (3, 1, "same", ["Pooling", "Scale"]),
        (3, 2, "valid", ["Convolution"]),  # Caffe would make a row more
        (3, 2, "same", ["Pooling"]),  # and here TensorFlow, too
        ((8, 12), 1, "valid", ["Pooling"]),
        (1, 2, "valid", ["Convolution"]),
    ],
)
def test_an_average_takes_the_fewest_layers(
    kernel: int, stride: int, padding: str, layers: list[str], tmp_path: Path
) -> None:
    from keras.layers import AveragePooling2D

    pool = AveragePooling2D(kernel, stride, padding)
    net = written(branches((8, 12, 3), {"pool": [pool]}), tmp_path)
    assert net.types == ["Input", *layers]


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_a_dialect_that_rounds_down_needs_no_cut(kernel: int, tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import AveragePooling2D, MaxPooling2D

    cases = {"max": [MaxPooling2D(kernel, 2)], "ave": [AveragePooling2D(kernel, 2)]}
    net = check(branches((10, 11, 3), cases), tmp_path, caffe, dialect="caffe-master")
    assert net.types == ["Input", "Pooling", "Pooling"]


def test_portable_averages_reach_over_no_edge(tmp_path: Path, caffe: Caffe) -> None:
    """Other readers divide by all of the kernel there, so that a note tells of it elsewhere."""
    from keras.layers import AveragePooling2D, MaxPooling2D

    cases = {
        "over": [AveragePooling2D(2, 2, "same")],
        "fits": [AveragePooling2D(3, 1, "valid")],
        "max": [MaxPooling2D(2, 2, "same")],
    }
    model = branches((9, 7, 3), cases)
    usual = check(model, tmp_path, caffe)
    assert usual.types == ["Input", *["Pooling"] * 3]
    assert "(Pooling with overhang true: over)" in usual.network.notes[0]
    net = check(model, tmp_path, caffe, dialect="portable")
    assert not net.network.notes
    types = {name: [] for name in cases}
    for layer in net.network.layers[1:]:
        types[layer.origin].append(layer.type)
    assert types["over"] == ["Convolution", "Reshape", "Scale", "Reshape"]
    assert types["fits"] == types["max"] == ["Pooling"]


def test_global(tmp_path: Path, caffe: Caffe) -> None:
    from keras import layers

    cases = {
        "average": [layers.GlobalAveragePooling2D()],
        "maximum": [layers.GlobalMaxPooling2D()],
        "kept": [layers.GlobalAveragePooling2D(keepdims=True)],
        "whole": [layers.AveragePooling2D((5, 7))],
    }
    net = check(branches((5, 7, 3), cases), tmp_path, caffe)
    pools = [layer.message.pooling_param for layer in net.network.layers[1:]]
    assert all(p.global_pooling and not p.kernel_size for p in pools)


def test_zeros_before_a_maximum(tmp_path: Path, caffe: Caffe) -> None:
    """They go into the pooling only where no number is below 0."""
    from keras import layers

    def padded(*first: Any) -> list[Any]:
        return [*first, layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2)]

    cases = {
        "unknown": padded(),
        "behind_relu": padded(layers.ReLU()),
        "behind_relu6": padded(layers.ReLU(6.0)),
        "behind_a_pooling": padded(layers.Activation("sigmoid"), layers.MaxPooling2D(2, 1)),
        "behind_tanh": padded(layers.Activation("tanh")),
        "uneven": [layers.ReLU(), layers.ZeroPadding2D(((1, 0), (0, 1))), layers.MaxPooling2D(3)],
        "wide": [layers.ReLU(), layers.ZeroPadding2D(3), layers.MaxPooling2D(3, 1)],
        "twice": padded(layers.ReLU(), layers.ZeroPadding2D(2)),
    }
    # Around it all: what tells -inf from 0.
    lower = {name: [layers.Rescaling(1.0, -0.5), *case] for name, case in cases.items()}
    net = check(branches((8, 10, 3), lower), tmp_path, caffe)
    pads = [layer.origin for layer in net.network.layers if layer.hint == "pad"]
    assert len(pads) == 4  # unknown, tanh, wide, twice


@pytest.mark.parametrize("size", _SIZES)
def test_portable_maxima_lose_no_window(
    size: tuple[int, int], tmp_path: Path, caffe: Caffe
) -> None:
    """Where Caffe drops one that begins in the pads, a layer before pads or cuts instead."""
    from keras.layers import Activation, MaxPooling2D, ZeroPadding2D

    cases = {}
    for first, k, s in product(["tanh", "relu"], [2, 3, 4], [2, 3, 4]):
        cases[f"{first}_k{k}_s{s}"] = [Activation(first), MaxPooling2D(k, s, "same")]
        pooled = [ZeroPadding2D(1), MaxPooling2D(k, s)]
        cases[f"{first}_k{k}_s{s}_padded"] = [Activation(first), *pooled]
    check(branches((*size, 3), cases, batch=1), tmp_path, caffe, dialect="portable")


def test_zeros_before_an_average_count(tmp_path: Path, caffe: Caffe) -> None:
    from keras import layers

    cases = {
        f"k{k}_s{s}_{name}": [layers.ZeroPadding2D(pad), layers.AveragePooling2D(k, s)]
        for k, s, (name, pad) in product(
            [2, 3], [1, 2], [("even", 1), ("uneven", ((0, 1), (1, 0))), ("wide", ((3, 2), (1, 1)))]
        )
    }
    cases["shifted"] = [
        layers.ZeroPadding2D(((0, 1), (0, 1))),
        layers.Cropping2D(((1, 0), (1, 0))),
        layers.AveragePooling2D(1, 2),
    ]
    net = check(branches((7, 8, 3), cases), tmp_path, caffe)
    assert len(net.types) == 1 + len(cases)
    assert "Scale" not in net.types


def test_the_lowest_number_before_a_maximum_is_no_number(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    lowest = float(np.finfo(np.float32).min)
    x = keras.Input((7, 8, 3), batch_size=1, name="x")
    y = keras.ops.pad(x, ((0, 0), (0, 1), (0, 2), (0, 0)), constant_values=lowest)
    y = keras.layers.MaxPooling2D(3, 2, name="pool")(y)
    net = check(keras.Model(x, y), tmp_path, caffe)
    assert net.types == ["Input", "Pooling"]


@pytest.mark.parametrize("length", [12, 13])
def test_one_dimension(length: int, tmp_path: Path, caffe: Caffe) -> None:
    from keras import layers

    cases: dict[str, list[Any]] = {
        f"{kind.__name__}_k{k}_s{s}_{padding}": [kind(k, s, padding)]
        for kind, k, s, padding in product(
            [layers.MaxPooling1D, layers.AveragePooling1D], [2, 3], [1, 2], ["same", "valid"]
        )
    }
    cases["global"] = [layers.GlobalAveragePooling1D()]
    cases["behind"] = [layers.Conv1D(4, 3), layers.MaxPooling1D(2), layers.GlobalMaxPooling1D()]
    check(branches((length, 3), cases), tmp_path, caffe)


def test_explicit_pads(tmp_path: Path, caffe: Caffe) -> None:
    """`tf.nn.max_pool` with pads of its own."""
    import keras
    import tensorflow as tf

    class Pool(keras.layers.Layer):
        def __init__(self, k: int, s: int, pads: Any, name: str) -> None:
            super().__init__(name=name)
            self.numbers = k, s, [[0, 0], *pads, [0, 0]]

        def call(self, x: Any) -> Any:
            return tf.nn.max_pool2d(x, *self.numbers)

    cases = {
        name: [Pool(k, s, pads, name)]
        for k, s, name, pads in [
            (3, 2, "even", [[1, 1], [1, 1]]),
            (3, 1, "behind", [[0, 2], [0, 1]]),
            (3, 2, "front", [[2, 0], [1, 0]]),
            (2, 1, "mixed", [[1, 0], [0, 1]]),
            (2, 2, "odd", [[1, 0], [1, 1]]),
        ]
    }
    for dialect in ("caffe-1.0", "portable"):
        check(branches((7, 10, 3), cases), tmp_path, caffe, dialect=dialect)


def test_kernel_and_strides_as_inputs(tmp_path: Path, caffe: Caffe) -> None:
    import keras
    import tensorflow as tf

    class Pool(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.raw_ops.MaxPoolV2(
                input=x, ksize=[1, 3, 2, 1], strides=[1, 2, 1, 1], padding="SAME"
            )

    net = check(branches((8, 9, 3), {"pool": [Pool()]}), tmp_path, caffe)
    assert "Pooling" in net.types


def test_three_dimensions_are_refused(tmp_path: Path) -> None:
    from keras.layers import AveragePooling3D, MaxPooling3D

    cases = {"max": [MaxPooling3D(2)], "ave": [AveragePooling3D(2)]}
    with pytest.raises(UnsupportedError) as error:
        written(branches((4, 4, 4, 2), cases), tmp_path)
    assert "layer 'max'" in str(error.value) and "layer 'ave'" in str(error.value)
    assert "--outputs" in str(error.value)
