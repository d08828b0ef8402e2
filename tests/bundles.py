"""Checkpoints as TensorFlow writes them, and such as it would not: indexes changed and resealed."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from tfcaffe.files.wire import read_varint, varint
from tfcaffe.variables.bundle import files
from tfcaffe.variables.table import TableWriter, crc32c, masked
from tfcaffe.variables.tensors import Tensors

HEADER = b"\x08\x01\x1a\x02\x08\x01"
Arrays = dict[str, np.ndarray]


def random(dtype: Any, *shape: int) -> np.ndarray:
    """Any bits at all, also such as are no numbers."""
    rng = np.random.default_rng(len(shape))
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(2, size=shape).astype(bool)
    return np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape)


ALL = {
    "many/scalar": random(np.float32),
    "empty": random(np.float32, 0, 3),
    "half": random(np.float16, 3, 2),
    "brain": random(ml_dtypes.bfloat16, 5),
    "single": random(np.float32, 2, 3, 1, 5),
    "double": random(np.float64, 7),
    "complex64": random(np.complex64, 2, 2),
    "complex128": random(np.complex128, 3),
    "bool": random(bool, 3, 3),
    **{f"int{bits}": random(f"int{bits}", 4, 3) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": random(f"uint{bits}", 4, 3) for bits in (8, 16, 32, 64)},
    "text": np.array([[b"abc", b""], [b"x" * 300, b"y"]], object),
    "text0": np.array(b"q" * 5000, object),
    "no/text": np.empty((0, 2), object),
    "long/" + "name" * 200: random(np.float32, 1),
    "Umläute": random(np.float32, 2),
}


def saved(prefix: Path, arrays: Arrays) -> Path:
    """As TensorFlow saves them."""
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(a, tf.string if a.dtype == object else None) for a in arrays.values()],
    )
    return prefix


def contents(prefix: Path) -> dict[str, tuple[str, tuple[int, ...], Any]]:
    """Types, shapes and bytes as we read them."""
    tensors = Tensors(prefix, prefix)
    return {
        name: (tensors.types[name], shape, values(tensors.read(name)))
        for name, shape in tensors.shapes.items()
    }


def values(array: np.ndarray) -> Any:
    return array.tolist() if array.dtype == object else array.tobytes()


def sealed(block: bytes, packed: bool = False) -> bytes:
    """A block of a table with its trailer."""
    block += b"\1" if packed else b"\0"
    return block + struct.pack("<I", masked(crc32c(block)))


def resealed(index: bytes, change: Callable[[bytes], bytes], packed: bool = False) -> bytes:
    """A table of one block with other contents of that."""
    *_, place = handles(index)
    *_, length = handles_at(index, place)
    data = sealed(change(index[:length]), packed)
    tops, index_at = sealed(bytes(4) + b"\1\0\0\0"), len(data)
    entry = varint(0) + varint(1) + varint(0) + b"\xff"
    handle = varint(0) + varint(len(data) - 5)
    entry = b"\0\1" + varint(len(handle)) + b"\xff" + handle
    block = sealed(entry + struct.pack("<2I", 0, 1))
    footer = varint(index_at) + varint(len(tops) - 5)
    footer += varint(index_at + len(tops)) + varint(len(block) - 5)
    return data + tops + block + footer.ljust(40, b"\0") + index[-8:]


def handles(index: bytes) -> tuple[int, ...]:
    at, found = len(index) - 48, []
    for _ in range(4):
        value, at = read_varint(index, at, len(index))
        found.append(value)
    return tuple(found[:3])


def handles_at(index: bytes, at: int) -> tuple[int, ...]:
    """The handle in the first entry of the index block."""
    _, at = read_varint(index, at, len(index))
    rest, at = read_varint(index, at, len(index))
    _, at = read_varint(index, at, len(index))
    start, at = read_varint(index, at + rest, len(index))
    length, _ = read_varint(index, at, len(index))
    return start, length


def crafted(
    folder: Path, *entries: tuple[bytes, bytes], header: bytes = HEADER, data: bytes = bytes(64)
) -> Path:
    """A checkpoint with an index of our own making, all checksums right."""
    index, shard = files(folder / "m")
    shard.write_bytes(data)
    with index.open("wb") as file:
        table = TableWriter(file.write)
        table.add(b"", header)
        for key, value in entries:
            table.add(key, value)
        table.finish()
    return folder / "m"
