"""Caffe's BlobProto message, read in place: its floats become a view of the file.

Source of the field numbers: BVLC's caffe.proto; 10 and 12 are NVIDIA's (as OpenCV reads them).
"""

import math
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tfcaffe.files.weights import LEGACY_AXES, Blob, FloatArray, Shape
from tfcaffe.files.wire import Buffer, Field, WireError, WireType, append, fields, signed, varints

_LEGACY = range(1, 1 + LEGACY_AXES)  # num, channels, height, width
DATA, SHAPE, _DOUBLE_DATA, _RAW_TYPE, _RAW_DATA = 5, 7, 8, 10, 12
SHAPE_DIM = 1
_MAX_AXES = 32  # blob.hpp, kMaxBlobAxes
_MAX_RUNS = 1 << 12  # pieces that one array is split into; writers make one
_Dtype = np.dtype[np.floating[Any]]
_FLOAT: _Dtype = np.dtype("<f4")
_DOUBLE: _Dtype = np.dtype("<f8")
_RAW_TYPES: dict[int, _Dtype] = {
    0: _DOUBLE,
    1: _FLOAT,
    2: np.dtype("<f2"),
}  # NVIDIA's Type: DOUBLE, FLOAT, FLOAT16


class _Run(NamedTuple):
    """`length` numbers, `stride` bytes apart, the first one at offset `start`."""

    start: int
    length: int
    stride: int


def read_blob(buffer: Buffer, start: int, end: int) -> Blob:
    """The BlobProto in `buffer[start:end]`; reads sizes and tags, and of the values nothing.

    As in Caffe, a legacy num/channels/height/width wins over `shape`, and `double_data` over
    `data`. NVIDIA's `raw_data` counts where neither is there. Source: blob.cpp, FromProto.

    Raises:
        WireError: The bytes are no BlobProto, or shape and values disagree.
    """
    legacy: dict[int, int] = {}
    shape: list[int] = []
    floats: list[_Run] = []
    doubles: list[_Run] = []
    raw_type, raw = 0, None
    for field in fields(buffer, start, end):
        if field.number in _LEGACY:
            field.expect(WireType.VARINT, "a dimension")
            legacy[field.number] = signed(field.value, 32)
        elif field.number == SHAPE:
            field.expect(WireType.BYTES, "the shape")
            for dim in _dims(buffer, field):
                append(shape, dim, _MAX_AXES, field, "axes in a blob")
        elif field.number == DATA:
            append(floats, _run(field, _FLOAT, "data"), _MAX_RUNS, field, "pieces of data")
        elif field.number == _DOUBLE_DATA:
            append(doubles, _run(field, _DOUBLE, "double_data"), _MAX_RUNS, field, "pieces of data")
        elif field.number == _RAW_TYPE:
            raw_type = field.value
        elif field.number == _RAW_DATA:
            raw = field
    dims = [legacy.get(number, 0) for number in _LEGACY] if legacy else shape
    dtype, runs = _FLOAT, _filled(floats)
    if doubles := _filled(doubles):
        dtype, runs = _DOUBLE, doubles
    elif raw is not None and not runs:
        dtype, runs = _raw(raw, raw_type)
    _check_shape(dims, sum(run.length for run in runs), start)
    return Blob(tuple(dims), partial(_view, buffer, tuple(dims), dtype, runs), bool(legacy))


def _filled(runs: list[_Run]) -> list[_Run]:
    return [run for run in runs if run.length]


def _run(field: Field, dtype: _Dtype, name: str) -> _Run:
    """A packed field, or a run of unpacked ones (files from before 2014)."""
    if field.stride - dtype.itemsize == field.start - field.tag:
        return _Run(field.start, field.repeats, field.stride)
    field.expect(WireType.BYTES, name)
    count, rest = divmod(field.end - field.start, dtype.itemsize)
    if rest:
        raise WireError(field.tag, f"{name} has {rest} bytes too many for whole numbers")
    return _Run(field.start, count, dtype.itemsize)


def _raw(field: Field, code: int) -> tuple[_Dtype, list[_Run]]:
    if code not in _RAW_TYPES:
        raise WireError(field.tag, f"raw_data is of type {code}; known are {sorted(_RAW_TYPES)},")
    dtype = _RAW_TYPES[code]
    field.expect(WireType.BYTES, "raw_data")
    return dtype, _filled([_run(field, dtype, "raw_data")])


def _dims(buffer: Buffer, shape: Field) -> Iterator[int]:
    for field in fields(buffer, shape.start, shape.end):
        if field.number != SHAPE_DIM:
            continue
        if field.wire_type is WireType.VARINT:
            yield signed(field.value, 64)
            continue
        field.expect(WireType.BYTES, "a dimension")
        for value in varints(buffer, field.start, field.end):
            yield signed(value, 64)


def _check_shape(dims: list[int], count: int, offset: int) -> None:
    """Caffe's own checks (blob.cpp, Reshape and FromProto)."""
    if any(dim < 0 for dim in dims):
        raise WireError(offset, f"a blob has a negative dimension, {dims},")
    if math.prod(max(dim, 1) for dim in dims) > sys.maxsize // _DOUBLE.itemsize:
        raise WireError(offset, f"a blob claims the shape {dims}")
    if math.prod(dims) != count:
        raise WireError(offset, f"a blob of shape {dims} has {count} values")


def _view(buffer: Buffer, shape: Shape, dtype: _Dtype, runs: list[_Run]) -> FloatArray:
    parts = [np.ndarray((run.length,), dtype, buffer, run.start, (run.stride,)) for run in runs]
    flat = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])
    flat.flags.writeable = False
    return flat.reshape(shape)
