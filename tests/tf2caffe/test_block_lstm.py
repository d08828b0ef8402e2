"""TensorFlow's op for all steps of an LSTM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import frozen, tf1
from steps import (
    BATCH,
    BIAS,
    FIRST,
    JOINED,
    SEQUENCES,
    STEPS,
    UNITS,
    converted,
)
from tfcaffe.errors import ConversionError
from tfcaffe.oracle.pycaffe import Caffe
from whole import written


def block(tf: Any, x: Any, later: bool, **options: Any) -> Any:
    """TensorFlow's op for all steps; the time is first."""
    none = np.zeros(UNITS, np.float32)
    start = np.zeros((BATCH, UNITS), np.float32)
    op = tf.raw_ops.BlockLSTMV2 if later else tf.raw_ops.BlockLSTM
    given = {"seq_len_max": np.int64(STEPS), "cs_prev": start, "h_prev": start, "w": JOINED}
    given |= {"wci": none, "wcf": none, "wco": none, "b": BIAS, "cell_clip": -1.0}
    return op(x=tf.transpose(x, (1, 0, 2)), **(given | options))


@pytest.mark.parametrize("later", [False, True])
def test_block_lstm(later: bool, tmp_path: Path, caffe: Caffe) -> None:
    more = {} if later else {"forget_bias": 0.5}
    net = converted(lambda tf, x: block(tf, x, later, **more).h * 2.0, tmp_path, caffe)
    assert net.types.count("LSTM") == 1


STRANGE: dict[str, dict[str, Any]] = {
    "clipped": {"cell_clip": 0.4},
    "peepholes": {"use_peephole": True, "wci": FIRST[0], "wcf": FIRST[1], "wco": FIRST[0] * 2},
    "clipped peepholes": {"use_peephole": True, "wco": FIRST[0], "cell_clip": 0.3},
    "states": {"h_prev": FIRST, "cs_prev": FIRST[::-1].copy()},
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("later", [False, True])
def test_block_lstm_that_caffe_has_not(
    name: str, later: bool, tmp_path: Path, caffe: Caffe
) -> None:
    net = converted(lambda tf, x: block(tf, x, later, **STRANGE[name]).h * 2, tmp_path, caffe)
    assert "LSTM" not in net.types


def test_gates_of_block_lstm(tmp_path: Path, caffe: Caffe) -> None:
    def make(tf: Any, x: Any) -> Any:
        made = block(tf, x, False)
        return made.i + 2 * made.cs + 3 * made.f + 4 * made.o + 5 * made.ci + 6 * made.co + made.h

    converted(make, tmp_path, caffe)


def test_block_lstm_that_stops_is_refused(tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SEQUENCES.shape, "x")
        tf.identity(block(tf, x, False, seq_len_max=np.int64(2)).h, name="y")

    graph, _ = tf1(build)
    with pytest.raises(ConversionError, match=r"\(BlockLSTM\S*: it stops before the last step"):
        written(frozen(graph, tmp_path), tmp_path, outputs=["y"])
