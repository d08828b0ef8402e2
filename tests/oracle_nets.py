"""Nets that the oracles' own tests run, and what a plain NumPy computation says of them."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

CONV_RELU_POOL = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 6 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
        pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "twice" type: "Eltwise" bottom: "conv" bottom: "conv" top: "twice" }
"""
TWO_INPUTS = """
input: "a" input_shape { dim: 2 dim: 3 }
input: "b" input_shape { dim: 2 dim: 3 }
layer { name: "difference" type: "Eltwise" bottom: "a" bottom: "b" top: "difference"
        eltwise_param { coeff: 1 coeff: -2 } }
"""
ONE_AXIS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 } } }
layer { name: "power" type: "Power" bottom: "x" top: "y" power_param { scale: 3 shift: 1 } }
"""
V1_NET = """
input: "data" input_dim: 1 input_dim: 2 input_dim: 1 input_dim: 1
layers { name: "power" type: POWER bottom: "data" top: "y" power_param { power: 2 } }
"""
V0_NET = """
input: "data" input_dim: 1 input_dim: 2 input_dim: 1 input_dim: 1
layers { layer { name: "relu" type: "relu" } bottom: "data" top: "y" }
"""
DUMMY_DATA = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
        dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 }
                           data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }
"""
STAGED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }
layer { name: "one" type: "Power" bottom: "data" top: "one" include { phase: TRAIN } }
layer { name: "two" type: "Power" bottom: "data" top: "two" include { stage: "deploy" } }
layer { name: "three" type: "Power" bottom: "data" top: "three" include { min_level: 3 } }
"""
PYTHON_LAYER = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
layer { name: "talker" type: "Python" bottom: "x" top: "y"
        python_param { module: "talker" layer: "Talker" } }
"""
TALKER = """
import os
import caffe

class Talker(caffe.Layer):
    def setup(self, bottom, top):
        print("setting up")

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        os.write(1, b"running")
        top[0].data[...] = 10 * bottom[0].data
"""
EXPLICIT_SPLIT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }
layer { name: "data_data_0_split" type: "Split" bottom: "data"
        top: "data_data_0_split_0" top: "data_data_0_split_1" }
"""
UNKNOWN_BOTTOM = CONV_RELU_POOL.replace('bottom: "conv" top: "pool"', 'bottom: "nope" top: "pool"')


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def convolution(data: Array, weights: Array, bias: Array) -> Array:
    """Cross-correlation without padding, stride 1."""
    windows = np.lib.stride_tricks.sliding_window_view(data, weights.shape[2:], axis=(2, 3))
    return np.einsum("nchwyx,ocyx->nohw", windows, weights) + bias[:, None, None]


def max_pool_2(data: Array) -> Array:
    """Kernel 2, stride 2, on even sizes."""
    n, c, h, w = data.shape
    return data.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))


DATA = numbers(2, 3, 8, 6, seed=1)
WEIGHTS = numbers(4, 3, 3, 3, seed=2)
BIAS = numbers(4, seed=3)
CONV = convolution(DATA, WEIGHTS, BIAS)
RELU = np.maximum(CONV, 0)
CONV_BLOBS = {"conv": [WEIGHTS, BIAS]}
EXPECTED = {"data": DATA, "conv": CONV, "relu": RELU, "pool": max_pool_2(RELU), "twice": 2 * RELU}


def close(actual: Array, expected: Array) -> None:
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
