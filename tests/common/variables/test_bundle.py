"""Checkpoints read without TensorFlow: as TensorFlow reads them, and damaged ones refused."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tfcaffe.errors import FileFormatError
from tfcaffe.files.wire import bytes_field, read_varint, varint
from tfcaffe.variables.bundle import DTYPES, Entry, files
from tfcaffe.variables.table import TableWriter, crc32c, masked, read_table
from tfcaffe.variables.tensors import Tensors, needs_tensorflow

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


def same_as_tensorflow(prefix: Path) -> int:
    """Compares everything, bit for bit; how many tensors there were."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    dtypes, theirs = reader.get_variable_to_dtype_map(), {}
    for name, shape in reader.get_variable_to_shape_map().items():
        array = np.asarray(reader.get_tensor(name))
        if dtypes[name] == tf.string:
            array = array.astype(object)
        theirs[name] = (dtypes[name].name, tuple(shape), values(array))
    assert contents(prefix) == theirs
    return len(theirs)


def test_every_type(tmp_path: Path) -> None:
    prefix = saved(tmp_path / "m", ALL)
    assert not needs_tensorflow(prefix)
    assert same_as_tensorflow(prefix) == len(ALL)
    types = {dtype for dtype, *_ in contents(prefix).values()}
    assert types == {dtype for dtype in DTYPES if not dtype.startswith("q")}


def test_quantised(tmp_path: Path) -> None:
    import tensorflow as tf

    types = {"a": (tf.int8, tf.qint8), "b": (tf.uint8, tf.quint8), "c": (tf.int32, tf.qint32)}
    types |= {"d": (tf.int16, tf.qint16), "e": (tf.uint16, tf.quint16)}
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "m"),
        tensor_names=list(types),
        shape_and_slices=[""] * len(types),
        tensors=[tf.bitcast(tf.constant([1, 100], plain), q) for plain, q in types.values()],
    )
    assert not needs_tensorflow(tmp_path / "m")
    assert same_as_tensorflow(tmp_path / "m") == len(types)


def test_several_blocks_with_long_common_beginnings(tmp_path: Path) -> None:
    names = [f"{'scope/' * (i % 40)}layer_{i:04}/{'w' * (i % 90)}" for i in range(4000)]
    prefix = saved(tmp_path / "m", {n: np.float32([i, -i]) for i, n in enumerate(names)})
    index = files(prefix)[0].read_bytes()
    assert len(index) > 1 << 18
    assert same_as_tensorflow(prefix) == len(names)


def test_saver_with_shards(tmp_path: Path) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    config = v1.ConfigProto(device_count={"CPU": 2})
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        for i in range(20):
            with tf.device(f"/cpu:{i % 2}"):
                v1.get_variable(f"v{i}", initializer=random(np.float32, i, 3))
        session.run(v1.global_variables_initializer())
        v1.train.Saver(sharded=True).save(session, str(tmp_path / "m"))
    assert len(list(tmp_path.glob("m.data-*-of-00002"))) == 2
    assert not needs_tensorflow(tmp_path / "m")
    assert same_as_tensorflow(tmp_path / "m") == 20
    (tmp_path / "m.data-00001-of-00002").unlink()
    with pytest.raises(FileFormatError, match=r"m\.data-00001-of-00002 is missing"):
        Tensors(tmp_path / "m", tmp_path / "m")


def keras_checkpoint(folder: Path) -> Path:
    import keras
    import tensorflow as tf

    model = keras.Sequential([keras.Input((5, 4, 3)), keras.layers.Conv2D(2, 3, name="conv")])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 5, 4, 3)), np.ones((2, 3, 2, 2)), verbose=0)
    return Path(tf.train.Checkpoint(model=model).save(str(folder / "m")))


