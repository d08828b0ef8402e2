"""Dense layers and other products with a constant, wherever the rows and columns lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, randomised, written

Build = Callable[[Any, Any], Any]  # keras.layers and the input: the output
IP, C, R, P = "InnerProduct", "Convolution", "Reshape", "Pooling"
S, K = "Slice", "Concat"  # with the Reshapes around them: outputs lie as TensorFlow has them


def constant(*shape: int) -> np.ndarray:
    """A matrix in the graph."""
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def after_convolution(layers: Any, x: Any) -> Any:
    return layers.Conv2D(4, 3, activation="relu", name="conv")(x)


def einsum(equation: str, matrix: np.ndarray, *, left: bool = False) -> Build:
    def build(_: Any, x: Any) -> Any:
        import keras

        return keras.ops.einsum(equation, *((matrix, x) if left else (x, matrix)))

    return build


def matmul(matrix: np.ndarray, *, left: bool = False) -> Build:
    def build(_: Any, x: Any) -> Any:
        import keras

        return keras.ops.matmul(*((matrix, x) if left else (x, matrix)))

    return build


def raw(name: str, matrix: np.ndarray, **options: bool) -> Build:
    """One of TensorFlow's ops, the value first."""

    def build(layers: Any, x: Any) -> Any:
        import tensorflow as tf

        return layers.Lambda(
            lambda value: getattr(tf.raw_ops, name)(**options, **_named(name, value))
        )(x)

    def _named(name: str, value: Any) -> dict[str, Any]:
        a, b = ("a", "b") if name == "MatMul" else ("x", "y")
        return {a: value, b: matrix}

    return build


CASES: dict[str, tuple[tuple[int, ...], Build, list[str] | None]] = {
    "vector": ((7,), lambda k, x: k.Dense(5)(x), [IP]),
    "no bias": ((7,), lambda k, x: k.Dense(5, use_bias=False)(x), [IP]),
    "one column": ((1,), lambda k, x: k.Dense(5)(x), [IP]),
    "one output": ((7,), lambda k, x: k.Dense(1)(x), [IP]),
    "sequence": ((6, 7), lambda k, x: k.Dense(5, activation="relu")(x), [IP, "ReLU"]),
    "image": ((5, 6, 3), lambda k, x: k.Dense(4, activation="relu")(x), [C, "ReLU"]),
    "volume": ((2, 5, 6, 3), lambda k, x: k.Dense(4)(x), [C]),
    "flat image": (
        (8, 7, 3),
        lambda k, x: k.Dense(5)(k.Flatten()(after_convolution(k, x))),
        [C, "ReLU", IP],
    ),
    "two flat": (
        (8, 7, 3),
        lambda k, x: k.Dense(3)(k.Dense(5)(k.Flatten()(after_convolution(k, x)))),
        [C, "ReLU", IP, IP],
    ),
    "global pooling": (
        (8, 7, 3),
        lambda k, x: k.Dense(5)(k.GlobalAveragePooling2D()(after_convolution(k, x))),
        [C, "ReLU", P, IP],
    ),
    "rows of an image": (  # as in text recognition: W steps of H x C numbers
        (8, 7, 3),
        lambda k, x: k.Dense(5)(k.Reshape((5, 24))(k.Permute((2, 1, 3))(after_convolution(k, x)))),
        [C, "ReLU", C],
    ),
    "columns of an image": (
        (8, 7, 3),
        lambda k, x: k.Dense(5)(k.Reshape((6, 20))(after_convolution(k, x))),
        [C, "ReLU", C],
    ),
    "a row's numbers": (  # over W alone, which lies last
        (8, 7, 3),
        lambda k, x: k.Dense(5)(k.Permute((1, 3, 2))(after_convolution(k, x))),
        [C, "ReLU", IP, R, S, K, R, S, K, R],
    ),
    "a column's numbers": (  # over H alone, between C and W
        (8, 7, 3),
        lambda k, x: k.Dense(5)(k.Permute((2, 3, 1))(after_convolution(k, x))),
        [C, "ReLU", R, C, R, S, K, R],
    ),
    "pixels in a row": (
        (8, 7, 3),
        lambda k, x: k.Dense(5)(k.Reshape((30, 4))(after_convolution(k, x))),
        [C, "ReLU", C],
    ),
    "torn": (  # rows of 8 of 4 channels: no axis of the blob is apart
        (8, 7, 3),
        lambda k, x: k.Dense(5)(k.Reshape((10, 12))(after_convolution(k, x))),
        None,
    ),
    "einsum dense": (
        (5, 3),
        lambda k, x: k.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")(x),
        [IP],
    ),
    "heads": (
        (5, 3),
        lambda k, x: k.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de")(x),
        [IP],
    ),
    "heads, one bias": (
        (5, 3),
        lambda k, x: k.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="e")(x),
        [IP],
    ),
    "heads back": (
        (5, 2, 4),
        lambda k, x: k.EinsumDense("abde,dec->abc", (None, 3), bias_axes="c")(x),
        None,
    ),
    "einsum turned": ((5, 3), einsum("abc,cd->adb", constant(3, 4)), [IP]),
    "einsum left": ((5, 3), einsum("db,abc->adc", constant(4, 5), left=True), [C]),
    "einsum of two": ((5, 2, 4), einsum("abde,edfc->acbf", constant(4, 2, 2, 3)), None),
    "matmul": ((5, 3), matmul(constant(3, 4)), [IP]),
    "matmul of many": ((2, 5, 3), matmul(constant(3, 4)), [C]),
    "matmul with a left matrix": ((5, 3), matmul(constant(4, 5), left=True), [C]),
    "MatMul turned": ((7,), raw("MatMul", constant(4, 7), transpose_b=True), [IP]),
    "BatchMatMul turned": ((5, 3), raw("BatchMatMulV2", constant(4, 3), adj_y=True), [IP]),
    "both turned": ((5, 3), raw("BatchMatMulV2", constant(4, 5), adj_x=True, adj_y=True), [C]),
}


