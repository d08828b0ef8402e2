"""Caffe's HDF5 weights: read and written as real Caffe does it, and refused where damaged."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tfcaffe.errors import FileFormatError, OutputError, WeightsError
from tfcaffe.files import caffe_hdf5
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.load import load_weights
from tfcaffe.oracle.pycaffe import find_caffe
from weights_files import PROTOTXT, VALUES

LAYERS = [
    LayerBlobs("data", "Input", Blobs.of([])),
    LayerBlobs("c", "Convolution", Blobs.of(VALUES)),
    LayerBlobs("an odd {name} é", "Scale", Blobs.of([np.float32(3).reshape(()), np.ones((2, 0))])),
]
SHARED = (
    PROTOTXT.replace('name: "c"', 'name: "c" param { name: "w" } param { name: "b" }')
    + """
layer { name: "d" type: "Convolution" bottom: "data" top: "d" param { name: "w" }
        convolution_param { num_output: 3 kernel_h: 3 kernel_w: 2 } }
"""
)
LOAD = """
import sys, numpy, caffe
net = caffe.Net(sys.argv[1], caffe.TEST, weights=sys.argv[2])
numpy.savez(sys.argv[3], *[blob.data for blob in net.params["c"]])
"""
SAVE = """
import sys, numpy, caffe
net = caffe.Net(sys.argv[1], caffe.TEST)
for index, blob in enumerate(net.params["c"]):
    blob.data[...] = numpy.load(sys.argv[3])["arr_%d" % index]
