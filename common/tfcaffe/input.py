"""Input files: memory-mapped, and known again if someone changes them meanwhile."""

import mmap
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from tfcaffe.errors import FileFormatError, UsageError


@dataclass(frozen=True)
class FileIdentity:
    """Which file it was, its size and its time, when it was opened."""

    path: Path
    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "FileIdentity":
        """The identity of a regular file.

        Raises:
            UsageError: There is no such file.
            FileFormatError: It is a directory or a device, or cannot be looked at.
        """
        try:
            found = path.stat()
        except FileNotFoundError:
            raise UsageError(f"{path}: there is no such file") from None
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path}: cannot be read: {error}") from error
        if not stat.S_ISREG(found.st_mode):
            raise FileFormatError(f"{path}: is not a file with contents")
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ino)

    def unchanged(self) -> bool:
        """Whether the file is still as it was; to be asked before an output made of it stays."""
        try:
            return FileIdentity.of(self.path) == self
        except (UsageError, FileFormatError):
            return False


def map_file(path: Path) -> tuple[FileIdentity, mmap.mmap]:
    """A file's identity and its bytes, mapped read-only: nothing is read until it is used.

    The mapping lives as long as something refers to it, a NumPy view included.

    Raises:
        UsageError: There is no such file.
        FileFormatError: It is empty, or cannot be read or mapped.
    """
    identity = FileIdentity.of(path)
    if identity.size == 0:
        raise FileFormatError(f"{path}: the file is empty")
    try:
        with path.open("rb") as file:
            length = min(identity.size, os.fstat(file.fileno()).st_size)
            return identity, mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: cannot be read: {error}") from error