def test_objects_of_keras(tmp_path: Path) -> None:
    prefix = keras_checkpoint(tmp_path)
    assert same_as_tensorflow(prefix) > 6
    script = f"""
import sys
from tfcaffe.variables.files import open_variables
found = open_variables({str(prefix)!r}).entries
(kernel,) = (v for n, v in found.items() if n.endswith("conv/kernel") and not v.role)
print(kernel.floats().shape, found["adam/iteration"].role)
print(sorted({{"tensorflow", "keras"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["(3, 3, 3, 2) counter", "[]"], done.stderr


def test_slices_are_left_to_tensorflow(tmp_path: Path) -> None:
    import tensorflow as tf

    whole = random(np.float32, 4, 3)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "m"),
        tensor_names=["w", "w", "b"],
        shape_and_slices=["4 3 0,1:-", "4 3 1,3:-", ""],
        tensors=[whole[:1], whole[1:], whole[0]],
    )
    assert needs_tensorflow(tmp_path / "m")
    tensors = Tensors(tmp_path / "m", tmp_path / "m")
    assert tensors.read("w").tobytes() == whole.tobytes()
    assert tensors.read("b").tobytes() == whole[0].tobytes()


def sealed(block: bytes, packed: bool = False) -> bytes:
    """A block of a table with its trailer."""
    block += b"\1" if packed else b"\0"
    return block + struct.pack("<I", masked(crc32c(block)))


def resealed(index: bytes, change: Callable[[bytes], bytes], packed: bool = False) -> bytes:
    """A table of one block with other contents of that."""
    *_, place = _handles(index)
    *_, length = _handles_at(index, place)
    data = sealed(change(index[:length]), packed)
    tops, index_at = sealed(bytes(4) + b"\1\0\0\0"), len(data)
    entry = varint(0) + varint(1) + varint(0) + b"\xff"
    handle = varint(0) + varint(len(data) - 5)
    entry = b"\0\1" + varint(len(handle)) + b"\xff" + handle
    block = sealed(entry + struct.pack("<2I", 0, 1))
    footer = varint(index_at) + varint(len(tops) - 5)
    footer += varint(index_at + len(tops)) + varint(len(block) - 5)
    return data + tops + block + footer.ljust(40, b"\0") + index[-8:]


def _handles(index: bytes) -> tuple[int, ...]:
    at, found = len(index) - 48, []
    for _ in range(4):
        value, at = read_varint(index, at, len(index))
        found.append(value)
    return tuple(found[:3])


def _handles_at(index: bytes, at: int) -> tuple[int, ...]:
    """The handle in the first entry of the index block."""
    _, at = read_varint(index, at, len(index))
    rest, at = read_varint(index, at, len(index))
    _, at = read_varint(index, at, len(index))
    start, at = read_varint(index, at + rest, len(index))
    length, _ = read_varint(index, at, len(index))
    return start, length


def snappy(block: bytes) -> bytes:
    """As Snappy packs what it finds nothing in."""
    literal = bytes([61 << 2]) + struct.pack("<H", len(block) - 1)
    return varint(len(block)) + literal + block


def test_packed_tables_are_left_to_tensorflow(tmp_path: Path) -> None:
    prefix = saved(tmp_path / "m", ALL)
    index = files(prefix)[0]
    before = contents(prefix)
    index.write_bytes(resealed(index.read_bytes(), lambda block: block))
    assert contents(prefix) == before and not needs_tensorflow(prefix)
    index.write_bytes(resealed(index.read_bytes(), snappy, packed=True))
    assert needs_tensorflow(prefix)
    assert contents(prefix) == before


def test_big_endian_is_left_to_tensorflow(tmp_path: Path) -> None:
    prefix = crafted(tmp_path, header=b"\x08\x01\x10\x01\x1a\x02\x08\x01")
    assert needs_tensorflow(prefix)


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
    *_, place = _handles(data)
    start, length = _handles_at(data, place)
    handle = varint(start) + varint(length)
    entries = b"".join(b"\0\1" + varint(len(handle)) + key + handle for key in (b"w", b"x"))
    block = sealed(entries + struct.pack("<2I", 0, 1))
    footer = varint(0) + varint(0) + varint(place) + varint(len(block) - 5)
    index.write_bytes(data[:place] + block + footer.ljust(40, b"\0") + data[-8:])
    with pytest.raises(FileFormatError, match="a block lies in another"):
        contents(prefix)


def test_tables_read_what_they_write() -> None:
    pieces: list[bytes] = []
    pairs = [(f"{i // 7:05}{'k' * (i % 5)}{i:06}".encode(), bytes(i % 300)) for i in range(5000)]
    table = TableWriter(pieces.append)
    for pair in sorted(pairs):
        table.add(*pair)
    table.finish()
    assert list(read_table(b"".join(pieces))) == sorted(pairs)
