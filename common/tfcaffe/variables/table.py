"""Sorted tables of keys and values as LevelDB has them: the index of a checkpoint is one.

Sources: TensorFlow's table_builder.cc, block_builder.cc, block.cc and format.cc; crc32c.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from google_crc32c import extend

from tfcaffe.files.wire import Buffer, WireError, read_varint, varint

_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)  # at the end of the file
_HANDLES = 40  # bytes in front of it for two handles, filled up with zeros
_BLOCK = 1 << 18
_RESTARTS = 16  # so many keys share their beginnings
_PLAIN = b"\0"  # a block that is not packed
_TRAILER = 5  # bytes behind a block: whether it is packed, and a checksum


class ForeignError(ValueError):
    """A form that is left to TensorFlow's own reader."""


def is_table(tail: bytes) -> bool:
    """Whether a file ends as a table does."""
    return tail.endswith(_MAGIC)


def crc32c(*pieces: bytes | np.ndarray[Any, np.dtype[np.uint8]], start: int = 0) -> int:
    """The checksum of these bytes one after the other, behind those that `start` is of."""
    for piece in pieces:
        start = extend(start, piece)
    return start


def masked(crc: int) -> int:
    """As it is stored beside data that may hold checksums themselves."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class TableWriter:
    """A table in the making: `add` keys in their order, then `finish`."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._at = 0
        self._block = _Block(_RESTARTS)
        self._index = _Block(1)

    def add(self, key: bytes, value: bytes) -> None:
        """One entry; its key is behind all others."""
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
        self._write(data + _PLAIN + struct.pack("<I", masked(crc32c(data, _PLAIN))))
        handle = varint(self._at) + varint(len(data))
        self._at += len(data) + _TRAILER
        return handle

    def finish(self) -> None:
        """What tells where the blocks are."""
        self._flush()
        handles = self._put(_Block(_RESTARTS)) + self._put(self._index)
        self._write(handles.ljust(_HANDLES, b"\0") + _MAGIC)


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
        self._data += varint(shared) + varint(len(rest)) + varint(len(value)) + rest + value
        self.count += 1
        self.last = key

    def finished(self) -> bytes:
        restarts = [*self._restarts, len(self._restarts)]
        return bytes(self._data) + struct.pack(f"<{len(restarts)}I", *restarts)


def read_table(data: Buffer) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a table.

    Raises:
        WireError: it is damaged; memory and time stay below a small multiple of its size.
        ForeignError: it is packed.
    """
    room = len(data) - _HANDLES - len(_MAGIC)
    if room < 0 or not is_table(data[-len(_MAGIC) :]):
        raise WireError(len(data), "the table does not end as one")
    end = room + _HANDLES
    *_, at = _handle(data, room, end)  # of a block of statistics, which is empty
    start, length, _ = _handle(data, at, end)
    behind, last = 0, None
    for _, place in _pairs(_content(data, start, length, room)):
        start, length, _ = _handle(place, 0, len(place))
        if start < behind:
            raise WireError(start, "a block lies in another")
        behind = start + length
        for key, value in _pairs(_content(data, start, length, room)):
            if last is not None and key <= last:
                raise WireError(start, "a block's keys are not in order")
            yield key, value
            last = key


def _handle(data: Buffer, at: int, end: int) -> tuple[int, int, int]:
    """Where a block is, how long, and the offset behind that."""
    start, at = read_varint(data, at, end)
    length, at = read_varint(data, at, end)
    return start, length, at


def _content(data: Buffer, start: int, length: int, room: int) -> bytes:
    """A block's entries."""
    end = start + length
    if end + _TRAILER > room:
        raise WireError(start, "a block goes beyond the file's end")
    block = data[start : end + 1]
    (check,) = struct.unpack_from("<I", data, end + 1)
    if check != masked(crc32c(block)):
        raise WireError(start, "a block's checksum is wrong")
    if block[-1:] != _PLAIN:
        raise ForeignError("its index is packed")
    (restarts,) = struct.unpack("<I", block[:-1][-4:].rjust(4, b"\xff"))
    if 4 * restarts + 4 > length:
        raise WireError(start, "a block is too short")
    return block[: length - 4 * restarts - 4]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, key, total = 0, b"", 0
    while at < len(block):
        begin = at
        shared, at = read_varint(block, at, len(block))
        rest, at = read_varint(block, at, len(block))
        size, at = read_varint(block, at, len(block))
        if shared > len(key) or rest + size > len(block) - at:
            raise WireError(begin, "an entry goes beyond its block")
        key = key[:shared] + block[at : at + rest]
        total += len(key)
        if total > _RESTARTS * len(block):
            raise WireError(begin, "keys share more than a table's do")
        at += rest + size
        yield key, block[at - size : at]
