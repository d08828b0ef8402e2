"""TensorFlow's checkpoint files (V2), written one tensor at a time and without TensorFlow.

`SaveV2` wants all tensors at once; here one is in memory. The data are what it writes, byte for
byte where the tensors come in the order of their names; the index differs in the keys between its
blocks, which may be any that separate them. Sources: tensor_bundle.cc and .proto;
table_builder.cc, block_builder.cc and format.cc for the index.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.variables.base import Array, Shape
from tfcaffe.variables.crc32c import extend, masked

_DTYPES = {  # types.proto
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "string": 7,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "qint8": 11,
    "quint8": 12,
    "qint32": 13,
    "bfloat16": 14,
    "qint16": 15,
    "quint16": 16,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
_HEADER = b"\x08\x01\x1a\x02\x08\x01"  # one shard, little-endian, written by version 1
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_FOOTER = 40  # bytes for the two handles, filled up with zeros
_BLOCK = 1 << 18
_RESTARTS = 16  # so many keys share their beginnings
_CHUNK = 1 << 24
_PLAIN = b"\0"  # a block that is not compressed


@dataclass(frozen=True)
class _Entry:
    dtype: int
    shape: Shape
    offset: int
    size: int
    crc: int

    def message(self) -> bytes:
        """BundleEntryProto; zeros are left out."""
        axes = b"".join(_field(2, b"\x08" + _varint(size) if size else b"") for size in self.shape)
        return (
            _number(1, self.dtype)
            + _field(2, axes)
            + _number(4, self.offset)
            + _number(5, self.size)
            + b"\x35"
            + struct.pack("<I", masked(self.crc))
        )


class BundleWriter:
    """A checkpoint in the making: `add` each tensor, then `finish`."""

    def __init__(self, prefix: Path) -> None:
        self._index, data = files(prefix)
        self._file: IO[bytes] = data.open("wb")
        self._beside = ThreadPoolExecutor(1)  # writes while the checksum is made
        self._entries: dict[bytes, _Entry] = {}
        self._size = 0

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._beside.shutdown()
        self._file.close()

    def add(self, name: str, array: Array, dtype: str = "") -> None:
        """One tensor; of an array of objects, its bytes.

        Args:
            name: no two may have one.
            array: its numbers.
            dtype: TensorFlow's name of its type, if NumPy's differs.

        Raises:
            UsageError: the name was there before, or is empty.
            UnsupportedError: a checkpoint holds no such type.
        """
        key = name.encode()
        dtype = dtype or ("string" if array.dtype == object else array.dtype.name)
        if not key or key in self._entries:
            raise UsageError(f"variable {name!r}: is given twice, or has no name")
        if dtype not in _DTYPES:
            raise UnsupportedError(f"variable {name!r}: a checkpoint holds no {dtype}")
        write = self._strings if dtype == "string" else self._numbers
        start, crc = self._size, write(array)
        size = self._size - start
        self._entries[key] = _Entry(_DTYPES[dtype], array.shape, start, size, crc)

    def _numbers(self, array: Array) -> int:
        little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        flat = np.ascontiguousarray(little).reshape(-1).view(np.uint8)
        crc = 0
        for at in range(0, flat.size, _CHUNK):
            piece = flat[at : at + _CHUNK]
            written = self._beside.submit(self._write, piece.data)
            crc = extend(crc, piece)
            written.result()
        return crc

    def _strings(self, array: Array) -> int:
        """Lengths, their checksum, texts."""
        values = [bytes(value) for value in array.reshape(-1)]
        lengths = b"".join(_varint(len(value)) for value in values)
        crc = extend(0, struct.pack(f"<{len(values)}I", *map(len, values)))
        check = struct.pack("<I", masked(crc))
        texts = b"".join(values)
        self._write(lengths + check + texts)
        return extend(crc, check + texts)

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._size += len(data)

    def finish(self) -> None:
        """Write the index, which makes it a checkpoint."""
        self._file.flush()
        with self._index.open("wb") as file:
            table = _Table(file.write)
            table.add(b"", _HEADER)
            for key in sorted(self._entries):
                table.add(key, self._entries[key].message())
            table.finish()


def files(prefix: Path) -> list[Path]:
    """The two files of a checkpoint."""
    return [Path(f"{prefix}.index"), Path(f"{prefix}.data-00000-of-00001")]


class _Table:
    """A sorted table of keys and values, as LevelDB has it."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._at = 0
        self._block = _Block(_RESTARTS)
        self._index = _Block(1)

    def add(self, key: bytes, value: bytes) -> None:
        self._block.add(key, value)
        if self._block.size >= _BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._block.count:
            last = self._block.last
            self._index.add(last, self._put(self._block))
            self._block = _Block(_RESTARTS)

    def _put(self, block: _Block) -> bytes:
        """Writes a block, and gives its handle: where it is, and how long."""
        data = block.finished()
        self._write(data + _PLAIN + struct.pack("<I", masked(extend(0, data + _PLAIN))))
        handle = _varint(self._at) + _varint(len(data))
        self._at += len(data) + 5
        return handle

    def finish(self) -> None:
        self._flush()
        handles = self._put(_Block(_RESTARTS)) + self._put(self._index)
        self._write(handles.ljust(_FOOTER, b"\0") + _MAGIC)


class _Block:
    """Entries of a table, each without what its key shares with the one before."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._data = bytearray()
        self._restarts = [0]
        self.count = 0
        self.last = b""

    @property
    def size(self) -> int:
        return len(self._data) + 4 * len(self._restarts) + 4

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self.count % self._interval:
            while shared < min(len(key), len(self.last)) and key[shared] == self.last[shared]:
                shared += 1
        elif self.count:
            self._restarts.append(len(self._data))
        rest = key[shared:]
        self._data += _varint(shared) + _varint(len(rest)) + _varint(len(value)) + rest + value
        self.count += 1
        self.last = key

    def finished(self) -> bytes:
        restarts = [*self._restarts, len(self._restarts)]
        return bytes(self._data) + struct.pack(f"<{len(restarts)}I", *restarts)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value) if value else b""


def _field(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data