@pytest.mark.parametrize("name", CASES)
def test_dense(name: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    shape, build, types = CASES[name]
    x = keras.Input(shape, batch_size=2, name="x")
    net = check(keras.Model(x, build(keras.layers, x)), tmp_path, caffe)
    assert types is None or net.types[1:] == types


@pytest.mark.parametrize("activation", ["relu", None])
def test_a_dense_layer_makes_the_image_as_caffe_has_it(
    activation: str | None, tmp_path: Path, caffe: Caffe
) -> None:
    """Dense, Reshape to H, W, C, convolution: the kernel's columns are permuted."""
    import keras

    k = keras.layers
    x = keras.Input((6,), batch_size=2, name="x")
    y = k.Reshape((4, 5, 3))(k.Dense(60, activation=activation, name="fc")(x))
    net = check(keras.Model(x, k.Conv2D(2, 3, name="conv")(y)), tmp_path, caffe)
    wanted = [IP, "ReLU", R, C] if activation else [IP, R, C]
    assert net.types[1:] == wanted


def test_a_dense_layer_makes_rows_for_a_convolution(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    k = keras.layers
    x = keras.Input((6,), batch_size=2, name="x")
    y = k.Conv1D(2, 3, name="conv")(k.Reshape((7, 4))(k.Dense(28, name="fc")(x)))
    net = check(keras.Model(x, y), tmp_path, caffe)
    assert net.types[1:] == [IP, R, C]


@pytest.mark.parametrize("dialect", ["caffe-1.0", "portable"])
def test_products_with_a_row_or_column(dialect: str, tmp_path: Path, caffe: Caffe) -> None:
    """Attention of one query, and the products of two embeddings."""
    import keras
    import tensorflow as tf

    k = keras.layers
    table, query = keras.Input((5, 4), 3, name="x"), keras.Input((4,), 3, name="q")
    row = k.Reshape((1, 4))(query)
    share = k.Softmax()(k.Dot(axes=[2, 1], name="scores")([table, query]))
    outputs = [
        k.Dot(axes=[1, 1], name="context")([share, table]),
        k.Dot(axes=1, normalize=True, name="cosine")([query, k.Dense(4)(query)]),
        keras.ops.matmul(row, keras.ops.swapaxes(table, 1, 2)),
        k.Lambda(lambda t: tf.matmul(t[0], t[1], transpose_b=True), name="column")([table, row]),
    ]
    net = check(keras.Model([table, query], outputs), tmp_path, caffe, dialect=dialect)
    assert {"context", "cosine", "column"} <= {blob.node for blob in net.network.twin.blobs}


@pytest.mark.parametrize(
    "equation",
    ["bhwc,bhwc->bc", "bhwc,bc->bhwc", "bhw,bhwc->bc", "bhwc,bwc->bhc", "bwhc,bhc->bchw"],
)
def test_einsums_number_by_number(equation: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    sizes = {"b": 2, "h": 5, "w": 4, "c": 3}
    terms = equation.partition("->")[0].split(",")
    shapes = [tuple(sizes[letter] for letter in term[1:]) for term in terms]
    x = [keras.Input(shape, 2, name=f"x{i}") for i, shape in enumerate(shapes)]
    check(keras.Model(x, keras.ops.einsum(equation, *x)), tmp_path, caffe)


def test_products_of_two_matrices_are_refused(tmp_path: Path) -> None:
    import keras

    x = keras.Input((5, 4), batch_size=1, name="x")
    model = randomised(keras.Model(x, keras.layers.MultiHeadAttention(2, 3, name="mha")(x, x)))
    with pytest.raises(UnsupportedError) as caught:
        written(model, tmp_path)
    assert str(caught.value).count("product of two matrices") == 1  # what reads it is not listed
    assert "layer 'mha'" in str(caught.value)
    assert "--outputs" in str(caught.value)


def test_several_matrices_are_refused(tmp_path: Path) -> None:
    import keras

    x = keras.Input((2, 5, 4), batch_size=1, name="x")
    model = keras.Model(x, matmul(constant(2, 4, 3))(None, x))
    with pytest.raises(UnsupportedError, match="is several matrices"):
        written(model, tmp_path)
    model = keras.Model(x, einsum("abcd,bde->abce", constant(2, 4, 3))(None, x))
    with pytest.raises(UnsupportedError, match="more than one matrix product"):
        written(model, tmp_path)
