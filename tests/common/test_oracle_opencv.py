"""OpenCV as the second reader: the same nets, the same numbers."""

from pathlib import Path

import numpy as np
import pytest

from oracle_nets import (
    CONV_BLOBS,
    CONV_RELU_POOL,
    DATA,
    EXPECTED,
    ONE_AXIS,
    TWO_INPUTS,
    UNKNOWN_BOTTOM,
    V1_NET,
    close,
    numbers,
)
from oracles import Write
from tfcaffe.oracle import OracleError
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe


def test_opencv_agrees(caffe: Caffe, opencv: OpenCV, write: Write, tmp_path: Path) -> None:
    net, weights = write(CONV_RELU_POOL), tmp_path / "net.caffemodel"
    caffe.save(net, weights, blobs=CONV_BLOBS)
    run = opencv.run(net, weights, {"data": DATA})
    assert [layer.name for layer in run.layers] == list(EXPECTED)[1:]
    for layer in run.layers:  # conv as well: the in-place ReLU has not touched it
        close(layer.arrays[0], EXPECTED[layer.name])


def test_opencv_two_inputs(opencv: OpenCV, write: Write) -> None:
    a, b = numbers(4, 3, seed=4), numbers(4, 3, seed=5)
    run = opencv.run(write(TWO_INPUTS), None, {"b": b, "a": a})
    close(run.layer("difference").arrays[0], a - 2 * b)


def test_opencv_one_axis(opencv: OpenCV, write: Write) -> None:
    run = opencv.run(write(ONE_AXIS), None, {"x": numbers(7)})
    close(run.layer("power").arrays[0], 3 * numbers(7, 1) + 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (UNKNOWN_BOTTOM, 'Can\'t find output blob "nope"'),
        (CONV_RELU_POOL, "blobs.empty"),
        ('layer { name: "x"', "Failed to parse NetParameter"),
    ],
    ids=["bottom", "no weights", "text"],
)
def test_opencv_refused_net_gives_its_words(
    opencv: OpenCV, write: Write, temporary: Path, text: str, words: str
) -> None:
    with pytest.raises(OracleError, match=words):
        opencv.run(write(text), None, {"data": DATA})
    assert not list(temporary.iterdir())
    run = opencv.run(write(V1_NET), None, {"data": numbers(1, 2, 2, 2)})
    close(run.layer("power").arrays[0], np.square(numbers(1, 2, 2, 2)))


def test_opencv_crash_is_an_error(opencv: OpenCV, corpus: Path, write: Write) -> None:
    with pytest.raises(OracleError, match=r"OpenCV died on .*sstd_text"):
        opencv.run(corpus / "prototxt" / "sstd_text.prototxt")
    run = opencv.run(write(V1_NET), None, {"data": numbers(1, 2, 2, 2)})
    close(run.layer("power").arrays[0], np.square(numbers(1, 2, 2, 2)))
