"""TensorFlow's checkpoint files (V2), mapped and read without TensorFlow.

Sources: tensor_bundle.cc and .proto.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from tfcaffe.errors import FileFormatError
from tfcaffe.files.wire import WireError, WireType, fields, read_varint
from tfcaffe.input import FileIdentity, map_file
from tfcaffe.variables.base import Array
from tfcaffe.variables.bundle import VERSION, Entry, lengths_checked
from tfcaffe.variables.table import ForeignError, crc32c, masked, read_table
from tfcaffe.variables.template import dtype_named

_AGAIN = "fetch or save it again"
_MOST_AXES = 32  # NumPy 1 has no more
_MOST_SHARDS = 100_000  # their files have five digits
_CHECK = 4  # bytes of a checksum


@dataclass(frozen=True)
class Index:
    """What a checkpoint's index says.

    Args:
        shards: how many files the numbers lie in; 0 if only TensorFlow can tell.
        entries: the tensors by name; None if only TensorFlow's own reader reads them.
    """

    shards: int
    entries: dict[str, Entry] | None

    @classmethod
    def read(cls, path: Path, user: Path) -> Index:
        """The index at `path`.

        Args:
            path: of the `.index`.
            user: the checkpoint as users called it, for messages.

        Raises:
            FileFormatError: it is damaged.
        """
        _, data = map_file(path)
        shards = 0
        try:
            table = read_table(data)
            key, header = next(table, (b"header", b""))
            if key:
                raise WireError(0, "the table does not begin with a header")
            shards, ours = _header(header)
            entries = dict(_entry(*pair, user) for pair in table if ours)
        except ForeignError:
            return cls(shards, None)
        except (WireError, UnicodeDecodeError) as error:
            raise FileFormatError(f"{user}: its index is damaged: {error}; {_AGAIN}") from error
        return cls(shards, entries if ours else None)


def _header(data: bytes) -> tuple[int, bool]:
    """How many shards a BundleHeaderProto says, and whether we read such checkpoints."""
    numbers, version = [0, 0, 0], 0
    for field in fields(data, 0, len(data)):
        if field.number == 3:
            field.expect(WireType.BYTES, "the version")
            versions = fields(data, field.start, field.end)
            version = next((f.value for f in versions if f.number == 2), 0)
        elif field.number < 3:
            field.expect(WireType.VARINT, "a number")
            numbers[field.number] = field.value
    _, shards, big_endian = numbers
    if not 0 < shards < _MOST_SHARDS:
        raise WireError(0, f"{shards} shards are not possible")
    return shards, not big_endian and version <= VERSION


def _entry(key: bytes, message: bytes, user: Path) -> tuple[str, Entry]:
    if key.startswith(b"\0"):
        raise ForeignError("a part of a tensor")
    name = key.decode()
    try:
        return name, Entry.parse(message)
    except WireError as error:
        raise _damaged(user, name, f"{error} of its entry") from error


def _damaged(user: Path, name: str, what: str) -> FileFormatError:
    return FileFormatError(f"{user}: variable {name!r}: cannot be read: {what}; {_AGAIN}")


class BundleReader:
    """The tensors of a checkpoint.

    Args:
        entries: what lies where.
        shards: the files.
        user: the checkpoint as users called it, for messages.

    Raises:
        FileFormatError: a tensor is not where the index says.
    """

    def __init__(self, entries: dict[str, Entry], shards: list[Path], user: Path) -> None:
        self._entries, self._user = entries, user
        self.shapes = {name: entry.shape for name, entry in entries.items()}
        self.types = {name: entry.dtype for name, entry in entries.items()}
        self._shards = [_mapped(shard) for shard in shards]
        for name, entry in entries.items():
            if not 0 <= entry.shard < len(shards):
                raise _damaged(self._user, name, f"lies in shard {entry.shard} of {len(shards)}")
            if not self._fits(entry):
                raise _damaged(
                    self._user,
                    name,
                    f"claims the shape {entry.shape} and {entry.size} bytes at {entry.offset} of "
                    f"{shards[entry.shard].name}, more or fewer than there are",
                )

    def _fits(self, entry: Entry) -> bool:
        """Whether shape, type, size and file agree, in numbers that NumPy can hold."""
        if len(entry.shape) > _MOST_AXES or min((*entry.shape, entry.offset, entry.size)) < 0:
            return False
        if entry.offset + entry.size > len(self._shards[entry.shard]):
            return False
        width = _dtype(entry).itemsize
        if prod(max(n, 1) for n in entry.shape) * width >= 1 << 62:
            return False
        if entry.dtype == "string":  # a byte tells each length, at the least
            return prod(entry.shape) + _CHECK <= entry.size
        return prod(entry.shape) * width == entry.size

    def read(self, name: str) -> Array:
        """The numbers of one, a view of the file; texts as objects.

        Raises:
            FileFormatError: they are damaged.
        """
        entry = self._entries[name]
        raw = self._shards[entry.shard][entry.offset : entry.offset + entry.size]
        if entry.dtype == "string":
            return self._texts(name, raw.tobytes())
        if masked(crc32c(raw)) != entry.crc:
            raise _damaged(self._user, name, "its checksum is wrong")
        return raw.view(_dtype(entry)).reshape(entry.shape)

    def _texts(self, name: str, raw: bytes) -> Array:
        entry = self._entries[name]
        values = np.empty(prod(entry.shape), object)
        lengths, at = [], 0
        try:
            for _ in values:
                length, at = read_varint(raw, at, len(raw))
                lengths.append(length)
        except WireError as error:
            raise _damaged(self._user, name, str(error)) from error
        crc = crc32c(lengths_checked(lengths))
        check = struct.pack("<I", masked(crc))
        at += _CHECK
        if raw[at - _CHECK : at] != check or sum(lengths) != len(raw) - at:
            raise _damaged(self._user, name, "the lengths of its texts are wrong")
        if masked(crc32c(check, raw[at:], start=crc)) != entry.crc:
            raise _damaged(self._user, name, "its checksum is wrong")
        for i, length in enumerate(lengths):
            values[i] = raw[at : at + length]
            at += length
        return values.reshape(entry.shape)


def _dtype(entry: Entry) -> np.dtype[np.generic]:
    """As the bytes lie in the file."""
    if entry.dtype == "string":
        return np.dtype(np.uint8)
    return dtype_named(entry.dtype.removeprefix("q")).newbyteorder("<")


def _mapped(path: Path) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """All bytes of a file, of which nothing is read until it is used."""
    if FileIdentity.of(path).size == 0:
        return np.empty(0, np.uint8)
    return np.frombuffer(map_file(path)[1], np.uint8)
