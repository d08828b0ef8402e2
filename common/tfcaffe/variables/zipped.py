"""Members of a zip archive, mapped where they are stored as they are."""

from __future__ import annotations

import io
import mmap
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tfcaffe.errors import FileFormatError
from tfcaffe.input import FileIdentity, map_file

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field
_SIGNATURE = b"PK\x03\x04"
_MAX_DEFLATE = 1032  # zlib cannot do better
_ENCRYPTED = 1
_CHUNK = 1 << 20
_ERRORS = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, zlib.error)


class Span(io.RawIOBase):
    """A stretch of a mapped file, also as a stream (HDF5 opens that)."""

    def __init__(self, buffer: mmap.mmap, start: int, size: int) -> None:
        super().__init__()
        self.buffer, self.start, self.size = buffer, start, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readinto(self, into: Any, /) -> int:
        begin = self.start + min(self._at, self.size)
        count = min(len(into), self.start + self.size - begin)
        into[:count] = self.buffer[begin : begin + count]
        self._at += count
        return count


@dataclass
class Member:
    """One member of an archive.

    Args:
        where: file and member, for messages.
        size: bytes, unpacked.
    """

    where: str
    size: int
    _info: zipfile.ZipInfo
    _buffer: mmap.mmap
    _path: Path
    _checked: bool = field(default=False)

    @property
    def stored(self) -> bool:
        """Whether its bytes lie in the archive as they are."""
        return self._info.compress_type == zipfile.ZIP_STORED

    def span(self) -> Span:
        """Its bytes: in the archive, or unpacked into a temporary file that nobody sees.

        Raises:
            FileFormatError: it is damaged.
        """
        if not self.stored:
            return self._unpacked()
        offset = self._info.header_offset
        try:
            signature, name, extra = _LOCAL_HEADER.unpack_from(self._buffer, offset)
        except struct.error:
            signature, name, extra = b"", 0, 0
        start = offset + _LOCAL_HEADER.size + name + extra
        if signature != _SIGNATURE or start + self.size > len(self._buffer):
            raise FileFormatError(f"{self.where}: is damaged or cut off; fetch the file again")
        return Span(self._buffer, start, self.size)

    def check(self) -> None:
        """Compare a stored member's bytes with the archive's checksum, once.

        Raises:
            FileFormatError: they differ.
        """
        if self._checked or not self.stored:
            return
        span = self.span()
        crc = 0
        with memoryview(span.buffer) as bytes_:
            for at in range(span.start, span.start + span.size, _CHUNK):
                crc = zlib.crc32(bytes_[at : min(at + _CHUNK, span.start + span.size)], crc)
        if crc != self._info.CRC:
            raise FileFormatError(f"{self.where}: its checksum is wrong; fetch the file again")
        self._checked = True

    @contextmanager
    def stream(self) -> Iterator[IO[bytes]]:
        """Its bytes one after another, unpacked on the way; the checksum is checked at the end.

        Raises:
            FileFormatError: it is damaged.
        """
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(self._info) as stream:
                yield stream
        except _ERRORS as error:
            raise FileFormatError(f"{self.where}: is damaged: {error}") from error

    def _unpacked(self) -> Span:
        with self.stream() as stream, tempfile.TemporaryFile() as file:
            while chunk := stream.read(_CHUNK):
                file.write(chunk)
            file.flush()
            if file.tell() != self.size or not self.size:
                raise FileFormatError(f"{self.where}: is not as long as the archive says")
            return Span(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), 0, self.size)


def members(path: Path) -> tuple[FileIdentity, dict[str, Member]]:
    """The archive's members by name, folders left out.

    Raises:
        UsageError: there is no such file.
        FileFormatError: it is no sound archive, or claims more than it can hold.
    """
    identity, buffer = map_file(path)
    found: dict[str, Member] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except _ERRORS as error:
        raise FileFormatError(
            f"{path}: is a damaged or incomplete zip archive ({error}); fetch it again"
        ) from error
    for info in infos:
        where = f"{path}: member {info.filename!r}"
        if info.filename in found:
            raise FileFormatError(f"{where}: is there twice")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileFormatError(f"{where}: is packed in an unusual way; store or deflate it")
        if info.flag_bits & _ENCRYPTED:
            raise FileFormatError(f"{where}: is encrypted")
        most = 1 if info.compress_type == zipfile.ZIP_STORED else _MAX_DEFLATE
        if info.compress_size > identity.size or info.file_size > info.compress_size * most:
            raise FileFormatError(f"{where}: claims {info.file_size} bytes, more than it can hold")
        found[info.filename] = Member(where, info.file_size, info, buffer, path)
    return identity, found


def is_zip(head: bytes) -> bool:
    """Whether a file begins as an archive with members does."""
    return head.startswith(_SIGNATURE)
