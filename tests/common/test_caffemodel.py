"""`.caffemodel`: every generation and encoding reads as protobuf and real Caffe read it."""

import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

import weights_files as made
from corpus import CORPUS, needs_corpus
from tfcaffe.errors import FileFormatError, OutputError, UsageError, WeightsError
from tfcaffe.files import caffemodel, schema
from tfcaffe.files.upgrade import upgrade
from tfcaffe.files.weights import Blobs, LayerBlobs, Weights
from tfcaffe.load import load_weights
from tfcaffe.oracle.pycaffe import find_caffe
from weights_files import BLOBS, FORK_BLOBS, GENERATIONS, VALUES, counted, inside, packed

Write = Callable[[bytes], Path]
ALL = [
    pytest.param(generation.file(writer), id=f"{name}-{blob}")
    for name, generation in GENERATIONS.items()
    for blob, writer in BLOBS.items()
]
FORKS = [
    pytest.param(GENERATIONS["V2"].file(writer), id=blob) for blob, writer in FORK_BLOBS.items()
]
CORPUS_FILES = [
    pytest.param(path, id=str(path.relative_to(CORPUS)))
    for path in sorted(CORPUS.rglob("*.caffemodel"))
]
CAFFE_DUMP = """
import sys, numpy, caffe
for weights in sys.argv[2:]:
    net = caffe.Net(sys.argv[1], caffe.TEST, weights=weights)
    numpy.savez(weights + ".npz", *[blob.data for blob in net.params["c"]])
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts bytes into a file."""

    def put(content: bytes) -> Path:
        path = tmp_path / "net.caffemodel"
        path.write_bytes(content)
        return path

    return put


def parsed(content: bytes) -> Any:
    """The file as protobuf itself reads it, in the V2 form."""
    net = schema.bvlc().message("NetParameter")()
    net.ParseFromString(content)
    return upgrade(net)


def values_of(blob: Any) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Shape and values as Caffe's Blob::FromProto takes them."""
    old = ("num", "channels", "height", "width")
    legacy = any(blob.HasField(name) for name in old)
    shape = tuple(getattr(blob, name) for name in old) if legacy else tuple(blob.shape.dim)
    return shape, np.array(blob.double_data or blob.data, np.float64)


def assert_as_protobuf(weights: Weights, net: Any) -> None:
    layers = {layer.name: layer for layer in net.layer}
    assert weights.layers.keys() == layers.keys()
    for name, layer in layers.items():
        ours = weights.layers[name]
        assert ours.type == layer.type
        assert ours.bottoms == tuple(layer.bottom)
        assert ours.tops == tuple(layer.top)
        assert len(ours.blobs) == len(layer.blobs)
        for mine, theirs in zip(ours.blobs, layer.blobs, strict=True):
            shape, values = values_of(theirs)
            assert mine.shape == shape
            np.testing.assert_array_equal(mine.ravel(), values)


@pytest.mark.parametrize("content", ALL)
def test_reads_as_protobuf_does(content: bytes, write: Write) -> None:
    weights = caffemodel.read(write(content))
    assert_as_protobuf(weights, parsed(content))
    layer = weights.layers["c"]
    assert layer.type == "Convolution"
    for index, values in enumerate(VALUES):
        np.testing.assert_array_equal(layer.fitted(index, values.shape), values)


@pytest.fixture(scope="module")
def real_caffe(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[NDArray[np.float32]]]:
    """What real Caffe reads from each file of `ALL`, all in one process."""
    folder = tmp_path_factory.mktemp("all")
    for index, case in enumerate(ALL):
        (folder / f"{index}.caffemodel").write_bytes(case.values[0])
    return dump_of_real_caffe(
        folder, *(folder / f"{index}.caffemodel" for index in range(len(ALL)))
    )


