"""Fixtures: real Caffe and OpenCV, one process of each per test process.

`conftest.py` makes them known: a test asks for `caffe` or `opencv` by naming it as an argument.
"""

from collections.abc import Iterator

import pytest
from tfcaffe.errors import RuntimeMissingError
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe, find_caffe


@pytest.fixture(scope="session")
def caffe() -> Iterator[Caffe]:
    """Real Caffe; skips only where it is not installed (one that is broken fails)."""
    if find_caffe() is None:
        pytest.skip("real Caffe is not installed (make pycaffe, or CAFFE_PYTHON)")
    with Caffe() as running:
        yield running


@pytest.fixture(scope="session")
def opencv() -> Iterator[OpenCV]:
    """OpenCV 4; skips where it is not installed."""
    try:
        running = OpenCV()
    except RuntimeMissingError as error:
        pytest.skip(str(error))
    with running:
        yield running
