"""Convolutions of Keras in real Caffe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfcaffe.oracle.pycaffe import Caffe
from whole import check


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, (3, 4)])
def test_convolution(
    kernel: int | tuple[int, int], stride: int, padding: str, tmp_path: Path, caffe: Caffe
) -> None:
    import keras

    x = keras.Input((10, 13, 3), batch_size=2, name="x")
    y = keras.layers.Conv2D(5, kernel, stride, padding, activation="relu", name="conv")(x)
    net = check(keras.Model(x, y), tmp_path, caffe)
    assert net.types == ["Input", "Convolution", "ReLU"]