@pytest.mark.parametrize("index", range(len(ALL)), ids=[case.id for case in ALL])
def test_reads_as_real_caffe_does(
    index: int, real_caffe: dict[Path, list[NDArray[np.float32]]]
) -> None:
    path = next(path for path in real_caffe if path.stem == str(index))
    layer = caffemodel.read(path).layers["c"]
    for blob, values in enumerate(real_caffe[path]):
        np.testing.assert_array_equal(layer.fitted(blob, values.shape), values)


@pytest.mark.parametrize("content", FORKS)
def test_raw_data_of_forks(content: bytes, write: Write) -> None:
    for mine, values in zip(caffemodel.read(write(content)).layers["c"].blobs, VALUES, strict=True):
        np.testing.assert_array_equal(mine.astype(np.float32), values.astype(mine.dtype))


@needs_corpus
@pytest.mark.parametrize("path", CORPUS_FILES)
def test_corpus_reads_as_protobuf_does(path: Path) -> None:
    net = schema.load().message("NetParameter")()
    net.ParseFromString(path.read_bytes())
    assert_as_protobuf(caffemodel.read(path), upgrade(net))


@pytest.mark.parametrize("blob", ["as Caffe writes", "unpacked", "double"])
def test_blobs_are_views_that_cannot_be_written(blob: str, write: Write) -> None:
    layer = load_weights(write(GENERATIONS["V2"].file(BLOBS[blob]))).layers["c"]
    first, again = layer.blobs[0], layer.blobs[0]
    assert np.shares_memory(first, again)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_a_later_layer_of_the_same_name_wins(write: Write) -> None:
    earlier = made.v2(inside(7, BLOBS["as Caffe writes"](VALUES[1] + 1)))
    later = made.v2(inside(7, BLOBS["as Caffe writes"](VALUES[1])))
    layers = caffemodel.read(write(earlier + later)).layers
    np.testing.assert_array_equal(layers["c"].blobs[0], VALUES[1])


def test_a_later_name_in_a_layer_wins(write: Write) -> None:
    content = inside(100, inside(1, b"a") + inside(1, b"b"))
    assert list(caffemodel.read(write(content)).layers) == ["b"]


def test_a_name_need_not_be_utf8(write: Write, tmp_path: Path) -> None:
    weights = caffemodel.read(write(inside(100, inside(1, b"caf\xe9"))))
    caffemodel.write(tmp_path / "again.caffemodel", weights.layers.values())
    assert b"caf\xe9" in (tmp_path / "again.caffemodel").read_bytes()


ONE = np.ones(1, np.float32)
HUGE = inside(7, inside(1, made.number(2**40) * 2))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"name: 'text'\nlayer { name: 'c' }", r"is text, not .* \(a prototxt\?"),
        (bytes(1000), "no caffemodel"),
        (inside(1, b"only a name"), "no layers"),
        (made.v2(b"") + made.v1(b""), "mixes"),
        (made.tag(100, made.BYTES) + made.number(2**60), "claims"),
        (counted(100, 3), "encoded as VARINT"),
        (made.v2(counted(7, 3)), "layer 'c': a blob is encoded as VARINT"),
        (made.v2(counted(1, 3)), "layer 'c': the name is encoded as VARINT"),
        (made.v2(inside(7, packed(5, ONE) + HUGE)), "layer 'c': a blob claims the shape"),
        (made.v2(inside(7, made.dims(np.empty((3, 2))) + packed(5, ONE))), "has 1 values"),
        (made.v2(inside(7, made.legacy(VALUES[0]))), "has 0 values"),
        (made.v2(inside(7, counted(1, -1) + packed(5, ONE))), "negative"),
        (made.v2(inside(7, inside(7, counted(1, 1) * 33) + packed(5, ONE))), "more than 32 axes"),
        (made.v2(inside(7, inside(5, b"12345"))), "1 bytes too many"),
        (made.v2(inside(7, made.tag(5, made.FIXED64) + b"12345678")), "encoded as FIXED64"),
        (made.v2(inside(7, counted(10, 3) + inside(12, b"1234"))), "type 3"),
        (made.v2(inside(7, packed(5, ONE[:0]) * 9)), "has 0 values"),
        (made.v2(inside(7, packed(5, ONE) * 9999)), "more than 4096 pieces"),
        (made.v2(inside(7, b"") * 9999), "more than 1024 blobs"),
        (made.v2(inside(3, b"x") * 9999), "more than 1024 bottoms"),
        (made.v2(inside(1, b"x" * 99_999)), "the name is longer"),
        (made.v2(inside(3, b"x") * 1000) * 1100, "more than 1048576 layers and blobs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_bad_files_are_refused(content: bytes, reason: str, write: Write) -> None:
    with pytest.raises(FileFormatError, match=reason) as error:
        caffemodel.read(write(content))
    assert "net.caffemodel" in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_weights(tmp_path / "none.caffemodel")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="is not a file"):
        load_weights(tmp_path)


