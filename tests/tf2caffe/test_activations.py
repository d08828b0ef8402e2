"""Functions of single numbers, as Keras and TensorFlow write them, in real Caffe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tables import Case, check_table, network, numbers
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import written

IMAGE = (5, 6, 4)
CLIPPED = "Power ReLU Power ReLU Eltwise"
POLY = "Power Eltwise Power Eltwise Power Eltwise Power"
GELU = f"AbsVal Power {POLY} Eltwise Exp Eltwise ReLU Eltwise Eltwise"
GELU_TANH = "Eltwise Power Eltwise TanH Power Eltwise"
SWITCH = "Threshold Eltwise"


def keras_cases() -> dict[str, Case]:
    """Activations by name, and Keras's layers."""
    from keras import activations, layers

    named = {
        "relu": "ReLU",
        "leaky_relu": "ReLU",
        "relu6": "ReLU Power ReLU Eltwise",
        "elu": "ELU",
        "selu": "ELU Power",
        "celu": "",
        "sigmoid": "Sigmoid",
        "tanh": "TanH",
        "softplus": "BNLL",
        "softsign": "AbsVal Power Eltwise",
        "silu": "Sigmoid Eltwise",
        "mish": "BNLL TanH Eltwise",
        "hard_sigmoid": f"{CLIPPED} Power",
        "hard_swish": f"{CLIPPED} Power Eltwise",
        "hard_tanh": "Power ReLU Eltwise Power ReLU Eltwise",
        "hard_shrink": f"AbsVal {SWITCH}",
        "soft_shrink": "",
        "tanh_shrink": "TanH Eltwise",
        "exponential": "Exp",
        "log_sigmoid": "Power BNLL Power",
        "log_softmax": "",
        "squareplus": "",
        "sparse_plus": "",
        "sparse_sigmoid": "",
        "glu": "Slice Sigmoid Eltwise",
        "gelu": GELU,
    }
    cases: dict[str, Case] = {
        name: (layers.Activation(name), types) for name, types in named.items()
    }
    return cases | {
        "gelu_tanh": (lambda x: activations.gelu(x, approximate=True), GELU_TANH),
        "elu_alpha": (layers.ELU(0.7), "ELU"),
        "leaky": (layers.LeakyReLU(0.2), "ReLU"),
        "relu_high": (layers.ReLU(1.5), "ReLU Power ReLU Eltwise"),
        "relu_above": (layers.ReLU(threshold=0.4), SWITCH),
        "relu_all": (layers.ReLU(1.5, negative_slope=0.1, threshold=0.4), ""),
        "prelu_channels": (layers.PReLU(shared_axes=[1, 2]), "PReLU"),
        "prelu_one": (layers.PReLU(shared_axes=[1, 2, 3]), "PReLU"),
        "prelu_all": (layers.PReLU(), "Power ReLU Scale ReLU Eltwise"),
        "prelu_rows": (layers.PReLU(shared_axes=[2, 3]), "Power ReLU Scale ReLU Eltwise"),
    }


def written_softmax(tf: Any, x: Any, peak: Any, total: Any) -> Any:
    power = tf.exp(x - tf.reduce_max(x, peak, keepdims=True))
    return power / tf.reduce_sum(power, total, keepdims=True)


def by_log(tf: Any, x: Any, power: Any, over: Any) -> Any:
    """exp(x - log(sum(power(x - m))) - m), m being the largest, if it is finite."""
    peak = tf.reduce_max(x, -1, keepdims=True)
    peak = tf.where(tf.math.is_finite(peak), peak, tf.zeros_like(peak))
    return tf.exp(x - (tf.math.log(tf.reduce_sum(power(x - peak), over, keepdims=True)) + peak))


def of_less(tf: Any, x: Any) -> Any:
    """What is taken away is larger than what it is taken from."""
    power = tf.exp(x[..., :1] - tf.reduce_max(x, [1], keepdims=True))
    return power / tf.reduce_sum(power, -1, keepdims=True)


