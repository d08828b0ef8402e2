"""A file of variables as a record: names, shapes and types; numbers are read when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Array = NDArray[Any]


@dataclass(frozen=True)
class Variable:
    """One variable: what the file says of it, and a way to its numbers.

    Args:
        name: as users know it: Keras's path (`conv/kernel`), TF1's own name, or the full name
            in a TF2 object graph; never with `:0`.
        shape: as the file says it.
        dtype: as the file says it (`float32`, `bfloat16`, `float16`, `int64` …).
        read: gives the numbers, of that shape and of the NumPy type nearest to `dtype`.
    """

    name: str
    shape: Shape
    dtype: str
    read: Callable[[], Array]

    def floats(self) -> NDArray[np.float32]:
        """The numbers as float32; the array itself if it is so already."""
        return np.asarray(self.read(), np.float32)


@dataclass(frozen=True)
class Variables:
    """A file of variables.

    Args:
        path: as the user named it (for a checkpoint its prefix).
        kind: what the file is, for messages (`a TF1 checkpoint` …).
        entries: by name, in the file's order (a model's: in the order of its layers).
        notes: what was decided while reading, for people.
        files: all files that were read, to ask at the end whether they are as they were.
    """

    path: Path
    kind: str
    entries: Mapping[str, Variable]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