def as_text(name: str | bytes) -> str:
    """Protobuf gives text that is not UTF-8 as bytes."""
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")


def read_all_or_refuse(path: Path, content: bytes) -> None:
    """Either a FileFormatError, or what protobuf's own parser finds."""
    path.write_bytes(content)
    try:
        weights = caffemodel.read(path)
        found = {
            name: [blob.copy() for blob in layer.blobs] for name, layer in weights.layers.items()
        }
    except FileFormatError:
        return
    net = schema.bvlc().message("NetParameter")()
    try:
        net.ParseFromString(content)
    except DecodeError:
        return  # damage in a message that holds no weights
    expected = {as_text(layer.name): layer.blobs for layer in net.layer}
    for layer in net.layers:
        inner = layer.layer if layer.HasField("layer") else layer
        expected[as_text(inner.name or layer.name)] = inner.blobs
    assert found.keys() == expected.keys()
    for name, blobs in found.items():
        for mine, theirs in zip(blobs, expected[name], strict=True):
            shape, values = values_of(theirs)
            assert mine.shape == shape
            np.testing.assert_array_equal(mine.ravel().astype(np.float64), values)


@pytest.mark.parametrize("content", ALL)
def test_truncated_anywhere(content: bytes, tmp_path: Path) -> None:
    for length in range(len(content)):
        read_all_or_refuse(tmp_path / "cut", content[:length])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # signalling NaNs
