"""`--fold-bn`: the same numbers from fewer layers, in real Caffe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tables import numbers
from tfcaffe.oracle.pycaffe import Caffe
from whole import check

Build = Callable[[Any, Any], Any]  # keras.layers and the input: the output
IMAGE, ROWS, VECTOR, VOLUME = (9, 10, 4), (9, 4), (9,), (4, 5, 6, 4)
C, B = "Convolution", ["BatchNorm", "Scale"]


def bn(k: Any, y: Any, **options: Any) -> Any:
    return k.BatchNormalization(name="bn", **options)(y)


BEHIND: dict[str, tuple[tuple[int, ...], Build]] = {
    "convolution": (IMAGE, lambda k, x: bn(k, k.Conv2D(6, 3, padding="same", name="main")(x))),
    "no bias": (IMAGE, lambda k, x: bn(k, k.Conv2D(6, 3, use_bias=False, name="main")(x))),
    "no gamma": (IMAGE, lambda k, x: bn(k, k.Conv2D(6, 3, name="main")(x), scale=False)),
    "groups": (IMAGE, lambda k, x: bn(k, k.Conv2D(6, 3, groups=2, name="main")(x))),
    "depthwise": (
        IMAGE,
        lambda k, x: bn(k, k.DepthwiseConv2D(3, depth_multiplier=2, name="main")(x)),
    ),
    "transposed": (IMAGE, lambda k, x: bn(k, k.Conv2DTranspose(6, 3, strides=2, name="main")(x))),
    "3-D": (VOLUME, lambda k, x: bn(k, k.Conv3D(6, 3, name="main")(x))),
    "1-D": (ROWS, lambda k, x: bn(k, k.Conv1D(6, 3, name="main")(x))),
    "dense": (VECTOR, lambda k, x: bn(k, k.Dense(6, name="main")(x))),
    "dense of an image": (IMAGE, lambda k, x: bn(k, k.Dense(6, name="main")(x))),
    "written out": (
        IMAGE,
        lambda k, x: k.Conv2D(6, 3, use_bias=False, name="main")(x) * numbers(6) + numbers(6),
    ),
    "a scalar": (IMAGE, lambda k, x: k.Rescaling(0.17)(k.Conv2D(6, 3, name="main")(x))),
    "twice": (IMAGE, lambda k, x: k.Rescaling(0.5, 1)(bn(k, k.Conv2D(6, 3, name="main")(x)))),
}
BEFORE: dict[str, tuple[tuple[int, ...], Build]] = {
    "convolution": (IMAGE, lambda k, x: k.Conv2D(6, 3, name="main")(bn(k, x))),
    "1x1": (
        IMAGE,
        lambda k, x: k.Conv2D(6, 1, 2, padding="same", use_bias=False, name="main")(bn(k, x)),
    ),
    "groups": (IMAGE, lambda k, x: k.Conv2D(6, 3, groups=2, name="main")(bn(k, x))),
    "depthwise": (
        IMAGE,
        lambda k, x: k.DepthwiseConv2D(3, depth_multiplier=2, name="main")(bn(k, x)),
    ),
    "dense": (VECTOR, lambda k, x: k.Dense(6, name="main")(bn(k, x))),
    "both": (
        IMAGE,
        lambda k, x: k.BatchNormalization()(k.Conv2D(6, 3, name="main")(bn(k, x))),
    ),
    "preprocessing": (
        IMAGE,
        lambda k, x: k.Conv2D(6, 3, name="main")(k.Rescaling([1.0, 2, 3, 4], offset=-1)(x)),
    ),
}


def built(shape: tuple[int, ...], build: Build) -> Any:
    import keras

    x = keras.Input(shape, batch_size=2, name="x")
    return keras.Model(x, keras.layers.ReLU(name="relu")(build(keras.layers, x)))


@pytest.mark.parametrize(
    "case", [*BEHIND.values(), *BEFORE.values()], ids=[*BEHIND, *(f"before {n}" for n in BEFORE)]
)
def test_folded(case: tuple[tuple[int, ...], Build], tmp_path: Path, caffe: Caffe) -> None:
    """One layer with the convolution's name."""
    net = check(built(*case), tmp_path, caffe, fold_bn=True)
    kept = [layer for layer in net.network.layers if layer.type not in ("Input", "Reshape")]
    assert [layer.name for layer in kept if layer.origin != "relu"] == ["main"]


@pytest.mark.parametrize("case", BEHIND.values(), ids=BEHIND)
def test_not_folded_unless_asked(
    case: tuple[tuple[int, ...], Build], tmp_path: Path, caffe: Caffe
) -> None:
    net = check(built(*case), tmp_path, caffe)
    assert set(net.types) & {"BatchNorm", "Scale", "Power"}


def test_what_cannot_be_folded(tmp_path: Path, caffe: Caffe) -> None:
    """Another reader of the convolution; zeros around what a BatchNormalization makes."""

    def build(k: Any, x: Any) -> Any:
        y = k.Conv2D(4, 3, padding="same", name="main")(bn(k, x))
        return k.Add()([y, k.BatchNormalization(name="behind")(y)])

    net = check(built(IMAGE, build), tmp_path, caffe, fold_bn=True)
    assert net.types == ["Input", *B, C, *B, "Eltwise", "ReLU"]
