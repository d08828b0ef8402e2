"""A file of variables as a record: names, shapes and types; numbers are read when they are used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfcaffe.errors import FileFormatError, UnsupportedError, WeightsError
from tfcaffe.variables.keras_config import Ordering

Shape = tuple[int, ...]
Array = NDArray[Any]

Role = Literal["", "slot", "average", "counter"]

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_NAMED = 3  # so many names stand in a note


@dataclass(frozen=True)
class Variable:
    """One variable: what the file says of it, and a way to its numbers.

    Args:
        name: as users know it: Keras's path (`conv/kernel`), TF1's own name, or the full name
            in a TF2 object graph; never with `:0`.
        shape: as the file says it.
        dtype: as the file says it (`float32`, `bfloat16`, `float16`, `int64` …).
        read: gives the numbers, of that shape and of the NumPy type nearest to `dtype`.
        role: empty for a variable of the model itself; `slot` for what an optimizer keeps beside
            one, `average` for a moving average's shadow, `counter` for steps and such.
        base: the variable that a slot or an average belongs to, where the file tells.
        key: where the file keeps it, if that is not `name`.
        file: which it is in, for messages.
    """

    name: str
    shape: Shape
    dtype: str
    read: Callable[[], Array]
    role: Role = ""
    base: str = ""
    key: str = ""
    file: str = ""

    @property
    def _place(self) -> str:
        return f"{self.file}: " if self.file else ""

    def floats(self) -> NDArray[np.float32]:
        """The numbers as float32; the array itself if it is so already.

        Raises:
            UnsupportedError: they are whole numbers, quantised or complex.
            WeightsError: float32 cannot hold them.
        """
        if self.dtype not in _FLOATS:
            raise UnsupportedError(
                f"{self._place}variable {self.name!r}: holds {self.dtype}, no floats; a quantised "
                "model's numbers mean nothing alone: give the float model, or ignore the variable"
            )
        array = self.read()
        try:
            with np.errstate(over="raise"):
                return np.asarray(array, np.float32)
        except FloatingPointError:
            raise WeightsError(
                f"{self._place}variable {self.name!r}: has values too large for float32, which "
                "Caffe needs"
            ) from None


@dataclass(frozen=True)
class Variables:
    """A file of variables.

    Args:
        path: as the user named it (for a checkpoint its prefix).
        kind: what the file is, for messages (`a TF1 checkpoint` …).
        entries: by name, in the file's order (a model's: in the order of its layers).
        notes: what was decided while reading, for people.
        files: all files that were read, to ask at the end whether they are as they were.
        epsilons: of BatchNormalizations by layer name, where the file holds the model, too.
        ordering: how that model departs from TensorFlow's usual order.
    """

    path: Path
    kind: str
    entries: Mapping[str, Variable]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    epsilons: Mapping[str, float] = field(default_factory=dict)
    ordering: Ordering = field(default_factory=Ordering)


def gathered(
    path: Path,
    kind: str,
    found: Iterable[Variable],
    notes: Sequence[str] = (),
    files: Sequence[Path] = (),
) -> Variables:
    """The variables of a file as a record: without `:0`, and no name twice.

    Raises:
        FileFormatError: there are none, or two of one name.
    """
    entries = [
        replace(v, name=v.name.removesuffix(":0"), key=v.key or v.name, file=str(path))
        for v in found
    ]
    if not entries:
        raise FileFormatError(f"{path}: is {kind}, but holds no variables")
    twice = [name for name, count in Counter(v.name for v in entries).items() if count > 1]
    if twice:
        raise FileFormatError(f"{path}: two variables are called {twice[0]!r}; rename one")
    notes = [*notes, *_notes_on_types(entries)]
    return Variables(path, kind, {v.name: v for v in entries}, tuple(notes), tuple(files))


def _notes_on_types(entries: Sequence[Variable]) -> list[str]:
    notes = []
    for dtype in _FLOATS:
        names = [v.name for v in entries if v.dtype == dtype and not v.role]
        if names and dtype != "float32":
            notes.append(f"{some(names)}: {dtype}, converted to float32")
    other = [v for v in entries if v.dtype not in _FLOATS and not v.role]
    for dtype in sorted({v.dtype for v in other}):
        names = [v.name for v in other if v.dtype == dtype]
        notes.append(f"{some(names)}: {dtype}, which cannot become Caffe's floats")
    return notes


def some(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort names by, with numbers in them as numbers: `conv2` before `conv10`."""
    parts = re.split(r"(\d+)", name)
    return [(int(part[:18]), part) if part.isdecimal() else (-1, part) for part in parts]