def tensorflow_cases() -> dict[str, Case]:
    """Forms that people write by hand, and plain functions."""
    import tensorflow as tf

    root = float(np.sqrt(2 / np.pi))
    slopes = numbers(4)
    return {
        "gelu_cubed": (
            lambda x: 0.5 * x * (1 + tf.tanh(root * (x + 0.044715 * x * x * x))),
            GELU_TANH,
        ),
        "gelu_factored": (
            lambda x: x * (1 + tf.tanh(root * x * (1 + 0.044715 * x * x))) / 2,
            GELU_TANH,
        ),
        "gelu_erf": (lambda x: x * 0.5 * (1 + tf.math.erf(x / tf.sqrt(2.0))), GELU),
        "gelu_near": (lambda x: 0.5 * x * (1 + tf.math.erf(x * 0.7)), ""),  # is none
        "erf": (tf.math.erf, ""),
        "erfc": (tf.math.erfc, ""),
        "old_hard_sigmoid": (lambda x: tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0), ""),
        "old_leaky": (lambda x: tf.maximum(0.1 * x, x), "ReLU"),
        "old_prelu": (lambda x: tf.nn.relu(x) + slopes * (x - tf.abs(x)) * 0.5, "PReLU"),
        "prelu_where": (lambda x: tf.where(x > 0, x, slopes * x), "PReLU"),
        "prelu_where_not": (lambda x: tf.where(x <= 0.0, x * slopes, x), "PReLU"),
        "prelu_bounds": (
            lambda x: tf.maximum(0.0, x) + slopes * tf.minimum(x, 0.0),
            "PReLU",
        ),
        "prelu_turned": (lambda x: tf.nn.relu(x) + slopes * -tf.nn.relu(-x), "PReLU"),
        "leaky_where": (lambda x: tf.where(x < 0, 0.2 * x, x), "ReLU"),
        "no_prelu": (lambda x: tf.where(x > 0.1, x, slopes * x), ""),
        "no_prelu_turned": (lambda x: tf.where(x < 0, x, slopes * x), ""),
        "no_prelu_bounds": (lambda x: tf.nn.relu(x) + slopes * tf.minimum(-x, 0.0), ""),
        "swish": (lambda x: x * tf.sigmoid(1.702 * x), "Power Sigmoid Eltwise"),
        "square": (tf.square, "Eltwise"),
        "number_of_power": (lambda x: 3.0 * (2.0 * x + 1.0) ** 2, ""),
        "number_of_root": (lambda x: 0.5 * (2.0 * tf.abs(x) + 1.0) ** -0.5, ""),
        "cube": (lambda x: x**3, "Power"),
        "root": (lambda x: tf.sqrt(tf.nn.relu(x)), "ReLU Power"),
        "inverse_root": (lambda x: tf.math.rsqrt(x * x + 0.1), "Eltwise Power"),
        "inverse": (lambda x: tf.math.reciprocal(x * x + 1), "Eltwise Power"),
        "odd_power": (lambda x: tf.abs(x) ** 0.7, "AbsVal Power"),
        "power_of_two": (lambda x: 2.0**x, "Exp"),
        "log": (lambda x: tf.math.log(tf.abs(x) + 0.1), "AbsVal Power Log"),
        "log1p": (
            lambda x: tf.math.log1p(tf.abs(x)),
            "AbsVal Power Power Eltwise Power Log Eltwise Eltwise",
        ),
        "expm1": (tf.math.expm1, "Power TanH AbsVal Power ReLU Exp Eltwise"),
        "negative": (lambda x: -x, "Power"),
        "at_least": (lambda x: tf.maximum(x, 0.3), "Power ReLU Power"),
        "at_most": (lambda x: tf.minimum(0.3, x), "Power ReLU Eltwise"),
        "far_below": (lambda x: tf.maximum(x, -1e9), "Power ReLU Eltwise"),
        "far_above": (lambda x: tf.minimum(x, 1e9), "Power ReLU Eltwise"),
        "without_bound": (lambda x: tf.minimum(tf.nn.relu(x), np.inf), "ReLU"),
        "by_channel": (lambda x: tf.maximum(x, slopes), "Scale ReLU Eltwise"),
        "below_by_channel": (lambda x: tf.minimum(x, slopes), "Scale ReLU Eltwise"),
        "clip_op": (
            lambda x: tf.raw_ops.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.7),
            "Power ReLU Eltwise Power ReLU Eltwise",
        ),
        "softmax_written_out": (
            lambda x: (
                tf.exp(x - tf.reduce_max(x, -1, True))
                / tf.reduce_sum(tf.exp(x - tf.reduce_max(x, -1, True)), -1, True)
            ),
            "",
        ),
        "softmax_shared": (lambda x: written_softmax(tf, x, -1, -1), "Softmax"),
        "softmax_of_rows": (lambda x: written_softmax(tf, x, [1, 2], [1, 2]), ""),
        "softmax_plain": (lambda x: tf.exp(x) / tf.reduce_sum(tf.exp(x), 3, True), ""),
        "no_softmax": (lambda x: written_softmax(tf, x, [1, 2], 3), ""),
        "softmax_by_log": (lambda x: by_log(tf, x, lambda y: tf.exp(y), -1), "Softmax"),
        "no_softmax_of_twice": (lambda x: by_log(tf, x, lambda y: tf.exp(2 * y), -1), ""),
        "no_softmax_of_weights": (
            lambda x: by_log(tf, x, lambda y: tf.abs(slopes) * tf.exp(y), -1),
            "",
        ),
        "no_softmax_over_more": (lambda x: by_log(tf, x, tf.exp, [1, 2, 3]), ""),
        "no_softmax_of_less": (lambda x: of_less(tf, x), ""),
        "zeros": (lambda x: tf.where(tf.equal(tf.nn.relu(x), 0.0), 1.0, x), ""),
        "others": (lambda x: tf.cast(tf.reduce_max(x, -1, True) != x, x.dtype), ""),
        "peaks": (lambda x: tf.cast(x == tf.nn.max_pool2d(x, 3, 1, "SAME"), x.dtype) * x, ""),
        "chosen": (lambda x: tf.where(x > 0.2, x * 2, x - 1), ""),
        "tested": (
            lambda x: tf.cast((x > 0.2) & (x <= 1) | ~(x >= -1.0) | (x > 0.0), tf.float32),
            "",
        ),
    }


