"""Constants that x is broadcast over, in all that works on each number alone, in real Caffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tables import Case, check_table, numbers
from tfcaffe.oracle.pycaffe import Caffe

BOUNDS: list[tuple[int, ...]] = [(4, 5, 1), (1, 4, 5, 3), (2, 4, 5, 3), (1, 1, 1, 1, 1)]


@pytest.mark.parametrize("same", [False, True], ids=["varied", "same everywhere"])
@pytest.mark.parametrize("large", BOUNDS)
def test_constants_larger_than_x(
    large: tuple[int, ...], same: bool, tmp_path: Path, caffe: Caffe
) -> None:
    """Every rule and pattern of numbers alone, where the constant makes the value larger."""
    import tensorflow as tf

    c = np.full(large, 0.5, np.float32) if same else numbers(*large)
    zero, one = np.zeros(large, np.float32), np.ones(large, np.float32)
    positive, whole = np.abs(c) / 4 + 0.2, np.full(large, 2.0, np.float32)
    made: dict[str, Any] = {
        "product": lambda x: x * c,
        "sum": lambda x: x + c,
        "from": lambda x: c - x,
        "quotient": lambda x: x / positive,
        "divided": lambda x: c / (tf.abs(x) + 1.0),
        "distance": lambda x: tf.math.squared_difference(x, c),
        "power": lambda x: x**whole,
        "to_the_first": lambda x: tf.tanh(x) ** one,
        "larger": lambda x: tf.maximum(x, c),
        "larger_than_all": lambda x: tf.maximum(x, positive),
        "relu": lambda x: tf.maximum(x, zero),
        "relu_twice": lambda x: tf.maximum(tf.nn.relu(x), zero),
        "smaller": lambda x: tf.minimum(x, c),
        "smaller_than_all": lambda x: tf.minimum(x, -positive),
        "bounds": lambda x: tf.maximum(tf.minimum(x, positive), -2 * positive),
        "no_bound": lambda x: tf.minimum(tf.tanh(x), one * np.inf),
        "bounded_inverse": lambda x: tf.minimum(tf.math.rsqrt(x * x + 0.1), one),
        "leaky": lambda x: tf.maximum(x, positive * x),
        "prelu": lambda x: tf.nn.relu(x) + c * tf.minimum(x, 0.0),
        "prelu_of_keras": lambda x: tf.nn.relu(x) - c * tf.nn.relu(-x),
        "old_prelu": lambda x: tf.nn.relu(x) + c * (x - tf.abs(x)) * 0.5,
        "prelu_where": lambda x: tf.where(x > 0, x, c * x),
        "elu_of_tf": lambda x: tf.where(x > 0, tf.nn.elu(x), c * tf.nn.elu(x)),
        "mean": lambda x: tf.reduce_sum(x, -1, keepdims=True) / (3.0 * one),
        "above": lambda x: tf.where(x > c, 1.0, 0.0),
        "below": lambda x: tf.where(x <= c, 1.0, 0.0),
        "other": lambda x: tf.where(tf.not_equal(tf.nn.relu(x), zero), 1.0, 0.0),
        "chosen": lambda x: tf.where(x > 0, x, c),
        "or_zeros": lambda x: tf.where(x > 0, x, zero),
        "one_of_two": lambda x: tf.where(x > 0, 2 * c, c),
        "where_constant": lambda x: tf.where(c > 0.2, x, 2.0 * x),
        "gelu": lambda x: 0.5 * one * x * (1.0 + tf.math.erf(x / np.sqrt(2.0))),
        "lrn": lambda x: x * (1.0 + 0.5 * (x * x)) ** (-0.75 * one),
        "normal": lambda x: (x - c) * tf.math.rsqrt(positive) * c + whole,
    }
    if len(large) == 4 and large[0] == 1:
        made["clipped"] = lambda x: tf.clip_by_value(x + zero, -positive, positive)
    cases: dict[str, Case] = {name: (function, "") for name, function in made.items()}
    x = 3 * numbers(2, 3, 1, 1)
    check_table(cases, tmp_path, caffe, (1, 1, 3), inputs={"x0": x})
