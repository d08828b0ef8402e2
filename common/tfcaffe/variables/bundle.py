"""TensorFlow's checkpoint files (V2), written one tensor at a time and without TensorFlow.

`SaveV2` wants all tensors at once; here one is in memory. The data are what it writes, byte for
byte where the tensors come in the order of their names; the index differs in the keys between its
blocks, which may be any that separate them. Sources: tensor_bundle.cc and .proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.files.wire import WireError, WireType, bytes_field, fields, signed, varint
from tfcaffe.memory_order import Apart, rows
from tfcaffe.variables.base import Array, Shape
from tfcaffe.variables.table import ForeignError, TableWriter, crc32c, masked

DTYPES = {  # types.proto
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
VERSION = 1
_NAMES = {number: name for name, number in DTYPES.items()}
_HEADER = b"\x08\x01\x1a\x02\x08\x01"  # one shard, little-endian, written by version 1
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Entry:
    """What the index says of a tensor (BundleEntryProto): its bytes lie in one of the shards.

    Args:
        dtype: TensorFlow's name.
        crc: as it is stored, masked.
    """

    dtype: str
    shape: Shape
    shard: int
    offset: int
    size: int
    crc: int

    def message(self) -> bytes:
        """As protobuf has it; zeros are left out."""
        axes = (bytes_field(2, b"\x08" + varint(n) if n else b"") for n in self.shape)
        return (
            _number(1, DTYPES[self.dtype])
            + bytes_field(2, b"".join(axes))
            + _number(3, self.shard)
            + _number(4, self.offset)
            + _number(5, self.size)
            + b"\x35"
            + struct.pack("<I", self.crc)
        )

    @classmethod
    def parse(cls, data: bytes) -> Entry:
        """The entry that a message is.

        Raises:
            WireError: it is none.
            ForeignError: the tensor is in slices, or of a type that is not in `DTYPES`.
        """
        numbers, crc = [0, 0, 0, 0, 0, 0], 0
        shape: Shape = ()
        for field in fields(data, 0, len(data)):
            if field.number == 7:
                raise ForeignError("a tensor is in slices")
            if field.number == 6:
                field.expect(WireType.FIXED32, "the checksum")
                (crc,) = struct.unpack_from("<I", data, field.end - 4)
            elif field.number == 2:
                field.expect(WireType.BYTES, "the shape")
                shape = _shape(data, field.start, field.end)
            elif field.number < 6:
                field.expect(WireType.VARINT, "a number")
                numbers[field.number] = signed(field.value, 64)
        _, number, _, shard, offset, size = numbers
        if number not in _NAMES:
            raise ForeignError(f"a tensor is of type {number}")
        return cls(_NAMES[number], shape, shard, offset, size, crc)


def _shape(data: bytes, start: int, end: int) -> Shape:
    """Of a TensorShapeProto."""
    found = []
    for axis in fields(data, start, end):
        if axis.number == 3 and axis.value:
            raise WireError(axis.tag, "a tensor has no rank")
        if axis.number == 2:
            axis.expect(WireType.BYTES, "an axis")
            sizes = [f.value for f in fields(data, axis.start, axis.end) if f.number == 1]
            found.append(signed(sizes[-1], 64) if sizes else 0)
    return tuple(found)


class BundleWriter:
    """A checkpoint in the making: `add` each tensor, then `finish`."""

    def __init__(self, prefix: Path) -> None:
        self._index, data = files(prefix)
        self._file: IO[bytes] = data.open("wb")
        self._entries: dict[bytes, Entry] = {}
        self._size = 0

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, array: Array | Apart, dtype: str = "") -> None:
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
        if dtype not in DTYPES:
            raise UnsupportedError(f"variable {name!r}: a checkpoint holds no {dtype}")
        start = self._size
        crc = self._strings(np.asarray(array)) if dtype == "string" else self._numbers(array)
        size = self._size - start
        self._entries[key] = Entry(dtype, array.shape, 0, start, size, masked(crc))

    def _numbers(self, array: Array | Apart) -> int:
        array = array.view if isinstance(array, Apart) else array
        little = array.astype(array.dtype.newbyteorder("<"), order="K", copy=False)
        crc = 0
        for piece in rows(little):
            flat = piece.reshape(-1).view(np.uint8)
            for at in range(0, flat.size, _CHUNK):
                crc = crc32c(flat[at : at + _CHUNK], start=crc)
                self._write(flat[at : at + _CHUNK].data)
        return crc

    def _strings(self, array: Array) -> int:
        """Lengths, their checksum, texts."""
        values = [bytes(value) for value in array.reshape(-1)]
        lengths = b"".join(varint(len(value)) for value in values)
        crc = crc32c(lengths_checked(map(len, values)))
        check = struct.pack("<I", masked(crc))
        texts = b"".join(values)
        self._write(lengths + check + texts)
        return crc32c(check, texts, start=crc)

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._size += len(data)

    def finish(self) -> None:
        """Write the index, which makes it a checkpoint."""
        self._file.flush()
        with self._index.open("wb") as file:
            table = TableWriter(file.write)
            table.add(b"", _HEADER)
            for key in sorted(self._entries):
                table.add(key, self._entries[key].message())
            table.finish()


def files(prefix: Path, shards: int = 1) -> list[Path]:
    """The index of a checkpoint, and its shards."""
    data = (f"{prefix}.data-{i:05}-of-{shards:05}" for i in range(shards))
    return [Path(f"{prefix}.index"), *map(Path, data)]


def lengths_checked(lengths: Iterable[int]) -> bytes:
    """The form in which lengths of texts are part of a checksum."""
    return b"".join(struct.pack("<Q" if n >> 32 else "<I", n) for n in lengths)


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + varint(value) if value else b""
