"""Transposed arrays in C order, as fast as the processor's cache allows, whole or in pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

_COLUMNS = 64  # float32 numbers: four lines of the cache
_ROWS = 16  # one line
_LARGE = 1 << 24  # bytes that are worth several threads
_PIECE = 1 << 25  # bytes for a writer
_WIDE_PIECE = 1 << 27  # of numbers that lie across the rows; smaller ones read lines more often


@dataclass(frozen=True)
class Apart:
    """An array of which a writer takes one piece after the other, and others the whole.

    Args:
        view: its numbers in C order, with axes apart that lie apart in memory.
        shape: its own shape.
    """

    view: np.ndarray
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The view's."""
        return self.view.dtype

    @property
    def size(self) -> int:
        """How many numbers."""
        return self.view.size

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The whole."""
        whole = contiguous(self.view).reshape(self.shape)
        return whole if dtype is None else whole.astype(dtype, copy=False)


def contiguous(array: np.ndarray) -> np.ndarray:
    """`array` in one run of memory; itself if it is so already.

    NumPy copies a transposed array number by number, each from another line of the cache; piece by
    piece, the lines are still there for the next (two to six times as fast).
    """
    if array.flags.c_contiguous:
        return array
    result = np.empty(array.shape, array.dtype)
    _fill(result, array)
    return result


def rows(array: np.ndarray) -> Iterator[np.ndarray]:
    """`array` in C order, in contiguous pieces of some of its rows, for a writer.

    Each piece is to be used before the next is asked for, which takes its memory.
    """
    if array.ndim < 2 or array.flags.c_contiguous or not array.size:
        yield contiguous(array)
        return
    size = _PIECE if _densest(array) == 0 else _WIDE_PIECE
    step = max(1, size // array[0].nbytes)
    room = np.empty((min(step, len(array)), *array.shape[1:]), array.dtype)
    for first in range(0, len(array), step):
        part = array[first : first + step]
        _fill(room[: len(part)], part)
        yield room[: len(part)]


def _fill(result: np.ndarray, array: np.ndarray) -> None:
    """Copies all numbers of an array."""
    in_rows = _densest(array) == 0
    # In most files numbers are not aligned, and NumPy would copy them one by one.
    as_it_lies = in_rows or not array.flags.aligned
    step = _ROWS if in_rows else _COLUMNS

    def copy(part: range) -> None:
        buffer = None
        for first in part:
            piece = np.s_[first : first + step] if in_rows else np.s_[..., first : first + step]
            buffer = _as_it_lies(array[piece], buffer) if as_it_lies else None
            result[piece] = array[piece] if buffer is None else buffer

    pieces = range(0, len(array) if in_rows else array.shape[-1], step)
    threads = (os.cpu_count() or 1) if array.nbytes >= _LARGE else 1
    if threads == 1:
        copy(pieces)
    else:
        with ThreadPoolExecutor(threads) as pool:  # NumPy copies without holding Python's lock
            list(pool.map(copy, (pieces[i::threads] for i in range(threads))))


def _as_it_lies(array: np.ndarray, buffer: np.ndarray | None) -> np.ndarray:
    """A copy in the order of memory, in `buffer` if that is of its shape."""
    if buffer is None or buffer.shape != array.shape:
        buffer = np.empty_like(array, order="K")
    buffer[...] = array
    return buffer


def _densest(array: np.ndarray) -> int:
    """The axis whose numbers lie side by side."""
    strides = [stride for stride, size in zip(array.strides, array.shape, strict=True) if size > 1]
    least = min(map(abs, strides), default=0)
    return next((i for i, s in enumerate(array.strides) if abs(s) == least), 0)