net.save_hdf5(sys.argv[2])
"""


def caffe(program: str, prototxt: str, weights: Path, arrays: Path) -> None:
    """Runs a few lines in real Caffe; skips without."""
    python = find_caffe()
    if python is None:
        pytest.skip("real Caffe is not installed (make pycaffe, or CAFFE_PYTHON)")
    net = weights.with_name("net.prototxt")
    net.write_text(prototxt)
    arguments = [str(path) for path in (net, weights, arrays)]
    subprocess.run([python, "-c", program, *arguments], check=True, timeout=120)


@pytest.mark.parametrize("name", ["out.h5", "out.caffemodel"])
def test_written_files_read_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    caffe_hdf5.write(path, iter(LAYERS))
    weights = load_weights(path)  # told apart by content
    assert set(weights.layers) == {layer.name for layer in LAYERS}
    for layer in LAYERS:
        for mine, values in zip(weights.layers[layer.name].blobs, layer.blobs, strict=True):
            assert mine.shape == values.shape
            np.testing.assert_array_equal(mine, values)


def test_real_caffe_loads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "out.h5"
    caffe_hdf5.write(path, LAYERS)
    caffe(LOAD, PROTOTXT, path, tmp_path / "params.npz")
    with np.load(tmp_path / "params.npz") as arrays:
        for mine, values in zip(arrays.values(), VALUES, strict=True):
            np.testing.assert_array_equal(mine, values)


@pytest.fixture
def of_caffe(tmp_path: Path) -> Callable[[str], Path]:
    """A file that real Caffe saved."""

    def save(prototxt: str) -> Path:
        path = tmp_path / "caffe.h5"
        np.savez(tmp_path / "params.npz", *VALUES)
        caffe(SAVE, prototxt, path, tmp_path / "params.npz")
        return path

    return save


def test_reads_what_real_caffe_saved(of_caffe: Callable[[str], Path]) -> None:
    layers = load_weights(of_caffe(PROTOTXT)).layers
    assert set(layers) == {"data", "c"}
    assert layers["data"].shapes == ()
    for index, values in enumerate(VALUES):
        np.testing.assert_array_equal(layers["c"].fitted(index, values.shape), values)


def test_blobs_that_a_layer_shares_are_absent(of_caffe: Callable[[str], Path]) -> None:
    layer = load_weights(of_caffe(SHARED)).layers["d"]
    assert layer.absent == {0}
    assert layer.blobs[1].shape == (3,)
    with pytest.raises(WeightsError, match="layer 'd': blob 0 is not in the file"):
        layer.fitted(0, (3, 2, 3, 2))


def test_blobs_are_views_that_cannot_be_written(tmp_path: Path) -> None:
    caffe_hdf5.write(tmp_path / "out.h5", LAYERS)
    layer = load_weights(tmp_path / "out.h5").layers["c"]
    assert np.shares_memory(layer.blobs[0], layer.blobs[0])
    with pytest.raises(ValueError, match="read-only"):
        layer.blobs[0][0] = 0


@pytest.mark.parametrize(
    "options",
    [{"chunks": True}, {"compression": "gzip"}, {"dtype": ">f4"}, {"dtype": "f8"}, {"dtype": "f2"}],
    ids=str,
)
def test_other_storage(options: dict[str, Any], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("data/c/0", data=VALUES[0], **options)
    blob = load_weights(tmp_path / "w.h5").layers["c"].blobs[0]
    np.testing.assert_array_equal(blob.astype(np.float32), VALUES[0])


def test_a_user_block(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w", userblock_size=1024) as file:
        file["data/c/0"] = VALUES[0]
    np.testing.assert_array_equal(load_weights(tmp_path / "w.h5").layers["c"].blobs[0], VALUES[0])


def test_nested_groups_are_names_with_slashes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["data/inception/1x1/0"] = VALUES[1]
        file["data/inception/3x3/reduce/0"] = VALUES[0]
        file["data/conv/0"] = VALUES[0]
        file["data/conv/bn/0"] = VALUES[1]
        file.create_group("data/relu/a")
    layers = load_weights(tmp_path / "w.h5").layers
    assert set(layers) == {"inception/1x1", "inception/3x3/reduce", "conv", "conv/bn", "relu/a"}
    np.testing.assert_array_equal(layers["conv/bn"].blobs[0], VALUES[1])


@pytest.mark.parametrize("name", ["a/b", "", ".", "a\0b"])
def test_names_that_hdf5_cannot_store(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.caffemodel"):
        caffe_hdf5.write(tmp_path / "w.h5", [LAYERS[1], LayerBlobs(name, "ReLU", Blobs.of([]))])
    assert list(tmp_path.iterdir()) == []


def test_two_layers_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="two layers are called 'c'"):
        caffe_hdf5.write(tmp_path / "w.h5", [LAYERS[1], LAYERS[1]])


def other_group(file: h5py.File) -> None:
    file["model_weights/conv/kernel:0"] = VALUES[0]


def link_for_root(file: h5py.File) -> None:
    file["data"] = h5py.ExternalLink("/etc/passwd", "/x")


def data_set_for_root(file: h5py.File) -> None:
    file["data"] = VALUES[0]


def data_set_for_layer(file: h5py.File) -> None:
    file["data/c"] = VALUES[0]


def odd_blob_name(file: h5py.File) -> None:
    file["data/c/weight"] = VALUES[0]


def huge_index(file: h5py.File) -> None:
    file["data/c/99999999"] = VALUES[0]


def integers(file: h5py.File) -> None:
    file["data/c/0"] = np.arange(3)


def text(file: h5py.File) -> None:
    file["data/c/0"] = "hello"


def huge_claim(file: h5py.File) -> None:
    file.create_dataset("data/c/0", (1 << 40,), "f4", chunks=(1 << 10,))


def huge_contiguous_claim(file: h5py.File) -> None:
    file.create_dataset("data/c/0", (1 << 40,), "f4")


def external_file(file: h5py.File) -> None:
    file.create_dataset("data/c/0", (3,), "f4", external=[("/etc/passwd", 0, 12)])


def external_link(file: h5py.File) -> None:
    file["data/c/0"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file: h5py.File) -> None:
    file["data/a/0"] = VALUES[0]
    file["data/c"] = h5py.SoftLink("/data/a")


def circle(file: h5py.File) -> None:
    file["data/c/0"] = VALUES[0]
    file["data/c/c"] = file["data"]


def deep(file: h5py.File) -> None:
    file["data/" + "x/" * 200 + "0"] = VALUES[0]


def empty(file: h5py.File) -> None:
    file.create_group("data")


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (other_group, "no group /data"),
        (data_set_for_root, "no group /data"),
        (link_for_root, "no group /data"),
        (data_set_for_layer, "neither a layer's group nor a blob"),
        (odd_blob_name, "layer 'c', blob 'weight': blobs are numbered"),
        (huge_index, "so many blobs"),
        (integers, "layer 'c', blob '0': holds int64"),
        (text, "layer 'c', blob '0': holds object"),
        (huge_claim, "claims 4398046511104 bytes where 0 are stored"),
        (huge_contiguous_claim, "claims 4398046511104 bytes where 0 are stored"),
        (external_file, "in another file"),
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (circle, "comes twice"),
        (deep, "too deep"),
        (empty, "no layers"),
    ],
)
def test_bad_files_are_refused(
    fill: Callable[[h5py.File], None], reason: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        fill(file)
    with pytest.raises(FileFormatError, match=reason):
        load_weights(tmp_path / "w.h5")


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """A whole file of a few kilobytes."""
    caffe_hdf5.write(tmp_path / "whole.h5", LAYERS)
    return (tmp_path / "whole.h5").read_bytes()


def read_all_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        for layer in caffe_hdf5.read(path).layers.values():
            for index in range(len(layer.blobs)):
                if index not in layer.absent:
                    layer.blobs[index].copy()
    except FileFormatError:
        pass


def test_truncated_anywhere(content: bytes, tmp_path: Path) -> None:
    for length in range(1, len(content), 37):
        read_all_or_refuse(tmp_path / "cut.h5", content[:length])


@pytest.mark.parametrize("seed", range(10))
def test_random_damage(content: bytes, seed: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    for _ in range(50):
        damaged = bytearray(content)
        for at in generator.integers(8, len(content), generator.integers(1, 4)):
            damaged[at] = generator.integers(256)
        read_all_or_refuse(tmp_path / "damaged.h5", bytes(damaged))
