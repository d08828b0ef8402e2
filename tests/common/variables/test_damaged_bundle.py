"""Checkpoints that are damaged, or made to harm: refused, or left to TensorFlow."""

import struct
from pathlib import Path

import numpy as np
import pytest

from bundles import ALL, HEADER, contents, crafted, handles, handles_at, resealed, saved, sealed
from tfcaffe.errors import FileFormatError
from tfcaffe.files.wire import bytes_field, varint
from tfcaffe.variables.bundle import Entry, files
from tfcaffe.variables.table import crc32c, masked
from tfcaffe.variables.tensors import Tensors, needs_tensorflow


def damaged(good: bytes, rng: np.random.Generator) -> bytes:
    """One byte changed, or the end lost, or bytes put in."""
    at = int(rng.integers(len(good)))
    change = int(rng.integers(1, 256))
    return [
        good[:at] + bytes([good[at] ^ change]) + good[at + 1 :],
        good[:at],
        good[:at] + bytes([change]) * int(rng.integers(1, 20)) + good[at:],
    ][int(rng.choice(3, p=[0.7, 0.15, 0.15]))]


@pytest.mark.parametrize("which", [0, 1])
def test_damaged_files(which: int, tmp_path: Path, rng: np.random.Generator) -> None:
    prefix = saved(tmp_path / "m", ALL)
    before = contents(prefix)
    file = files(prefix)[which]
    good = file.read_bytes()
    refused = 0
    for _ in range(400):
        file.write_bytes(damaged(good, rng))
        try:
            assert contents(prefix) == before
        except FileFormatError as error:
            assert str(prefix) in str(error)
            refused += 1
    assert refused > 350


def test_damaged_entries_with_sound_checksums(tmp_path: Path, rng: np.random.Generator) -> None:
    prefix = saved(tmp_path / "m", ALL)
    index, data = files(prefix)
    good, refused = index.read_bytes(), 0
    for _ in range(400):
        index.write_bytes(resealed(good, lambda block: damaged(block, rng)))
        try:
            if needs_tensorflow(prefix):
                continue
            tensors = Tensors(prefix, prefix)
        except FileFormatError:
            refused += 1
            continue
        for name in tensors.shapes:
            try:
                array = tensors.read(name)
            except FileFormatError as error:
                assert repr(name) in str(error)
                refused += 1
            else:
                assert array.dtype == object or array.nbytes <= data.stat().st_size
    assert refused > 250


def entry(
    dtype: str = "float32", shape: tuple[int, ...] = (2,), at: int = 0, size: int = 8
) -> bytes:
    return Entry(dtype, shape, 0, at, size, masked(crc32c(bytes(8)))).message()


MINUS = b"\x08" + b"\xff" * 9 + b"\x01"  # a first field of -1
HOSTILE = {
    "size": (entry(size=12), "claims the shape"),
    "shape": (entry(shape=(3,)), "claims the shape"),
    "huge": (entry(shape=(1 << 40, 1 << 40), size=1 << 60), "claims the shape"),
    "no numbers, but a huge shape": (entry(shape=(0, 1 << 62), size=0), "claims the shape"),
    "beyond": (entry(at=60), "claims the shape"),
    "far beyond": (entry(at=(1 << 63) - 1), "claims the shape"),
    "negative offset": (b"\x08\x01\x20" + MINUS[1:] + b"\x28\x08", "claims the shape"),
    "negative axis": (b"\x08\x01" + bytes_field(2, bytes_field(2, MINUS)), "claims the shape"),
    "axes": (entry(shape=(1,) * 40, size=4), "claims the shape"),
    "texts": (entry("string", (1 << 40,)), "claims the shape"),
    "text lengths": (entry("string", (4,)), "lengths of its texts"),
    "shard": (entry() + b"\x18\x05", "shard 5 of 1"),
    "checksum": (entry() + b"\x35abcd", "checksum"),
    "no rank": (b"\x08\x01\x12\x02\x18\x01", "no rank"),
    "no message": (b"\xff\xff", "cut off"),
    "long varint": (b"\x08" + b"\xff" * 11, "more than 64 bits"),
    "kind of field": (b"\x0a\x00", "not as VARINT"),
}


@pytest.mark.parametrize(("message", "match"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_entries(message: bytes, match: str, tmp_path: Path) -> None:
    prefix = crafted(tmp_path, (b"good", entry()), (b"w", message))
    with pytest.raises(FileFormatError, match=f"variable 'w'.*{match}.*fetch or save it again"):
        contents(prefix)


def test_the_crafted_ones_are_sound_otherwise(tmp_path: Path) -> None:
    assert contents(crafted(tmp_path, (b"w", entry()))) == {"w": ("float32", (2,), bytes(8))}
    shape = (1,) * 32
    prefix = crafted(tmp_path, (b"w", entry(shape=(2, *shape[1:]))))
    assert contents(prefix)["w"][1] == (2, *shape[1:])


@pytest.mark.parametrize(
    "header", [b"", b"\x08\x00", b"\x08" + varint(1 << 40), MINUS, b"\x0a\x00", b"\xff"]
)
def test_hostile_headers(header: bytes, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="index is damaged"):
        contents(crafted(tmp_path, (b"w", entry()), header=header))


@pytest.mark.parametrize("keys", [(b"b", b"a"), (b"a", b"a"), (b"\xff\xfe",), (b"",)])
def test_hostile_keys(keys: tuple[bytes, ...], tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="index is damaged"):
        contents(crafted(tmp_path, *((key, entry()) for key in keys)))


def test_an_index_of_nothing(tmp_path: Path) -> None:
    prefix = crafted(tmp_path)
    index = files(prefix)[0]
    assert contents(prefix) == {}
    for content in (b"", b"x", index.read_bytes()[-48:], index.read_bytes()[-8:], bytes(4096)):
        index.write_bytes(content)
        with pytest.raises(FileFormatError):
            contents(prefix)


def test_keys_that_would_fill_the_memory(tmp_path: Path) -> None:
    prefix = crafted(tmp_path, (b"w", entry()))
    index = files(prefix)[0]
    long = b"a" * 50_000
    block = b"\0" + varint(0) + varint(len(HEADER)) + HEADER
    block += b"\0" + varint(len(long)) + varint(len(entry())) + long + entry()
    for i in range(20_000):  # a gigabyte, of half a megabyte
        block += varint(len(long)) + varint(5) + varint(len(entry())) + b"%05d" % i + entry()
    index.write_bytes(resealed(index.read_bytes(), lambda _: block + struct.pack("<2I", 0, 1)))
    with pytest.raises(FileFormatError, match="share more"):
        contents(prefix)


def test_blocks_that_lie_in_each_other(tmp_path: Path) -> None:
    """Each would be read as often as it is named."""
    prefix = crafted(tmp_path, (b"w", entry()))
    index = files(prefix)[0]
    data = index.read_bytes()
    *_, place = handles(data)
    start, length = handles_at(data, place)
    handle = varint(start) + varint(length)
    entries = b"".join(b"\0\1" + varint(len(handle)) + key + handle for key in (b"w", b"x"))
    block = sealed(entries + struct.pack("<2I", 0, 1))
    footer = varint(0) + varint(0) + varint(place) + varint(len(block) - 5)
    index.write_bytes(data[:place] + block + footer.ljust(40, b"\0") + data[-8:])
    with pytest.raises(FileFormatError, match="a block lies in another"):
        contents(prefix)
