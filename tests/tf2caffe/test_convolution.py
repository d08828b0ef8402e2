"""Convolutions of Keras in real Caffe."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from branches import branches
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written

_SIZES = [(10, 13), (11, 8)]  # each axis even and odd


@pytest.mark.parametrize("size", _SIZES)
def test_every_size_stride_and_padding(size: tuple[int, int], tmp_path: Path, caffe: Caffe) -> None:
    """Nothing shifts where TensorFlow pads unevenly; one layer each."""
    from keras.layers import Conv2D

    cases = {
        f"k{'x'.join(map(str, k))}_s{'x'.join(map(str, s))}_{padding}": [Conv2D(5, k, s, padding)]
        for k, s, padding in product(
            [(1, 1), (2, 2), (3, 3), (3, 4), (7, 7)],
            [(1, 1), (2, 2), (3, 3), (1, 2)],
            ["same", "valid"],
        )
    }
    net = check(branches((*size, 3), cases), tmp_path, caffe)
    assert net.types == ["Input", *["Convolution"] * len(cases)]


@pytest.mark.parametrize("size", _SIZES)
def test_dilation(size: tuple[int, int], tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv2D

    cases = {
        f"k{k}_d{'x'.join(map(str, d))}_{padding}": [Conv2D(4, k, 1, padding, dilation_rate=d)]
        for k, d, padding in product([2, 3, 4], [(2, 2), (3, 3), (1, 3)], ["same", "valid"])
        if (k - 1) * max(d) < min(size)
    }
    net = check(branches((*size, 3), cases), tmp_path, caffe)
    uneven = sum(layer.hint == "pad" for layer in net.network.layers)
    assert uneven == 2 * (min(size) > 9) + 2


def test_portable_dilations_are_alike(tmp_path: Path, caffe: Caffe) -> None:
    """Readers take a list of two otherwise: zeros between the kernel's numbers do the same."""
    from keras.layers import Conv2D, DepthwiseConv2D

    cases = {
        "one": [Conv2D(4, 3, dilation_rate=(1, 2), padding="same")],
        "both": [DepthwiseConv2D((2, 3), dilation_rate=(2, 4), padding="same")],
        "row": [Conv2D(4, (1, 3), dilation_rate=(2, 3))],
    }
    net = check(branches((10, 13, 3), cases), tmp_path, caffe, dialect="portable")
    made = {la.origin: la.message.convolution_param for la in net.network.layers[1:]}
    assert [list(made[name].dilation) for name in cases] == [[], [2], [3]]


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_depthwise_separable_and_grouped(
    channels: int, size: tuple[int, int], tmp_path: Path, caffe: Caffe
) -> None:
    from keras.layers import Conv2D, DepthwiseConv2D, SeparableConv2D

    cases: dict[str, list[Any]] = {}
    for k, s, padding, m in product([2, 3], [1, 2], ["same", "valid"], [1, 2]):
        name = f"k{k}_s{s}_{padding}_m{m}"
        cases[f"depthwise_{name}"] = [DepthwiseConv2D(k, s, padding, m)]
        cases[f"separable_{name}"] = [SeparableConv2D(5, k, s, padding, depth_multiplier=m)]
        cases[f"grouped_{name}"] = [Conv2D(2 * channels, k, s, padding, groups=channels)]
    net = check(branches((*size, channels), cases), tmp_path, caffe)
    assert set(net.types) == {"Input", "Convolution"}
    assert len(net.types) == 1 + len(cases) * 4 // 3


def test_dilated_depthwise_is_one_layer(tmp_path: Path, caffe: Caffe) -> None:
    """TensorFlow says it by SpaceToBatchND, and strides by a slice behind."""
    from keras.layers import DepthwiseConv2D

    cases = {
        f"k{k}_d{d}_s{s}_{padding}": [DepthwiseConv2D(k, s, padding, 2, dilation_rate=d)]
        for k, d, s, padding in product([2, 3], [2, 3], [1, 2], ["same", "valid"])
    }
    net = check(branches((11, 14, 3), cases), tmp_path, caffe)
    assert set(net.types) == {"Input", "Convolution"}


