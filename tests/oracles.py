"""Fixtures: real Caffe and OpenCV, one process of each per test process.

`conftest.py` makes them known: a test asks for `caffe` or `opencv` by naming it as an argument.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tfcaffe.errors import RuntimeMissingError
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe, find_caffe

Write = Callable[[str], Path]


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


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a prototxt; gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "net.prototxt"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that takes this process's temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
