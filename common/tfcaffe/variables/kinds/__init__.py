"""Kinds of files that hold variables: one module each, found by its KIND."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tfcaffe.errors import FileFormatError
from tfcaffe.memory_order import Apart
from tfcaffe.tables import modules
from tfcaffe.variables.base import Array, Variables

Items = Iterable[tuple[str, Array | Apart]]

_ENDS = 16  # bytes at either end of a file that kinds are told by


@dataclass(frozen=True)
class Place:
    """What a user's path leads to, as far as all kinds want to know.

    Args:
        path: as the user named it.
        head: the first bytes, empty unless it is a file.
        tail: the last ones.
    """

    path: Path
    head: bytes
    tail: bytes

    @classmethod
    def of(cls, path: Path) -> Place:
        """Looks at the path.

        Raises:
            FileFormatError: it cannot be read.
        """
        try:
            if not path.is_file():
                return cls(path, b"", b"")
            with path.open("rb") as file:
                head = file.read(_ENDS)
                file.seek(max(0, path.stat().st_size - _ENDS))
                return cls(path, head, file.read(_ENDS))
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path}: cannot be read: {error}") from error


def _itself(path: Path) -> list[Path]:
    return [path]


def _never(place: Place) -> bool:
    return False


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Args:
        takes: whether a place is of this kind, by its content; no two kinds take one place.
        read: the variables of such a place; the second argument is `like`.
        suffix: which outputs are of this kind; empty if none is ever written.
        write: writes all items to a path at which nothing is yet, as in the file `like` where one
            is given; of that, what is missing keeps its numbers if `keep` says so. Returns notes.
        files: what is written for a path.
        tensorflow: whether reading such a place needs TensorFlow.
    """

    takes: Callable[[Place], bool]
    read: Callable[[Path, Path | None], Variables]
    suffix: str = ""
    write: Callable[[Path, Items, Path | None, bool], list[str]] | None = None
    files: Callable[[Path], list[Path]] = _itself
    tensorflow: Callable[[Place], bool] = _never


@cache
def registry() -> tuple[Kind, ...]:
    """All kinds: each module of this folder has one as KIND."""
    return tuple(module.KIND for module in modules(__name__, __path__))