@pytest.mark.parametrize("cases", [keras_cases, tensorflow_cases])
def test_activations(cases: Callable[[], dict[str, Case]], tmp_path: Path, caffe: Caffe) -> None:
    check_table(cases(), tmp_path, caffe, IMAGE)


@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 4, 5)])
def test_prelu_of_any_rank(shape: tuple[int, ...], tmp_path: Path, caffe: Caffe) -> None:
    from keras import layers

    shared = list(range(1, len(shape)))
    cases: dict[str, Case] = {
        "channels": (layers.PReLU(shared_axes=shared), ""),
        "one": (layers.PReLU(shared_axes=[*shared, len(shape)]), ""),
        "all": (layers.PReLU(), ""),
    }
    check_table(cases, tmp_path, caffe, shape)


def test_far_numbers(tmp_path: Path, caffe: Caffe) -> None:
    """Nothing overflows, and 0 and negative numbers are right."""
    import tensorflow as tf
    from keras import layers

    far = np.asarray([0, -0.0, 1e-3, -1e-3, 30, -30, 88, -88, 100, -100, 3, -3], np.float32)
    x = np.tile(far, (2, 1))
    names = ["softplus", "silu", "mish", "gelu", "elu", "softsign", "log_softmax", "log_sigmoid"]
    cases: dict[str, Case] = {name: (layers.Activation(name), "") for name in names}
    cases |= {
        "gelu_tanh": (lambda x: tf.nn.gelu(x, approximate=True), ""),
        "square": (tf.square, ""),
        "root": (lambda x: tf.sqrt(tf.abs(x)), ""),
        "cube": (lambda x: x**3.0, ""),
        "normed": (lambda x: tf.nn.l2_normalize(x * 0, -1) + x, ""),
    }
    check_table(cases, tmp_path, caffe, (len(far),), inputs={"x0": x})


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 0.5, 50.0])
def test_small_numbers(scale: float, tmp_path: Path, caffe: Caffe) -> None:
    """Beside 1 they lose their digits: log(1 + x) and exp(x) - 1 as they stand would be wrong."""
    import tensorflow as tf

    cases: dict[str, Case] = {"log1p": (tf.math.log1p, ""), "expm1": (tf.math.expm1, "")}
    x = (np.linspace(-1, 1, 14, dtype=np.float32) * scale).reshape(2, 7)
    x = np.maximum(x, np.float32(-0.9))
    check_table(cases, tmp_path, caffe, (7,), inputs={"x0": x})


