"""Checkpoints read without TensorFlow: as TensorFlow reads them, and damaged ones refused."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bundles import ALL, contents, crafted, random, resealed, saved, values
from tfcaffe.errors import FileFormatError
from tfcaffe.files.wire import varint
from tfcaffe.variables.bundle import DTYPES, files
from tfcaffe.variables.table import TableWriter, read_table
from tfcaffe.variables.tensors import Tensors, needs_tensorflow


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


def test_tables_read_what_they_write() -> None:
    pieces: list[bytes] = []
    pairs = [(f"{i // 7:05}{'k' * (i % 5)}{i:06}".encode(), bytes(i % 300)) for i in range(5000)]
    table = TableWriter(pieces.append)
    for pair in sorted(pairs):
        table.add(*pair)
    table.finish()
    assert list(read_table(b"".join(pieces))) == sorted(pairs)
