"""HDF5 files of others: opened and looked at so that a hostile one does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any

from tfcaffe.errors import FileFormatError

_MAX_DEFLATE = 1032  # how much larger than its bytes a compressed data set can be (zlib)


@contextmanager
def opened(path: Path, stream: RawIOBase | None = None) -> Iterator[Any]:
    """The file, with whatever HDF5 raises on damaged ones turned into our error.

    Args:
        path: the file, for messages, too.
        stream: its bytes, where they are only a part of `path` (a member of an archive).

    Raises:
        FileFormatError: it is damaged.
    """
    import h5py

    try:
        with h5py.File(stream or path, "r") as file:
            yield file
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise FileFormatError(f"{path}: is damaged HDF5: {error}") from error


def is_hard_link(group: Any, key: str) -> bool:
    """Whether an entry is in the group itself: soft and external links are not followed."""
    import h5py

    return isinstance(group.get(key, getlink=True), h5py.HardLink)


def check_dataset(where: str, dataset: Any) -> None:
    """Refuse numbers that lie in another file, or that the file cannot hold.

    Raises:
        FileFormatError: with `where` in front.
    """
    if dataset.external or dataset.is_virtual:
        raise FileFormatError(f"{where}: lies in another file; give one that holds everything")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > stored * (_MAX_DEFLATE if dataset.chunks else 1):
        raise FileFormatError(f"{where}: claims {dataset.nbytes} bytes where {stored} are stored")