def test_activations_in_portable_layers(tmp_path: Path, caffe: Caffe) -> None:
    from keras import layers

    names = ["gelu", "hard_swish", "silu", "softsign", "tanh_shrink", "leaky_relu", "hard_tanh"]
    names += ["elu", "selu", "mish"]
    cases: dict[str, Case] = {name: (layers.Activation(name), "") for name in names}
    cases["prelu"] = (layers.PReLU(), "")
    cases["prelu_one"] = (layers.PReLU(shared_axes=[1, 2, 3]), "ReLU")
    check_table(cases, tmp_path, caffe, IMAGE, dialect="portable")
    far = np.asarray([0, 1e-3, -1e-3, 30, -30, 88, -88, 100, -100, 3, -3], np.float32)
    fed = {"x0": np.tile(far, (2, 1))}
    names = ["elu", "selu", "mish"]
    cases = {name: (layers.Activation(name), "") for name in names}
    check_table(cases, tmp_path, caffe, far.shape, inputs=fed, dialect="portable")


@pytest.mark.parametrize("axes", [1, 2, 3, [1, 2], [1, 3], [2, 3], [1, 2, 3]])
def test_softmax(axes: int | list[int], tmp_path: Path, caffe: Caffe) -> None:
    from keras import layers

    check_table({"softmax": (layers.Softmax(axes), "")}, tmp_path, caffe, IMAGE)


@pytest.mark.parametrize(
    ("shape", "types"),
    [
        ((7,), ("Softmax", "Power Eltwise Power InnerProduct Reshape")),
        ((5, 7), ("Softmax", "")),
        ((2, 3, 4, 5), ("Softmax", "")),
    ],
)
def test_softmax_of_any_rank(
    shape: tuple[int, ...], types: tuple[str, str], tmp_path: Path, caffe: Caffe
) -> None:
    import tensorflow as tf

    cases: dict[str, Case] = {
        "last": (tf.nn.softmax, types[0]),
        "first": (lambda x: tf.nn.softmax(x, 1), "Softmax"),
        "flat": (lambda x: tf.nn.softmax(tf.reshape(x, (2, -1))), ""),
        "log": (lambda x: tf.nn.log_softmax(x * 60), ""),
        "log_sum": (lambda x: tf.reduce_logsumexp(x, -1), ""),
    }
    check_table(cases, tmp_path, caffe, shape)


def far_from_log(x: Any) -> Any:
    """An infinity goes a long way."""
    import tensorflow as tf

    y = tf.math.log(x)
    for _ in range(20):
        y = tf.abs(y) + x
    return y


def test_refusals(tmp_path: Path) -> None:
    import tensorflow as tf

    functions: dict[str, tuple[Any, str]] = {
        "sign": (tf.sign, r"node '.*' \(Sign, layer 'sign'\): stock Caffe has no layer .*outputs"),
        "floor": (tf.floor, r"Floor, layer 'floor'"),
        "power": (lambda x: tf.abs(x) ** x, r"Power has one constant power.*--outputs"),
        "choice": (
            lambda x: tf.where(x > 0.2, tf.math.log(x), x),
            r"Log, layer 'choice'\) may be infinite where it is not chosen",
        ),
        "infinite": (
            lambda x: tf.where(x > 0.2, x, -np.inf),
            r"layer 'infinite'\): its input 2 has numbers that are not finite",
        ),
        "far": (
            lambda x: tf.where(x > 0.2, far_from_log(x), x),
            r"Log, layer 'far'\) may be infinite where it is not chosen",
        ),
        "alike": (
            lambda x: tf.cast(tf.nn.relu6(x) == 6.0, x.dtype),
            r"Equal, layer 'alike'\): .* rounding of their last digits",
        ),
        "whole": (
            lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32),
            r"Cast, layer 'whole'\): makes whole numbers",
        ),
        "eighth": (
            lambda x: tf.cast(tf.cast(x, tf.dtypes.experimental.float8_e4m3fn), tf.float32),
            r"Cast, layer 'eighth'\): rounds to float8_e4m3fn.*before it was quantised",
        ),
        "quotient": (lambda x: x // 2, r"FloorDiv, layer 'quotient'\): .*rounds a quotient"),
    }
    cases: dict[str, Case] = {name: (function, "") for name, (function, _) in functions.items()}
    with pytest.raises(UnsupportedError) as raised:
        written(network(cases, IMAGE), tmp_path)
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("10 nodes cannot be said")
    for _, message in functions.values():
        import re

        assert re.search(message, str(raised.value)), message
