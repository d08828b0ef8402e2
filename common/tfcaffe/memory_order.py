"""Transposed arrays in C order, as fast as the processor's cache allows, whole or in pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_COLUMNS = 32  # float32 numbers: two lines of the cache
_ROWS = 16  # one line
_LARGE = 1 << 25  # bytes that are worth several threads


def contiguous(array: np.ndarray) -> np.ndarray:
    """`array` in one run of memory; itself if it is so already.

    NumPy copies a transposed array number by number, each from another line of the cache; piece by
    piece, the lines are still there for the next (two to six times as fast).
    """
    if array.flags.c_contiguous:
        return array
    result = np.empty(array.shape, array.dtype)
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
    return result


def rows(array: np.ndarray) -> Iterator[np.ndarray]:
    """`array` in C order, in contiguous pieces of some of its rows, for a writer.

    Each piece is to be used before the next is asked for, which takes its memory.
    """
    if array.ndim < 2 or array.flags.c_contiguous:
        yield contiguous(array)
        return
    buffer = None
    piece = np.empty((_ROWS, *array.shape[1:]), array.dtype)
    for first in range(0, len(array), _ROWS):
        buffer = _as_it_lies(array[first : first + _ROWS], buffer)
        piece[: len(buffer)] = buffer
        yield piece[: len(buffer)]


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
