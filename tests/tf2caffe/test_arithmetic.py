"""Sums, products and their kin, with constants and broadcasting, in real Caffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tables import Case, check_table, network, numbers
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written

IMAGE = (5, 6, 4)
BY_COEFFICIENT, BY_ONES = "Reshape Scale", "Convolution Eltwise"


def constant_cases() -> dict[str, Case]:
    """x and constants of every shape, on either side."""
    import tensorflow as tf

    channel, rows = numbers(4), numbers(5, 1, 1)
    image, plane = numbers(5, 6, 4), numbers(5, 6, 1)
    return {
        "add": (lambda x: x + 1.5, "Power"),
        "subtract": (lambda x: x - 2.5, "Power"),
        "from": (lambda x: 2.5 - x, "Power"),
        "from_channels": (lambda x: channel - x, "Scale"),
        "divide": (lambda x: x / 3, "Power"),
        "divide_channels": (lambda x: x / (channel**2 + 1), "Scale"),
        "divided": (lambda x: 2 / (tf.abs(x) + 1), "AbsVal Power"),
        "divided_channels": (lambda x: channel / (tf.abs(x) + 1), "AbsVal Power Scale"),
        "add_image": (lambda x: x + image, "Scale"),
        "multiply_image": (lambda x: x * image, "Scale"),
        "multiply_plane": (lambda x: plane * x, "Scale"),
        "multiply_rows": (lambda x: x * rows, "Scale"),
        "multiply_columns": (lambda x: x * numbers(6, 1), "Scale"),
        "multiply_row_channels": (lambda x: x * numbers(5, 1, 4), "Scale"),
        "affine": (lambda x: (x * channel + numbers(4) ** 2) * 2 - 1, "Scale"),
        "affine_crossed": (lambda x: x * plane + channel, "Scale"),
        "doubled": (lambda x: x + x, "Power"),
        "scalars": (lambda x: ((x * 2 - 1) / 4 + 3) * 0.5, "Power"),
        "nothing": (lambda x: tf.abs(x * 2 * 0.5 + 0.0), "AbsVal"),
        "same_everywhere": (lambda x: x * [2.0, 2.0, 2.0, 2.0], "Power"),
        "read_twice": (lambda x: (lambda y: y * channel + y)(x + channel), "Scale Scale Eltwise"),
        "distance": (lambda x: tf.math.squared_difference(x, channel), "Scale Eltwise"),
    }


def test_constants(tmp_path: Path, caffe: Caffe) -> None:
    check_table(constant_cases(), tmp_path, caffe, IMAGE)


def test_constants_in_portable_layers(tmp_path: Path, caffe: Caffe) -> None:
    cases = {name: (made, "") for name, (made, _) in constant_cases().items()}
    net = check_table(cases, tmp_path, caffe, IMAGE, dialect="portable")
    assert all(la.message.scale_param.axis == 1 for la in net.network.layers if la.type == "Scale")


@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 4, 7)])
def test_constants_of_any_rank(shape: tuple[int, ...], tmp_path: Path, caffe: Caffe) -> None:
    import tensorflow as tf

    last, whole = numbers(7), numbers(*shape)
    cases: dict[str, Case] = {
        "last": (lambda x: x * last + last, "Scale"),
        "whole": (lambda x: x * whole + whole, "Scale"),
        "flat": (lambda x: tf.reshape(x, (2, -1)) * whole.reshape(-1), ""),
        "wider": (lambda x: tf.reduce_mean(x, -1, keepdims=True) + last, ""),
    }
    check_table(cases, tmp_path, caffe, shape)


def test_a_constant_for_each_image(tmp_path: Path, caffe: Caffe) -> None:
    cases: dict[str, Case] = {
        "images": (lambda x: x * numbers(2, 1, 1, 1), "Scale"),
        "image_channels": (lambda x: x * numbers(2, 1, 1, 4), "Scale"),
    }
    check_table(cases, tmp_path, caffe, IMAGE)


def two_values(tf: Any) -> dict[str, Any]:
    return {
        "product": lambda a, b: a * b,
        "sum": lambda a, b: a + b,
        "difference": lambda a, b: a - b,
        "turned": lambda a, b: b - a,
        "quotient": lambda a, b: a / (tf.abs(b) + 1),
        "larger": tf.maximum,
        "smaller": tf.minimum,
        "distance": tf.math.squared_difference,
        "choice": lambda a, b: tf.where(a > b, a * 2, b - 1),
    }


@pytest.mark.parametrize("dialect", ["caffe-1.0", "portable"])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    ("small", "product"),
    [
        ((1, 1, 4), BY_COEFFICIENT),
        ((5, 6, 1), BY_ONES),
        ((1, 1, 1), BY_COEFFICIENT),
        ((5, 1, 1), ""),
        ((1, 6, 1), "Deconvolution Convolution Eltwise"),
        ((5, 1, 4), BY_COEFFICIENT),
        ((1, 6, 4), "Deconvolution Eltwise"),
        ((5, 6, 4), "Eltwise"),
    ],
)
def test_two_values(
    small: tuple[int, ...], product: str, batch: int, dialect: str, tmp_path: Path, caffe: Caffe
) -> None:
    import tensorflow as tf

    cases: dict[str, Case] = {name: (f, "") for name, f in two_values(tf).items()}
    if dialect == "portable":
        del cases["choice"]  # needs Threshold
    else:
        cases["product"] = (cases["product"][0], product)
    check_table(cases, tmp_path, caffe, IMAGE, small, batch=batch, dialect=dialect)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((7,), (1,)),
        ((5, 7), (5, 1)),
        ((5, 7), (1, 7)),
        ((5, 7), (1, 1)),
        ((2, 3, 5, 4), (1, 1, 1, 4)),
        ((2, 3, 5, 4), (2, 3, 5, 1)),
        ((5, 1, 4), (1, 6, 1)),  # each is the smaller one somewhere
        ((5, 6, 1), (1, 1, 4)),
    ],
)
def test_two_values_of_any_rank(
    a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path, caffe: Caffe
) -> None:
    import tensorflow as tf

    cases: dict[str, Case] = {name: (f, "") for name, f in two_values(tf).items()}
    check_table(cases, tmp_path, caffe, a, b)


def test_fewer_dimensions(tmp_path: Path, caffe: Caffe) -> None:
    cases: dict[str, Case] = {
        "gate": (lambda a, b: a * b[:, None, None, :], "Scale"),
        "twice": (lambda a, b: (a + b[:, None, None, :]) * a, "Bias Eltwise"),
    }
    check_table(cases, tmp_path, caffe, IMAGE, (4,))


@pytest.mark.parametrize("dialect", ["caffe-1.0", "portable"])
def test_keras_merges(dialect: str, tmp_path: Path, caffe: Caffe) -> None:
    """Two bottoms each in portable: not every reader of Caffe's files takes more."""
    from keras import layers

    x = [f"x{i}" for i in range(3)]
    two = dialect == "portable"
    all_of = "Eltwise Eltwise" if two else "Eltwise"
    minimum = (
        "Power Power Eltwise Power Eltwise Power" if two else "Power Power Power Eltwise Power"
    )
    made = {
        "add": (layers.Add(), all_of),
        "average": (layers.Average(), f"{all_of} Power"),
        "multiply": (layers.Multiply(), all_of),
        "maximum": (layers.Maximum(), all_of),
        "minimum": (layers.Minimum(), minimum),
    }
    cases: dict[str, Case] = {
        name: (lambda *x, layer=layer: layer(list(x)), types)
        for name, (layer, types) in made.items()
    }
    import tensorflow as tf

    cases["add_n"] = (lambda *x: tf.add_n(list(x)), all_of)
    net = check_table(cases, tmp_path, caffe, *[IMAGE] * len(x), dialect=dialect)
    counts = {len(la.bottoms) for la in net.network.layers if la.type == "Eltwise"}
    assert counts == ({2} if two else {3})


