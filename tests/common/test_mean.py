"""Mean images in Caffe's and NumPy's files, and as values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.files import schema
from tfcaffe.files.mean import read_mean
from weights_files import BLOBS, dims, legacy, packed

MEAN = (np.arange(3 * 5 * 4, dtype=np.float32) / 4).reshape(3, 5, 4)
Write = Callable[[Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts bytes, or an array as .npy, into a file."""

    def put(content: Any) -> Path:
        path = tmp_path / "mean"
        with path.open("wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                np.save(file, content)
        return path

    return put


@pytest.mark.parametrize(
    "content",
    [
        legacy(MEAN[None]) + packed(5, MEAN),
        dims(MEAN) + packed(5, MEAN),
        BLOBS["unpacked legacy"](MEAN),
        BLOBS["double"](MEAN),
        MEAN,
        MEAN[None].astype(np.float64),
    ],
    ids=["legacy", "shape", "unpacked", "double", "npy", "npy with a batch"],
)
def test_files(content: Any, write: Write) -> None:
    mean = read_mean(write(content))
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, MEAN)


def test_reads_as_protobuf_does(write: Write) -> None:
    content = legacy(MEAN[None]) + packed(5, MEAN)
    blob = schema.bvlc().message("BlobProto")()
    blob.ParseFromString(content)
    np.testing.assert_array_equal(read_mean(write(content)).ravel(), blob.data)


def test_a_value_per_channel_in_npy(write: Write) -> None:
    np.testing.assert_array_equal(read_mean(write(np.arange(3))), [[[0]], [[1]], [[2]]])


@pytest.mark.parametrize(
    ("text", "values"), [("104,117,123", [104, 117, 123]), ("127.5", [127.5]), ("-1, 2", [-1, 2])]
)
def test_values(text: str, values: list[float]) -> None:
    mean = read_mean(text)
    assert mean.shape == (len(values), 1, 1)
    np.testing.assert_array_equal(mean.ravel(), values)


def test_a_file_beats_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_mean(tmp_path / "none.binaryproto")


def test_values_must_be_finite() -> None:
    with pytest.raises(UsageError, match="finite"):
        read_mean("1,inf,2")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello", "no mean.binaryproto"),
        ((legacy(MEAN[None]) + packed(5, MEAN))[:-9], "no mean.binaryproto"),
        (dims(MEAN[0]) + packed(5, MEAN[0]), "shape C,H,W"),
        (legacy(np.ones((2, 3, 4, 5))) + packed(5, np.ones(120)), "shape C,H,W"),
        (dims(MEAN[:0]), "shape C,H,W"),
        (np.full((3, 1, 1), np.nan), "not finite"),
        (b"\x93NUMPY\x01\x00\x05\x00{'a'}", "damaged .npy"),
        (b"\x93NUMPY\x01\x00", "damaged .npy"),
        (np.array([{}, []], object), "damaged .npy"),
        (np.array(["a", "b", "c"]), "not numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_refused(content: Any, reason: str, write: Write) -> None:
    with pytest.raises(FileFormatError, match=reason):
        read_mean(write(content))
