"""Transposed convolutions of Keras in real Caffe."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from branches import branches
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written


@pytest.mark.parametrize("size", [(4, 7), (5, 6)])
def test_every_kernel_and_stride(size: tuple[int, int], tmp_path: Path, caffe: Caffe) -> None:
    """One layer each, also where TensorFlow cuts unevenly, or adds rows that only have a bias."""
    from keras.layers import Conv2DTranspose

    cases = {
        f"k{'x'.join(map(str, k))}_s{'x'.join(map(str, s))}_{padding}": [
            Conv2DTranspose(4, k, s, padding, bias_initializer="ones")
        ]
        for k, s, padding in product(
            [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (3, 4)],
            [(1, 1), (2, 2), (3, 3), (1, 2)],
            ["same", "valid"],
        )
        if max(k) > 2 or max(s) <= 2
    }
    net = check(branches((*size, 3), cases), tmp_path, caffe)
    assert set(net.types) <= {"Input", "Deconvolution", "Convolution"}
    deconvolutions = [la.message for la in net.network.layers if la.type == "Deconvolution"]
    assert len(deconvolutions) == len(cases)
    assert all(d.convolution_param.stride or d.convolution_param.stride_h for d in deconvolutions)


def test_output_padding(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv2DTranspose

    cases = {
        f"k{k}_s{s}_{padding}": [Conv2DTranspose(4, k, s, padding, output_padding=1)]
        for k, s, padding in product([2, 3, 4], [2, 3], ["same", "valid"])
    }
    check(branches((5, 6, 3), cases), tmp_path, caffe)


@pytest.mark.parametrize(
    ("channels", "layers"), [(3, ["Deconvolution"]), (500, ["Deconvolution", "Convolution"])]
)
def test_rows_without_input_have_the_bias(
    channels: int, layers: list[str], tmp_path: Path, caffe: Caffe
) -> None:
    """A stride wider than the kernel; for many channels zeros in the kernel would cost more."""
    from keras.layers import Conv2DTranspose

    cases = {"up": [Conv2DTranspose(2, 1, 3, "valid")]}
    net = check(branches((2, 3, channels), cases), tmp_path, caffe)
    assert net.types == ["Input", *layers]


def test_a_cut_behind_is_merged(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv2DTranspose, Cropping2D

    cases = {
        "even": [Conv2DTranspose(4, 4, 2), Cropping2D(1)],
        "uneven": [Conv2DTranspose(4, 3, 2), Cropping2D(((0, 1), (1, 0)))],
        "twice": [Conv2DTranspose(4, 4, 2), Cropping2D(1), Cropping2D(1)],
    }
    net = check(branches((5, 6, 3), cases), tmp_path, caffe)
    assert net.types == ["Input", *["Deconvolution"] * len(cases)]


def test_dilation(tmp_path: Path, caffe: Caffe) -> None:
    import keras
    import tensorflow as tf

    class Transposed(keras.layers.Layer):
        def __init__(self, k: int, d: int, padding: str, name: str) -> None:
            super().__init__(name=name)
            self.k, self.d, self.padding_ = k, d, padding

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(self.k, self.k, 4, shape[-1]), name="kernel")

        def call(self, x: Any) -> Any:
            n, h, w, _ = x.shape
            more = 0 if self.padding_ == "SAME" else (self.k - 1) * self.d
            return tf.nn.conv2d_transpose(
                x, self.kernel, (n, h + more, w + more, 4), 1, self.padding_, dilations=self.d
            )

    cases = {
        f"k{k}_d{d}_{padding}": [Transposed(k, d, padding, f"k{k}_d{d}_{padding}")]
        for k, d, padding in product([2, 3], [2, 3], ["SAME", "VALID"])
    }
    model = branches((9, 8, 3), cases)
    check(model, tmp_path, caffe)
    net = check(model, tmp_path, caffe, dialect="portable")  # zeros in the kernel instead
    assert not any(la.message.convolution_param.dilation for la in net.network.layers)


@pytest.mark.parametrize("rank", [1, 3])
def test_other_dimensions(rank: int, tmp_path: Path, caffe: Caffe) -> None:
    from keras import layers

    kind = {1: layers.Conv1DTranspose, 3: layers.Conv3DTranspose}[rank]
    cases = {
        f"k{k}_s{s}_{padding}": [kind(3, k, s, padding)]
        for k, s, padding in product([2, 3], [1, 2], ["same", "valid"])
    }
    check(branches((*(4, 5, 3)[:rank], 2), cases), tmp_path, caffe)


def test_layers(tmp_path: Path) -> None:
    from keras.layers import Conv2DTranspose

    cases = {"up": [Conv2DTranspose(4, 3, 2, "same")], "plain": [Conv2DTranspose(4, 3)]}
    net = written(branches((5, 6, 3), cases), tmp_path)
    up, plain = (layer.message.convolution_param for layer in net.network.layers[1:])
    assert (list(up.kernel_size), list(up.pad), list(up.stride)) == ([4], [1], [2])
    assert (list(plain.kernel_size), list(plain.stride)) == ([3], [1])


def test_depthwise(tmp_path: Path, caffe: Caffe) -> None:
    import keras
    import tensorflow as tf

    class Depthwise(keras.layers.Layer):
        def __init__(self, outputs: int, stride: int, name: str) -> None:
            super().__init__(name=name)
            self.outputs, self.stride = outputs, stride

        def build(self, shape: Any) -> None:
            deep = (3, 3, self.outputs, shape[-1] // self.outputs)
            self.kernel = self.add_weight(shape=deep, name="kernel")

        def call(self, x: Any) -> Any:
            n, h, w, _ = x.shape
            size = (n, h * self.stride, w * self.stride, self.outputs)
            strides = [1, self.stride, self.stride, 1]
            return tf.nn.depthwise_conv2d_backprop_input(size, self.kernel, x, strides, "SAME")

    cases = {f"o{o}_s{s}": [Depthwise(o, s, f"o{o}_s{s}")] for o, s in product([6, 3, 1], [1, 2])}
    net = check(branches((4, 5, 6), cases), tmp_path, caffe)
    assert net.types == ["Input", *["Deconvolution"] * len(cases)]
