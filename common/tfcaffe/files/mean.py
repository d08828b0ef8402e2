"""Mean images: Caffe's `.binaryproto`, NumPy's `.npy`, or one value per channel."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.files.blob_proto import read_blob
from tfcaffe.files.wire import WireError
from tfcaffe.input import FileIdentity, map_file

_NPY_MAGIC = b"\x93NUMPY"


def read_mean(mean: str | Path) -> NDArray[np.float32]:
    """The mean to subtract, as float32 of shape C,H,W; values come as C,1,1.

    Args:
        mean: A `.binaryproto` or `.npy` file, told apart by content, or values ("104,117,123").

    Raises:
        UsageError: There is no such file, and these are no values either.
        FileFormatError: The file is damaged, or what it holds is no mean.
    """
    values = _values(str(mean))
    if values is not None:
        return values
    path = Path(mean)
    if not str(mean) or not os.path.lexists(path):
        raise UsageError(
            f"mean {mean}: there is no such file, and these are no values like 104,117,123"
        )
    FileIdentity.of(path)
    with path.open("rb") as file:
        is_npy = file.read(len(_NPY_MAGIC)) == _NPY_MAGIC
    array = _read_npy(path) if is_npy else _read_binaryproto(path)
    shape = array.shape[1:] if array.ndim == 4 and array.shape[0] == 1 else array.shape
    if len(shape) == 1:
        shape = (*shape, 1, 1)
    if len(shape) != 3 or not array.size:
        raise FileFormatError(f"{path}: a mean has the shape C,H,W, this one {array.shape}")
    result = array.reshape(shape).astype(np.float32)
    if not np.isfinite(result).all():
        raise FileFormatError(f"{path}: has values that are not finite")
    return result


def _values(text: str) -> NDArray[np.float32] | None:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    if not all(abs(value) <= float(np.finfo(np.float32).max) for value in values):  # nor is NaN
        raise UsageError(f"mean {text}: values must be finite, also as float32")
    return np.array(values, np.float32).reshape(-1, 1, 1)


def _read_binaryproto(path: Path) -> NDArray[np.floating]:
    _, buffer = map_file(path)
    try:
        return read_blob(buffer, 0, len(buffer)).read()
    except WireError as error:
        raise FileFormatError(
            f"{path}: is no mean.binaryproto, or a damaged one: {error}; a mean is one of these, a "
            ".npy file, or values like 104,117,123"
        ) from error


def _read_npy(path: Path) -> NDArray[np.floating]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:
        raise FileFormatError(f"{path}: is a damaged .npy: {error}") from error
    if array.dtype.kind not in "fiu":
        raise FileFormatError(f"{path}: holds {array.dtype}, not numbers")
    return array