@pytest.mark.parametrize("content", ALL)
def test_random_damage(content: bytes, tmp_path: Path, rng: np.random.Generator) -> None:
    for _ in range(100):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        read_all_or_refuse(tmp_path / "damaged", bytes(damaged))


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes(seed: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    for _ in range(20):
        read_all_or_refuse(tmp_path / "random", generator.bytes(generator.integers(1, 300)))


LAYERS = [
    LayerBlobs("data", "Input", Blobs.of([]), (), ("data",)),
    LayerBlobs("c", "Convolution", Blobs.of(VALUES), ("data",), ("c",)),
    LayerBlobs("a/b \\ {} é", "Odd", Blobs.of([np.float64(3).reshape(()), np.ones((0, 4))])),
]


def test_written_files_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.caffemodel"
    caffemodel.write(path, iter(LAYERS), net_name="a net")
    net = parsed(path.read_bytes())
    assert net.name == "a net"
    assert_as_protobuf(caffemodel.read(path), net)
    assert net.SerializeToString(deterministic=True) == path.read_bytes()
    for layer in LAYERS:
        for mine, values in zip(
            load_weights(path).layers[layer.name].blobs, layer.blobs, strict=True
        ):
            np.testing.assert_array_equal(mine, values)
            assert mine.shape == values.shape


def test_what_was_read_can_be_written(write: Write, tmp_path: Path) -> None:
    weights = caffemodel.read(write(GENERATIONS["V1"].file(BLOBS["unpacked legacy"])))
    caffemodel.write(tmp_path / "out.caffemodel", weights.layers.values())
    for mine, values in zip(
        caffemodel.read(tmp_path / "out.caffemodel").layers["c"].blobs, VALUES, strict=True
    ):
        np.testing.assert_array_equal(mine.ravel(), values.ravel())


def test_real_caffe_loads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "out.caffemodel"
    odd = [values.astype(np.float64)[::-1] for values in VALUES]
    caffemodel.write(path, [LayerBlobs("c", "Convolution", Blobs.of(odd))])
    for mine, values in zip(dump_of_real_caffe(tmp_path, path)[path], odd, strict=True):
        np.testing.assert_array_equal(mine, values)


@pytest.mark.parametrize(
    ("array", "reason"),
    [(np.array([1e39]), "too large for float32"), (np.arange(3), "no float")],
)
def test_values_that_float32_cannot_hold(array: Any, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "out.caffemodel"
    with pytest.raises(WeightsError, match=f"layer 'c', blob 0: .*{reason}"):
        caffemodel.write(path, [LayerBlobs("c", "Convolution", Blobs.of([array]))])
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.caffemodel"
    path.write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        caffemodel.write(path, LAYERS)
    assert path.read_text() == "old"
    caffemodel.write(path, LAYERS, overwrite=True)
    assert "c" in caffemodel.read(path).layers


def test_shapes_that_do_not_fit_are_named(write: Write) -> None:
    layer = caffemodel.read(write(GENERATIONS["V2"].file(BLOBS["as Caffe writes"]))).layers["c"]
    with pytest.raises(WeightsError, match=r"layer 'c', blob 0: .*\(3, 2, 2, 3\).*\(3, 2, 3, 2\)"):
        layer.fitted(0, (3, 2, 2, 3))
    with pytest.raises(WeightsError, match="wants blob 2, the file has 2"):
        layer.fitted(2, (3,))
    with pytest.raises(WeightsError, match="the net wants"):
        layer.fitted(1, (1, 1, 1, 3))  # Caffe takes 1x1x1xN for N in legacy files only


def test_a_changed_file_is_noticed(write: Write) -> None:
    path = write(GENERATIONS["V2"].file(BLOBS["as Caffe writes"]))
    weights = load_weights(path)
    assert weights.identity.unchanged()
    os.utime(path, ns=(1, 1))
    assert not weights.identity.unchanged()


def test_more_than_two_gigabytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "big.caffemodel"
    count = 600_000_000
    blob = made.dims(np.empty((3, count // 3), np.uint8)) + made.tag(5, made.BYTES)
    blob += made.number(count * 4)
    layer = inside(1, b"big") + made.tag(7, made.BYTES) + made.number(len(blob) + count * 4) + blob
    with path.open("wb") as file:  # the floats are a hole in the file
        file.write(made.tag(100, made.BYTES) + made.number(len(layer) + count * 4) + layer)
        file.seek(count * 4, os.SEEK_CUR)
        file.write(GENERATIONS["V2"].file(BLOBS["unpacked"]))
    layers = load_weights(path).layers
    assert layers["big"].blobs[0].shape == (3, count // 3)
    assert layers["big"].blobs[0][-1, -1] == 0
    np.testing.assert_array_equal(layers["c"].blobs[0], VALUES[0])


def test_a_file_too_large_for_caffe_is_written_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caffemodel, "_CAFFE_LIMIT", 100)
    with caplog.at_level(logging.WARNING):
        caffemodel.write(tmp_path / "out.caffemodel", LAYERS)
    assert "Caffe itself loads no more than 100" in caplog.text
    assert "c" in caffemodel.read(tmp_path / "out.caffemodel").layers


def dump_of_real_caffe(folder: Path, *weights: Path) -> dict[Path, list[NDArray[np.float32]]]:
    """Layer `c`'s parameters after real Caffe has loaded each of `weights`; skips without Caffe."""
    python = find_caffe()
    if python is None:
        pytest.skip("real Caffe is not installed (make pycaffe, or CAFFE_PYTHON)")
    net = folder / "net.prototxt"
    net.write_text(made.PROTOTXT)
    names = [str(path) for path in weights]
    subprocess.run([python, "-c", CAFFE_DUMP, str(net), *names], check=True, timeout=300)
    return {path: list(np.load(f"{path}.npz").values()) for path in weights}
