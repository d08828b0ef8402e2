"""What a file is, told by its suffix or by its first bytes."""

from __future__ import annotations

import re
from enum import Enum, auto
from pathlib import Path

from tfcaffe.errors import FileFormatError
from tfcaffe.input import FileIdentity

_HEAD = 4096  # bytes that are looked at
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_FIRST_USER_BLOCK = 512
_TEXT = frozenset(b"\t\n\v\f\r")
_ZIP = b"PK\x03\x04"
_NETS = {".prototxt", ".pbtxt", ".txt"}
_TENSORFLOW = {".keras", ".pb", ".index", ".meta", ".ckpt", ".tflite"}
_CHECKPOINT = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")


class FileKind(Enum):
    """What can be told of a file without reading all of it."""

    PROTOTXT = auto()
    WEIGHTS = auto()  # a caffemodel, or HDF5
    TENSORFLOW = auto()


def file_kind(path: Path) -> FileKind:
    """A net in text form, a file of Caffe's weights, or something of TensorFlow's.

    A file that is not there counts as a prototxt, whose reader then says so.

    Raises:
        FileFormatError: the file cannot be read.
    """
    try:
        if _is_tensorflow(path):
            return FileKind.TENSORFLOW
        if path.suffix in _NETS or not path.is_file():
            return FileKind.PROTOTXT
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error}") from error
    if head.startswith(_ZIP):
        return FileKind.TENSORFLOW
    binary = any(byte < ord(" ") and byte not in _TEXT for byte in head)
    return FileKind.WEIGHTS if binary or is_hdf5(path) else FileKind.PROTOTXT


def _is_tensorflow(path: Path) -> bool:
    if path.is_dir():
        return (path / "saved_model.pb").is_file()
    named = path.suffix in _TENSORFLOW or path.name.endswith(".weights.h5")
    return (named and path.is_file()) or checkpoint_prefix(path) is not None


def checkpoint_prefix(path: Path) -> Path | None:
    """What the names of a checkpoint's files have in common, if `path` is that or one of them."""
    name = _CHECKPOINT.sub("", path.name)
    if not name or (name == path.name and path.exists()):
        return None
    return path.with_name(name) if path.with_name(f"{name}.index").is_file() else None


def is_hdf5(path: Path) -> bool:
    """Whether HDF5's signature is where HDF5 looks for it: byte 0, or behind a user block."""
    size = FileIdentity.of(path).size
    try:
        with path.open("rb") as file:
            offset = 0
            while offset + len(_HDF5_SIGNATURE) <= size:
                file.seek(offset)
                if file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
                    return True
                offset = offset * 2 or _HDF5_FIRST_USER_BLOCK
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error}") from error
    return False
