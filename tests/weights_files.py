"""Small weights files of every generation and encoding, made by hand, with what they hold.

The net is one Convolution `c` with 3 filters of 2x3x2 and a bias: `PROTOTXT` says so to Caffe.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROTOTXT = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 2 dim: 5 dim: 4 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 3 kernel_h: 3 kernel_w: 2 } }
"""
SHAPES = ((3, 2, 3, 2), (3,))
_generator = np.random.default_rng(8)
VALUES = tuple(_generator.integers(-999, 999, shape).astype(np.float32) / 8 for shape in SHAPES)

VARINT, FIXED64, BYTES, START, END, FIXED32 = range(6)


def number(value: int) -> bytes:
    """A varint."""
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def tag(field: int, wire_type: int) -> bytes:
    return number(field << 3 | wire_type)


def inside(field: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return tag(field, BYTES) + number(len(payload)) + payload


def counted(field: int, value: int) -> bytes:
    """A varint field; negative numbers as protobuf writes them, in ten bytes."""
    return tag(field, VARINT) + number(value % 2**64)


def packed(field: int, array: NDArray[np.floating], kind: str = "<f4") -> bytes:
    return inside(field, array.astype(kind).tobytes())


def unpacked(field: int, array: NDArray[np.floating], kind: str = "f") -> bytes:
    wire_type = FIXED32 if kind == "f" else FIXED64
    return b"".join(tag(field, wire_type) + struct.pack("<" + kind, x) for x in array.ravel())


def dims(array: NDArray[np.floating]) -> bytes:
    return inside(7, inside(1, b"".join(map(number, array.shape))))


def legacy(array: NDArray[np.floating]) -> bytes:
    shape = (1,) * (4 - array.ndim) + array.shape
    return b"".join(counted(field, dim) for field, dim in enumerate(shape, 1))


BlobWriter = Callable[[NDArray[np.float32]], bytes]
NOISE = np.full(3, 77, np.float32)

BLOBS: dict[str, BlobWriter] = {
    "as Caffe writes": lambda a: packed(5, a) + dims(a),
    "shape first": lambda a: dims(a) + packed(5, a),
    "unpacked": lambda a: unpacked(5, a) + dims(a),
    "unpacked legacy": lambda a: legacy(a) + unpacked(5, a),
    "legacy": lambda a: legacy(a) + packed(5, a),
    "legacy wins over shape": lambda a: dims(NOISE) + packed(5, a) + legacy(a),
    "double": lambda a: packed(8, a, "<f8") + dims(a),
    "double unpacked": lambda a: unpacked(8, a, "d") + dims(a),
    "double wins over float": lambda a: packed(5, NOISE) + packed(8, a, "<f8") + dims(a),
    "pieces": lambda a: packed(5, a[:1]) + dims(a) + packed(5, a[1:2]) + packed(5, a[2:]),
    "pieces of both kinds": lambda a: packed(5, a[:1]) + unpacked(5, a[1:]) + dims(a),
    "empty pieces": lambda a: packed(5, a[:0]) + packed(5, a) + dims(a) + packed(5, a[:0]),
    "diff": lambda a: packed(5, a) + packed(6, a + 1) + dims(a),
    "diff unpacked": lambda a: unpacked(5, a) + unpacked(6, a + 1) + dims(a),
    "double diff unpacked": lambda a: packed(8, a, "<f8") + unpacked(9, a, "d") + dims(a),
    "dims unpacked": lambda a: inside(7, b"".join(counted(1, d) for d in a.shape)) + packed(5, a),
    "shape in two": lambda a: (
        inside(7, b"".join(counted(1, d) for d in a.shape[:1]))
        + inside(7, b"".join(counted(1, d) for d in a.shape[1:]))
        + packed(5, a)
    ),
    "unknown group": lambda a: (
        tag(33, START) + tag(34, START) + tag(34, END) + counted(1, 5) + tag(33, END)
        + packed(5, a) + dims(a)
    ),
    "unknown fields": lambda a: (
        inside(60, b"fork") + packed(5, a) + unpacked(700, a, "d") + dims(a) + counted(61, -1)
    ),
}  # fmt: skip
FORK_BLOBS: dict[str, BlobWriter] = {
    "float16": lambda a: counted(10, 2) + dims(a) + packed(12, a, "<f2"),
    "float32": lambda a: counted(10, 1) + dims(a) + packed(12, a),
    "float64": lambda a: dims(a) + packed(12, a, "<f8"),
    "float wins over raw": lambda a: packed(5, a) + dims(a) + counted(10, 3) + inside(12, b"x"),
}

_TEXT = inside(3, b"data") + inside(4, b"c")


def v2(blobs: bytes) -> bytes:
    return inside(100, inside(1, b"c") + inside(2, b"Convolution") + _TEXT + blobs)


def v1(blobs: bytes) -> bytes:
    return inside(2, inside(2, b"data") + inside(3, b"c") + inside(4, b"c") + counted(5, 4) + blobs)


def v0(blobs: bytes) -> bytes:
    return inside(2, inside(1, inside(1, b"c") + inside(2, b"conv") + blobs))


@dataclass(frozen=True)
class Generation:
    """How a layer with blobs is written, and which field holds a blob."""

    write: Callable[[bytes], bytes]
    blobs: int

    def file(self, writer: BlobWriter) -> bytes:
        """A whole caffemodel with `VALUES`."""
        blobs = b"".join(inside(self.blobs, writer(array)) for array in VALUES)
        return inside(1, b"net") + self.write(blobs)


GENERATIONS = {"V2": Generation(v2, 7), "V1": Generation(v1, 6), "V0": Generation(v0, 50)}
