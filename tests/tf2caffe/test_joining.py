"""Values joined, taken apart, repeated and reshaped, wherever their dimensions lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.oracle.pycaffe import Caffe
from whole import check, randomised, written

Build = Callable[[Any, Any, Any], Any]  # keras.layers, keras.ops and the input: the outputs
IP, C, S, K, R = "InnerProduct", "Convolution", "Slice", "Concat", "Reshape"
RELU, FLAT = "ReLU", "Reshape"


def conv(k: Any, x: Any, channels: int = 4, **options: Any) -> Any:
    return k.Conv2D(channels, 3, **options)(x)


def two(k: Any, x: Any) -> list[Any]:
    """Two images that differ in their channels alone."""
    return [conv(k, x, 4), conv(k, x, 3)]


def dense_of(k: Any, values: list[Any]) -> list[Any]:
    """Something that reads each part's numbers in TensorFlow's order."""
    return [k.Dense(2)(value) for value in values]


IMAGE, ROWS, FLATTENED = (7, 8, 3), (5, 6), (12,)
CASES: dict[str, tuple[tuple[int, ...], Build, list[str] | None]] = {
    "channels": (IMAGE, lambda k, o, x: k.Concatenate()(two(k, x)), [C, C, K]),
    "rows": (IMAGE, lambda k, o, x: k.Concatenate(1)([conv(k, x), conv(k, x)]), [C, C, K]),
    "columns": (IMAGE, lambda k, o, x: k.Concatenate(2)([conv(k, x), conv(k, x)]), [C, C, K]),
    "flat": (  # Caffe's order is another one in each: the numbers move
        IMAGE,
        lambda k, o, x: k.Concatenate()([k.Flatten()(value) for value in two(k, x)]),
        None,
    ),
    "flat, for dense layers": (  # it is their kernels that are permuted
        IMAGE,
        lambda k, o, x: dense_of(
            k, [k.Concatenate()([*(k.Flatten()(value) for value in two(k, x)), k.Flatten()(x)])] * 2
        ),
        [C, C, R, R, R, K, IP, IP],
    ),
    "flat, for others too": (
        IMAGE,
        lambda k, o, x: (lambda y: [k.Dense(2)(y), k.ReLU()(y)])(
            k.Concatenate()([k.Flatten()(value) for value in two(k, x)])
        ),
        None,
    ),
    "flat and pooled": (
        IMAGE,
        lambda k, o, x: k.Dense(3)(
            k.Concatenate()([k.GlobalMaxPooling2D()(value) for value in two(k, x)])
        ),
        [C, "Pooling", C, "Pooling", K, IP],
    ),
    "boxes": (  # heads of a detector: anchors of 4 numbers, of two sizes of image
        IMAGE,
        lambda k, o, x: k.Concatenate(1)(
            [k.Reshape((-1, 4))(value) for value in (conv(k, x, 8), conv(k, x, 12, strides=2))]
        ),
        None,
    ),
    "different orders": (
        IMAGE,
        lambda k, o, x: k.Concatenate()(
            [conv(k, x, 4), k.Permute((2, 1, 3))(conv(k, k.Permute((2, 1, 3))(x), 3))]
        ),
        None,
    ),
    "sequences": (
        ROWS,
        lambda k, o, x: k.Concatenate(1)([k.Dense(4)(x), k.Dense(4)(x)]),
        [IP, IP, K],
    ),
    "with a constant": (
        FLATTENED,
        lambda k, o, x: k.Dense(3)(o.concatenate([x, np.array([[1, 2], [3, 4]], np.float32)], 1)),
        ["Parameter", K, IP],
    ),
    "stack": (ROWS, lambda k, o, x: o.stack([k.Dense(4)(x), k.Dense(4)(x)], 1), [IP, IP, R, R, K]),
    "stack behind": (ROWS, lambda k, o, x: o.stack([k.Dense(4)(x), k.Dense(4)(x)], -1), None),
    "stack of vectors": (
        FLATTENED,
        lambda k, o, x: o.stack([k.Dense(4)(x), k.Dense(4)(x)], 1),
        None,
    ),
    "stack of images": (IMAGE, lambda k, o, x: conv(k, o.stack([x[..., 0], x[..., 2]], -1)), None),
    "split": (IMAGE, lambda k, o, x: dense_of(k, o.split(conv(k, x), 2, -1)), [C, S, C, C]),
    "split rows": (
        IMAGE,
        lambda k, o, x: dense_of(k, o.split(conv(k, x), [1, 3], 1)),
        [C, S, C, C, C],
    ),
    "split flat": (FLATTENED, lambda k, o, x: dense_of(k, o.split(x, [5], 1)), [S, IP, IP]),
    "split of a flat image": (
        IMAGE,
        lambda k, o, x: dense_of(k, o.split(k.Flatten()(conv(k, x)), [24], 1)),
        None,
    ),
    "one part": (IMAGE, lambda k, o, x: o.split(conv(k, x), 2, -1)[1], [C, S, "Silence"]),
    "unstack": (
        ROWS,
        lambda k, o, x: dense_of(k, o.unstack(k.Dense(4)(x), 5, 1)),
        [IP, S, *[IP] * 5],
    ),
    "unstack channels": (IMAGE, lambda k, o, x: o.unstack(conv(k, x, 2), 2, -1), [C, S]),
    "tile": (IMAGE, lambda k, o, x: o.tile(conv(k, x), (1, 2, 1, 3)), [C, K, K]),
    "tile often": (ROWS, lambda k, o, x: o.tile(k.Dense(4)(x), (1, 20, 1)), [IP, "Tile"]),
    "repeat": (IMAGE, lambda k, o, x: o.repeat(conv(k, x), 2, 2), None),
    "repeat the vector": (
        FLATTENED,
        lambda k, o, x: k.Dense(3)(k.RepeatVector(6)(k.Dense(4)(x))),
        [IP, R, K, IP],
    ),
    "sizes of 1": (IMAGE, lambda k, o, x: o.squeeze(o.expand_dims(conv(k, x), 2), 2), [C]),
    "flat and back": (
        IMAGE,
        lambda k, o, x: conv(k, k.Reshape((5, 6, 4))(k.Flatten()(conv(k, x)))),
        [C, C],
    ),
    "across the channels": (
        IMAGE,
        lambda k, o, x: conv(k, k.Reshape((6, 5, 4))(conv(k, x))),
        [C, R, S, K, R, S, K, R, C],
    ),
    "permute": (
        IMAGE,
        lambda k, o, x: conv(k, k.Permute((2, 1, 3))(conv(k, x))),
        [C, R, S, K, R, C],
    ),
    "channels to the front": (
        IMAGE,
        lambda k, o, x: k.Dense(3)(k.Flatten()(k.Permute((3, 1, 2))(conv(k, x)))),
        [C, IP],
    ),
    "shuffled channels": (
        IMAGE,
        lambda k, o, x: conv(
            k,
            k.Reshape((5, 6, 6))(k.Permute((1, 2, 4, 3))(k.Reshape((5, 6, 3, 2))(conv(k, x, 6)))),
            4,
            groups=2,
        ),
        [C, R, S, K, R, C],
    ),
    "shuffled before a dense layer": (
        IMAGE,
        lambda k, o, x: k.Dense(3)(
            k.Reshape((5, 6, 6))(k.Permute((1, 2, 4, 3))(k.Reshape((5, 6, 3, 2))(conv(k, x, 6))))
        ),
        [C, C],
    ),
    "cropped sequence": (
        ROWS,
        lambda k, o, x: k.Dense(3)(k.Cropping1D((1, 2))(k.Dense(4)(x))),
        None,
    ),
    "padded sequence": (
        ROWS,
        lambda k, o, x: k.Dense(3)(k.ZeroPadding1D((1, 2))(k.Dense(4)(x))),
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_joined_and_apart(name: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    shape, build, types = CASES[name]
    x = keras.Input(shape, batch_size=2, name="x")
    net = check(keras.Model(x, build(keras.layers, keras.ops, x)), tmp_path, caffe)
    assert types is None or net.types[1:] == types


def test_nothing_works_in_place_on_memory_that_is_read_later(tmp_path: Path, caffe: Caffe) -> None:
    """A Reshape's top is its bottom's memory."""
    import keras

    k = keras.layers
    x = keras.Input((6,), batch_size=2, name="x")
    y = k.Dense(60, name="fc")(x)
    z = k.BatchNormalization(name="bn")(k.Reshape((4, 5, 3))(y))
    model = keras.Model(x, [k.Conv2D(2, 3, name="conv")(z), k.Dense(2, name="late")(y)])
    net = check(model, tmp_path, caffe)
    assert R in net.types


OUTPUTS: dict[str, tuple[Build, list[str]]] = {  # by name: what the net ends with
    "flat": (lambda k, o, x: k.Flatten()(conv(k, x)), [C, R, S, K, R]),
    "boxes": (lambda k, o, x: k.Reshape((-1, 2))(conv(k, x)), [C, R, S, K, R]),
    "an image": (lambda k, o, x: conv(k, x), [C]),
    "channels in front": (lambda k, o, x: k.Permute((3, 1, 2))(conv(k, x)), [C]),
    "turned": (lambda k, o, x: k.Permute((2, 1, 3))(conv(k, x)), [C, R, S, K, R]),
    "pooled": (lambda k, o, x: k.GlobalMaxPooling2D()(x), ["Pooling"]),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_lie_as_tensorflow_has_them(name: str, tmp_path: Path, caffe: Caffe) -> None:
    """Or with the channels first, as an image does in Caffe."""
    import keras

    build, types = OUTPUTS[name]
    x = keras.Input(IMAGE, batch_size=2, name="x")
    model = keras.Model(x, build(keras.layers, keras.ops, x))
    net = check(model, tmp_path, caffe)
    assert net.types[1:] == types
    image = np.random.default_rng(0).standard_normal((2, *IMAGE)).astype(np.float32)
    run = caffe.run(net.prototxt, net.caffemodel, {"x": image.transpose(0, 3, 1, 2)})
    (made,), wanted = run.layers[-1].arrays, np.asarray(model(image))
    if wanted.ndim == 4 and name != "channels in front":
        wanted = wanted.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(made.reshape(wanted.shape), wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["flat", "boxes", "across the channels", "shuffled channels"])
def test_caffe_takes_any_batch_later(name: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    shape, build, _ = CASES[name]
    x = keras.Input(shape, name="x")
    model = randomised(keras.Model(x, build(keras.layers, keras.ops, x)))
    net = written(model, tmp_path)
    image = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    run = caffe.run(net.prototxt, net.caffemodel, {"x": image.transpose(0, 3, 1, 2)})
    (made,), wanted = run.layers[-1].arrays, np.asarray(model(image))
    if wanted.ndim == 4:
        wanted = wanted.transpose(0, 3, 1, 2)
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, atol=1e-5)


def test_parts_of_one_value_are_cut_out_once(tmp_path: Path, caffe: Caffe) -> None:
    """As a detector's head does, whose numbers must change places first."""
    import keras

    k, ops = keras.layers, keras.ops
    x = keras.Input((4, 6, 5), name="x")
    y = k.Reshape((4, 6, 3, 9))(k.Conv2D(27, 1, name="head")(x))
    parts = [ops.sigmoid(y[..., :2]), ops.exp(y[..., 2:4]), ops.sigmoid(y[..., 4:])]
    net = check(
        keras.Model(x, ops.reshape(ops.concatenate(parts, -1), (-1, 72, 9))), tmp_path, caffe
    )
    assert net.types.count(S) == 2 and "Silence" not in net.types