@pytest.mark.parametrize("dialect", ["caffe-1.0", "portable"])
def test_factors_before_a_sum(dialect: str, tmp_path: Path, caffe: Caffe) -> None:
    """They are coefficients, where all readers of the dialect heed them."""
    power = "Power Eltwise" if dialect == "portable" else "Eltwise"
    cases: dict[str, Case] = {
        "one": (lambda a, b: a + 0.17 * b, power),
        "both": (
            lambda a, b: 3.0 * a - 0.5 * b,
            "Power Power Eltwise" if "P" in power else "Eltwise",
        ),
        "negative": (lambda a, b: -a + b, "Eltwise"),
        "term": (lambda a, b: a + (2.0 * b + 1.0), "Power Eltwise"),
        "product": (lambda a, b: a * (2.0 * b), "Power Eltwise"),
        "shared": (lambda a, b: (lambda c: c + a * c)(2.0 * b), "Power Eltwise Eltwise"),
    }
    check_table(cases, tmp_path, caffe, IMAGE, IMAGE, dialect=dialect)


@pytest.mark.parametrize("dialect", ["caffe-1.0", "portable"])
def test_squeeze_and_excitation(dialect: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras
    from keras import layers

    x = keras.Input((7, 6, 3), batch_size=2)
    y = layers.Conv2D(4, 3, name="conv")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(y)
    gate = layers.Conv2D(2, 1, activation="silu", name="reduce")(gate)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="expand")(gate)
    y = layers.Multiply(name="excite")([y, gate])
    net = check(keras.Model(x, y), tmp_path, caffe, dialect=dialect)
    spread = ["Deconvolution", "Eltwise"] if dialect == "portable" else ["Reshape", "Scale"]
    gate_types = ["Pooling", "Convolution", "Sigmoid", "Eltwise", "Convolution", "Sigmoid"]
    assert net.types == ["Input", "Convolution", *gate_types, *spread]
    assert net.network.layers[-1].name == "excite"


def test_preprocessing_is_one_layer(tmp_path: Path, caffe: Caffe) -> None:
    import keras
    from keras import layers

    x = keras.Input((7, 6, 3))
    y = layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
    y = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 4.0, 1e-20], name="norm")(y)
    y = layers.Rescaling([0.5, 1.0, 2.0], name="again")(y)
    net = check(keras.Model(x, y), tmp_path, caffe)
    assert net.types == ["Input", "Scale"]


def test_refusals(tmp_path: Path) -> None:
    cases: dict[str, Case] = {"remainder": (lambda a, b: a % b, "")}
    with pytest.raises(UnsupportedError, match=r"FloorMod, layer 'remainder'\): .*--outputs"):
        written(network(cases, IMAGE, IMAGE), tmp_path)
