"""Random nets of what moves, splits and joins, with products between: all of it in real Caffe."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.oracle.pycaffe import Caffe
from whole import RTOL, compared, randomised, written

_INPUTS = ((6, 5, 4), (4, 6), (12,), (2, 3, 4, 2))
_MOST = 1500  # numbers of a tensor, so that nets stay small


def reshaped(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    total, sizes = prod(y.shape[1:]), []
    while total > 1 and len(sizes) < 3:
        sizes.append(int(rng.choice([d for d in range(1, total + 1) if total % d == 0])))
        total //= sizes[-1]
    return k.Reshape((*sizes, total))(y)


def permuted(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    order = 1 + rng.permutation(len(y.shape) - 1)
    return k.Permute(tuple(int(i) for i in order))(y)


def dense(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    return k.Dense(int(rng.integers(2, 7)))(y)


def convolved(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    kinds = {3: k.Conv1D, 4: k.Conv2D}
    return kinds[len(y.shape)](3, 1)(y) if len(y.shape) in kinds else y


def joined(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    return k.Concatenate(dimension(y, rng))([y, k.Dense(y.shape[-1])(y)])


def stacked(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    return o.stack([y, k.ReLU()(y)], dimension(y, rng)) if len(y.shape) < 5 else y


def apart(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    axis = dimension(y, rng)
    if y.shape[axis] < 2:
        return y
    first, second = o.split(y, [int(rng.integers(1, y.shape[axis]))], axis)
    return second if rng.random() < 0.5 else o.concatenate([second, first], axis)


def tiled(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    times = [1] * len(y.shape)
    times[dimension(y, rng)] = 2
    return o.tile(y, times)


def flipped(k: Any, o: Any, y: Any, rng: np.random.Generator) -> Any:
    return o.flip(y, dimension(y, rng))


def dimension(y: Any, rng: np.random.Generator) -> int:
    return int(rng.integers(1, len(y.shape)))


SMALL = [reshaped, permuted, dense, apart]
STEPS = [*SMALL, reshaped, permuted, convolved, joined, stacked, tiled, flipped]


@pytest.mark.parametrize("seed", range(24))
def test_random_net(seed: int, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    rng = np.random.default_rng(seed)
    shape = _INPUTS[seed % len(_INPUTS)]
    x = y = keras.Input(shape, batch_size=1 + seed % 2, name="x")
    for _ in range(6):
        steps = STEPS if prod(y.shape) < _MOST else SMALL
        y = steps[rng.integers(len(steps))](keras.layers, keras.ops, y, rng)
    model = randomised(keras.Model(x, keras.layers.Dense(3, name="last")(y)), seed)
    report = compared(model, written(model, tmp_path), caffe)
    assert len(report.outputs) == 1
    assert max(blob.max for blob in (*report.blobs, *report.outputs)) < RTOL