def test_groups_of_several_channels(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv2D

    cases = {
        f"g{groups}_o{outputs}": [Conv2D(outputs, 3, 2, "same", groups=groups)]
        for groups, outputs in [(2, 4), (3, 6), (6, 6), (6, 12)]
    }
    check(branches((9, 8, 6), cases), tmp_path, caffe)


def test_padding_and_cuts_before_are_merged(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv2D, Cropping2D, DepthwiseConv2D, ZeroPadding2D

    cases = {
        "imagenet_stem": [ZeroPadding2D(3), Conv2D(4, 7, 2)],
        "mobile": [ZeroPadding2D(((0, 1), (0, 1))), DepthwiseConv2D(3, 2)],
        "front": [ZeroPadding2D(((1, 0), (1, 0))), Conv2D(4, 3, 2)],
        "spare": [ZeroPadding2D(((1, 0), (2, 0))), Conv2D(4, 2, 3)],
        "twice": [ZeroPadding2D(1), ZeroPadding2D(((0, 1), (2, 0))), Conv2D(4, 3)],
        "same": [ZeroPadding2D(((2, 0), (0, 1))), Conv2D(4, 3, 2, "same")],
        "cut": [Cropping2D(((1, 0), (0, 2))), Conv2D(4, 3, 2)],
        "shifted": [
            ZeroPadding2D(((0, 1), (0, 1))),
            Cropping2D(((1, 0), (1, 0))),
            DepthwiseConv2D(1, 2),
        ],
    }
    net = check(branches((10, 12, 3), cases), tmp_path, caffe)
    assert net.types == ["Input", *["Convolution"] * len(cases)]


def test_a_wide_cut_stays(tmp_path: Path, caffe: Caffe) -> None:
    """Rows of zeros in each kernel would cost more."""
    from keras.layers import Conv2D, Cropping2D

    layers = [Cropping2D(((0, 5), (4, 4))), Conv2D(4, 3)]
    net = check(branches((13, 14, 3), {"conv": layers}), tmp_path, caffe)
    (kernel,) = net.network.layers[-1].message.convolution_param.kernel_size
    assert kernel == 3


def test_a_pad_after_a_cut_stays(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv2D, Cropping2D, ZeroPadding2D

    layers = [Cropping2D(1), ZeroPadding2D(1), Conv2D(4, 3)]
    check(branches((7, 8, 3), {"conv": layers}), tmp_path, caffe)


@pytest.mark.parametrize(("outputs", "layers"), [(64, 1), (128, 2)])
def test_many_outputs_make_a_layer_before_cheaper(
    outputs: int, layers: int, tmp_path: Path, caffe: Caffe
) -> None:
    """Than rows of zeros that each output would multiply."""
    from keras.layers import Conv2D

    net = check(branches((6, 8, 3), {"conv": [Conv2D(outputs, 3, 2, "same")]}), tmp_path, caffe)
    assert net.types == ["Input", *["Convolution"] * layers]


@pytest.mark.parametrize("length", [12, 13])
def test_one_dimension(length: int, tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv1D, DepthwiseConv1D, SeparableConv1D

    cases: dict[str, list[Any]] = {}
    for k, s, padding in product([1, 2, 3], [1, 2], ["same", "valid", "causal"]):
        cases[f"conv_k{k}_s{s}_{padding}"] = [Conv1D(4, k, s, padding)]
        if padding != "causal":
            cases[f"depthwise_k{k}_s{s}_{padding}"] = [DepthwiseConv1D(k, s, padding)]
            cases[f"separable_k{k}_s{s}_{padding}"] = [SeparableConv1D(4, k, s, padding)]
    for padding in ("same", "valid", "causal"):
        cases[f"dilated_{padding}"] = [Conv1D(4, 3, 1, padding, dilation_rate=2)]
        cases[f"even_dilated_{padding}"] = [Conv1D(4, 2, 1, padding, dilation_rate=3)]
    net = check(branches((length, 3), cases), tmp_path, caffe)
    assert set(net.types) == {"Input", "Reshape", "Convolution"}  # biases are in them


def test_three_dimensions(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv3D, Cropping3D, ZeroPadding3D

    cases = {
        f"k{k}_s{s}_{padding}": [Conv3D(4, k, s, padding)]
        for k, s, padding in product([1, 2, 3], [1, 2], ["same", "valid"])
    }
    cases["rectangular"] = [Conv3D(4, (1, 3, 2), (1, 2, 1), "same")]
    cases["padded"] = [ZeroPadding3D(((1, 0), (0, 1), (2, 2))), Conv3D(3, 3)]
    cases["cut"] = [Cropping3D(((1, 0), (0, 1), (1, 1)))]
    cases["dilated"] = [Conv3D(3, 2, dilation_rate=2, padding="same")]
    check(branches((5, 6, 7, 2), cases), tmp_path, caffe)


def test_channels_first(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv2D, Conv2DTranspose, DepthwiseConv2D, MaxPooling2D, ZeroPadding2D

    first = "channels_first"
    cases = {
        "conv": [Conv2D(4, 3, 2, "same", data_format=first)],
        "depthwise": [DepthwiseConv2D(3, 2, "same", data_format=first)],
        "padded": [ZeroPadding2D(1, data_format=first), Conv2D(4, 3, data_format=first)],
        "pool": [Conv2D(4, 3, data_format=first), MaxPooling2D(2, data_format=first)],
        "transposed": [Conv2DTranspose(4, 3, 2, "same", data_format=first)],
    }
    net = check(branches((3, 8, 10), cases), tmp_path, caffe)
    assert set(net.types) == {"Input", "Convolution", "Deconvolution", "Pooling"}


def test_strides_and_dilation_at_once(tmp_path: Path, caffe: Caffe) -> None:
    """Keras refuses them, TensorFlow does not."""
    import keras
    import tensorflow as tf

    class Strided(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(3, 2, shape[-1], 4), name="kernel")

        def call(self, x: Any) -> Any:
            pads = [[0, 0], [3, 0], [1, 2], [0, 0]]
            return tf.nn.conv2d(x, self.kernel, 2, pads, dilations=(2, 3))

    cases = {"conv": [Strided()]}
    check(branches((9, 10, 3), cases), tmp_path, caffe)


def test_a_kernel_that_is_computed_is_refused(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    x = keras.Input((4, 4, 2), batch_size=1, name="x")
    k = keras.Input((3, 2, 5), batch_size=3, name="k")

    class Computed(keras.layers.Layer):
        def call(self, x: Any, k: Any) -> Any:
            return tf.nn.conv2d(x, k, 1, "SAME")

    model = keras.Model([x, k], Computed(name="conv")(x, k))
    with pytest.raises(UnsupportedError, match=r"layer 'conv'.*computed.*--outputs"):
        written(model, tmp_path)
