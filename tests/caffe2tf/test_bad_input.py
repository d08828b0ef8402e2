"""Careless and hostile input: exit 2, one clear message, nothing left behind, files intact."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffe2tf.__main__ import main
from conversions import snapshot, write_net, write_weights
from prototxts import data, layer, param

NET = (
    data(1, 2, 5, 4)
    + layer("Convolution", "data", "c", param("convolution_param", num_output=3, kernel_size=3))
    + layer("ReLU", "c", "c", name="relu")
    + layer("InnerProduct", "c", "ip", param("inner_product_param", num_output=4))
)
CONV = param("convolution_param", num_output=3, kernel_size=3)
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
Refused = Callable[..., str]


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Runs `caffe2tf convert` where net.prototxt and net.caffemodel are; gives its message."""
    monkeypatch.chdir(tmp_path)
    write_net(tmp_path, NET)

    def run(*arguments: str) -> str:
        before = snapshot(tmp_path)
        try:
            code = main(["convert", *arguments])
        except SystemExit as error:  # argparse's way out
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        assert (code, out) == (2, ""), err
        assert err.count("error: ") == 1, err
        assert "Traceback" not in err
        assert snapshot(tmp_path) == before
        return err.partition("error: ")[2]

    return run


def expect(message: str, *words: str) -> None:
    """The message has all these words."""
    assert [word for word in words if word not in message] == [], message


# -- weights files

DAMAGED = {
    "empty": (lambda good: b"", "is empty"),
    "random": (lambda good: np.random.default_rng(5).bytes(4000), "no caffemodel"),
    "zeros": (lambda good: bytes(4000), "no caffemodel"),
    "half": (lambda good: good[: len(good) // 2], "claims"),
    "a byte short": (lambda good: good[:-1], "claims"),
    "huge claim": (lambda good: b"\xa2\x06\xff\xff\xff\xff\x7f" + good, "claims"),
    "text": (lambda good: NET.encode(), "is text"),
    "LFS pointer": (lambda good: b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
    "HDF5 signature": (lambda good: HDF5_SIGNATURE, "damaged HDF5"),
    "HDF5 then random": (
        lambda good: HDF5_SIGNATURE + np.random.default_rng(5).bytes(4000),
        "damaged HDF5",
    ),
}


@pytest.mark.parametrize(("damage", "word"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_weights(
    damage: Callable[[bytes], bytes], word: str, refused: Refused, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.caffemodel"
    bad.write_bytes(damage((tmp_path / "net.caffemodel").read_bytes()))
    expect(refused("net.prototxt", "bad.caffemodel", "-o", "out.npz"), "bad.caffemodel", word)


def test_hdf5_of_something_else(refused: Refused, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["model_weights"] = [1.0]
    expect(refused("net.prototxt", "other.h5", "-o", "out.npz"), "other.h5", "not Caffe's")


def test_truncated_hdf5(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file["data/c/0"] = np.ones((3, 2, 3, 3), np.float32)
    path.write_bytes(path.read_bytes()[:-20])
    expect(refused("net.prototxt", "net.h5", "-o", "out.npz"), "net.h5", "damaged HDF5")


def test_weights_of_another_net(refused: Refused, tmp_path: Path) -> None:
    write_weights(tmp_path / "other.caffemodel", {"block1": [np.ones(3, np.float32)]})
    message = refused("net.prototxt", "other.caffemodel", "-o", "out.npz")
    expect(message, "other.caffemodel", "another net", "'block1'")


def test_weights_that_lack_layers(refused: Refused, tmp_path: Path) -> None:
    blobs = {"c": [np.ones((3, 2, 3, 3), np.float32), np.ones(3, np.float32)]}
    write_weights(tmp_path / "part.caffemodel", blobs)
    message = refused("net.prototxt", "part.caffemodel", "-o", "out.npz")
    expect(message, "lacks", "'ip' (InnerProduct, line 4): weights, bias")


def test_shapes_that_disagree(refused: Refused, tmp_path: Path) -> None:
    blobs = {"c": [np.ones((3, 2, 5, 5), np.float32), np.ones(3, np.float32)]}
    write_weights(tmp_path / "other.caffemodel", blobs)
    message = refused("net.prototxt", "other.caffemodel", "-o", "out.npz")
    expect(message, "'c'", "[3, 2, 5, 5]", "[3, 2, 3, 3]")


def test_another_count_of_blobs(refused: Refused, tmp_path: Path) -> None:
    write_weights(tmp_path / "other.caffemodel", {"c": [np.ones((3, 2, 3, 3), np.float32)]})
    message = refused("net.prototxt", "other.caffemodel", "-o", "out.npz")
    expect(message, "'c'", "has 1 blob", "wants 2 (weights, bias)")


# -- prototxts

CHAIN = layer("ReLU", "a", "b") + layer("ReLU", "b", "a")
TWICE = layer("Convolution", "data", "y", CONV, name="same") + layer(
    "Convolution", "y", "z", CONV, name="same"
)
FORKS = (
    layer("PriorBox", "data", "p")
    + layer("Proposal", "data", "q")
    + layer("Nonsense", "data", "r")
    + layer("Nonsense", "data", "s")
)
NETS = {
    "empty": ("", "is empty"),
    "blank": (" \n\n", "is empty"),
    "comment only": ("# nothing", "no layers"),
    "truncated": (NET[:-20], "net2.prototxt:4"),
    "no such field": ("layer { name: 'a' kernel: 3 }", "no field 'kernel'"),
    "no such value": (data(1, 3, 4, 4) + "layer { include { phase: NEVER } }", "'NEVER'"),
    "number expected": (data(1, 3, 4, 4).replace("dim: 1", "dim: x"), "'x'"),
    "solver": ("net: 'net.prototxt' base_lr: 0.1", "solver"),
    "template": ("layer { name: $NAME$ }", "template"),
    "UTF-16": ("\ufeff" + NET, "UTF-16"),
    "cycle": (data(1, 3) + CHAIN, "'a'", "cycle"),
    "unknown bottom": (data(1, 3) + layer("ReLU", "dat", "y"), "'dat'", "near: data"),
    "duplicate top": (
        data(1, 3) + layer("ReLU", "data", "y") + layer("TanH", "data", "y"),
        "'y'",
        "already made",
    ),
    "two layers of one name": (data(1, 2, 9, 9) + TWICE, "'same'", "rename"),
    "unsupported types": (
        data(1, 3, 4, 4) + FORKS,
        "PriorBox: 'p' (line 2)",
        "Proposal: 'q' (line 3)",
        "Nonsense: 'r' (line 4), 's' (line 5)",
    ),
    "unsupported value": (
        data(1, 2, 5, 4) + layer("Convolution", "data", "y", CONV.replace("}", "axis: 2 }")),
        "'y'",
        "axis 2",
    ),
    "stochastic pooling": (
        data(1, 2, 5, 4)
        + layer("Pooling", "data", "y", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"),
        "'y'",
        "STOCHASTIC",
    ),
    "a fork's field": (
        data(1, 2, 5, 4) + layer("BatchNorm", "data", "y", "batch_norm_param { scale_bias: true }"),
        "'y'",
        "batch_norm_param.scale_bias",
    ),
    "a fork's message": (
        data(1, 2, 5, 4)
        + layer("Convolution", "data", "y", CONV + " quantization_param { bw_params: 8 }"),
        "'y'",
        "quantization_param",
    ),
    "no input shape": (layer("Data", [], "data") + layer("ReLU", "data", "y"), "--input-shape"),
    "bottoms that disagree": (
        data(1, 2, 5, 4) + data(1, 2, 4, 5, name="b") + layer("Eltwise", ["data", "b"], "y"),
        "[1, 2, 5, 4]",
        "[1, 2, 4, 5]",
    ),
    "kernel beyond the bottom": (
        data(1, 2, 2, 2) + layer("Convolution", "data", "y", CONV),
        "[3, 3]",
        "[1, 2, 2, 2]",
    ),
    "an input of nothing": (data(0, 2, 5, 4) + layer("ReLU", "data", "y"), "[0, 2, 5, 4]"),
    "an input beyond Caffe": (
        data(1, 2**31, 5, 4) + layer("ReLU", "data", "y"),
        "2147483647",
    ),
    "weights beyond Caffe": (
        data(1, 3)
        + layer("InnerProduct", "data", "y", param("inner_product_param", num_output=2**31 - 1)),
        "weights",
        "2147483647",
    ),
    "wrong phase": (
        data(1, 3).replace("input_param", "include { phase: TRAIN } input_param"),
        "phase TEST, level 0",
        "--stage",
    ),
    "inputs only": (data(1, 3), "nothing is left"),
    "a filler that Keras lacks": (
        data(1, 2, 5, 4)
        + layer(
            "Convolution",
            "data",
            "y",
            CONV.replace("}", "weight_filler { type: 'positive_unitball' } }"),
        ),
        "net2.prototxt: layer 'y' (Convolution, line 2)",
        "positive_unitball",
    ),
    "include and exclude": (
        data(1, 3) + layer("ReLU", "data", "y", "include { } exclude { }"),
        "'y'",
    ),
}


@pytest.mark.parametrize(("text", "words"), [(t, w) for t, *w in NETS.values()], ids=NETS)
def test_bad_net(text: str, words: list[str], refused: Refused, tmp_path: Path) -> None:
    encoding = "utf-16" if text.startswith("\ufeff") else "utf-8"
    (tmp_path / "net2.prototxt").write_bytes(text.lstrip("\ufeff").encode(encoding))
    message = refused("net2.prototxt", "-o", "out.keras")
    expect(message, *words)
    assert "prototxt" in message


# -- what is where

PLACES = {
    "swapped": (["net.caffemodel", "net.prototxt"], "net.caffemodel", "binary", "come second"),
    "weights alone": (["net.caffemodel"], "net.caffemodel", "binary", "`-`"),
    "a TensorFlow net": (["m.keras", "net.caffemodel"], "m.keras", "prototxt is wanted"),
    "TensorFlow weights": (["net.prototxt", "m.keras"], "m.keras", "Caffe's weights"),
    "Keras's HDF5": (["net.prototxt", "k.h5"], "k.h5", "not Caffe's", "Keras"),
    "no such net": (["gone.prototxt", "net.caffemodel"], "gone.prototxt", "No such file"),
    "no such weights": (["net.prototxt", "gone.caffemodel"], "gone.caffemodel", "no such file"),
    "a folder as net": ([".", "net.caffemodel"], "Is a directory"),
    "a folder as weights": (["net.prototxt", "."], "not a file"),
    "- without weights": (["-"], "name the caffemodel"),
    "- with a prototxt": (["-", "net.prototxt"], "net.prototxt", "no caffemodel"),
}


@pytest.mark.parametrize(("arguments", "words"), [(a, w) for a, *w in PLACES.values()], ids=PLACES)
def test_places(arguments: list[str], words: list[str], refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04")
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file.create_group("model_weights")
    expect(refused(*arguments, "-o", "out.npz"), *words)


OUTPUTS = {
    "exists": (["-o", "old.npz"], "old.npz", "--overwrite"),
    "an old SavedModel": (["-o", "saved"], "saved", "--overwrite"),
    "a folder for a file": (["-o", "folder", "--to", "npz", "--overwrite"], "directory"),
    "a folder with other things": (["-o", "folder", "--overwrite"], "folder", "other things"),
    "a file for a folder": (["-o", "old.npz", "--to", "savedmodel", "--overwrite"], "is a file"),
    "no parent": (["-o", "gone/out.npz"], "no folder"),
    "a file as parent": (["-o", "old.npz/out.npz"], "no folder"),
    "the weights": (["-o", "net.caffemodel", "--to", "npz", "--overwrite"], "also an input"),
    "the net": (["-o", "folder/../net.prototxt", "--to", "npz", "--overwrite"], "also an input"),
    "a link to an input": (["-o", "link.npz", "--overwrite"], "link.npz", "also an input"),
    "the mean": (["-o", "m.npy", "--to", "npz", "--mean", "m.npy", "--overwrite"], "also an"),
    "twice the same": (["-o", "out.npz", "-o", "./folder/../out.npz"], "same file"),
    "a checkpoint's part": (["-o", "old.ckpt"], "old.ckpt.index", "--overwrite"),
    "second one bad": (["-o", "out.npz", "-o", "gone/out.h5"], "no folder"),
    "unknown suffix": (["-o", "out.xyz"], "'.xyz'", "keras (.keras)", "--to"),
    "Python source": (["-o", "out.py"], "out.py", "not written yet"),
    "unknown format": (["-o", "out.npz", "--to", "onnx"], "onnx", "savedmodel (a directory)"),
    "Keras's weights elsewhere": (["-o", "out.npz", "--to", "keras-weights"], ".weights.h5"),
    "a device": (["-o", "/dev/null", "--to", "npz", "--overwrite"], "device"),
    "too long a name": (["-o", "x" * 300 + ".npz"], "too long"),
    "a NUL": (["-o", "a\0b.npz"], "null"),
}


@pytest.mark.parametrize(
    ("arguments", "words"), [(a, w) for a, *w in OUTPUTS.values()], ids=OUTPUTS
)
def test_outputs(arguments: list[str], words: list[str], refused: Refused, tmp_path: Path) -> None:
    for name in ("old.npz", "old.ckpt.index"):
        (tmp_path / name).write_bytes(b"old")
    for name in ("folder", "saved"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder" / "other").touch()
    (tmp_path / "saved" / "saved_model.pb").touch()
    (tmp_path / "link.npz").symlink_to("net.caffemodel")
    np.save(tmp_path / "m.npy", np.ones((2, 5, 4), np.float32))
    expect(refused("net.prototxt", "net.caffemodel", *arguments), *words)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_read_only(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o555)
    message = refused("net.prototxt", "net.caffemodel", "-o", "folder/out.npz")
    expect(message, "write-protected")


OPTIONS = {
    "batch 0": (["--batch", "0"], "--batch 0"),
    "batch -1": (["--batch", "-1"], "--batch -1"),
    "batch of letters": (["--batch", "many"], "'many'", "whole number"),
    "batch beyond Caffe": (["--batch", "99999999999999999999"], "2147483647"),
    "shape without a name": (["--input-shape", "1,2,5,4"], "NAME=N,C,H,W"),
    "shape without sizes": (["--input-shape", "data="], "NAME=N,C,H,W"),
    "two shapes": (
        ["--input-shape", "data=1,2,5,4", "--input-shape", "data=2,2,5,4"],
        "data=2,2,5,4",
        "already",
    ),
    "shape of other channels": (["--input-shape", "data=1,5,5,4"], "[3, 2, 3, 3]", "N,C,H,W"),
    "shape with 0": (["--input-shape", "data=0,2,5,4"], "NAME=N,C,H,W"),
    "shape of letters": (["--input-shape", "data=a"], "NAME=N,C,H,W"),
    "shape of no input": (["--input-shape", "image=1,2,5,4"], "'image'", "data"),
    "shape of another rank": (
        ["--input-shape", "data=any,2"],
        "--input-shape data=any,2: has 2 of the 4 axes that the net gives it, [1, 2, 5, 4]; so",
        "'c' (Convolution",
    ),
    "more axes than the net": (["--input-shape", "data=1,2,1,1,1,1"], "data=1,2,1,1,1,1: has 6"),
    "shape that weights refuse": (["--input-shape", "data=1,2,6,4"], "[4, 18]", "[4, 24]"),
    "shape free at a full layer": (["--input-shape", "data=1,2,any,any"], "'ip'", "free"),
    "shape of 41 axes": (["--input-shape", "data=1" + ",1" * 40], "41 of the 4 axes"),
    "cut at no blob": (["--outputs", "ipp"], "'ipp'", "near: ip"),
    "cut at a layer": (["--outputs", "relu"], "'relu' (this is a layer, whose top is 'c')"),
    "cut at nothing": (["--outputs", ""], "--outputs", "empty"),
    "cut at a trailing comma": (["--outputs", "c,"], "--outputs c,", "empty"),
    "cut at the input": (["--outputs", "data"], "nothing is left"),
    "mean without a file": (["--mean", "gone.npy"], "gone.npy"),
    "mean of another net": (["--mean", "1,2,3"], "[3]", "[None, 2, 5, 4]"),
    "mean that is no mean": (["--mean", "net.caffemodel"], "net.caffemodel"),
    "mean of no values": (["--mean", "1,x"], "1,x", "104,117,123"),
    "mean without a name": (["--mean", ""], "no such file"),
    "mean picture": (["--mean", "net.prototxt"], "net.prototxt", ".npy"),
    "scale 0": (["--scale", "0"], "--scale 0"),
    "scale nan": (["--scale", "nan"], "--scale nan"),
    "scale of letters": (["--scale", "x"], "--scale"),
    "rgb of two channels": (["--channel-order", "rgb"], "2 channels"),
    "decay without a loss": (["--weight-decay", "0.1"], "no loss"),
    "decay below 0": (["--weight-decay", "-1"], "--weight-decay -1"),
    "no such proto": (["--proto", "gone.proto"], "gone.proto"),
    "no proto": (["--proto", "net.prototxt"], "net.prototxt"),
    "no such plugin": (["--plugin", "gone.py"], "gone.py"),
}


@pytest.mark.parametrize(
    ("arguments", "words"), [(a, w) for a, *w in OPTIONS.values()], ids=OPTIONS
)
def test_options(arguments: list[str], words: list[str], refused: Refused) -> None:
    expect(refused("net.prototxt", "net.caffemodel", "-o", "out.npz", *arguments), *words)


@pytest.mark.parametrize("suffix", ["npz", "h5", "ckpt", "pb", "tflite"])
def test_formats_that_need_weights(suffix: str, refused: Refused) -> None:
    expect(refused("net.prototxt", "-o", f"out.{suffix}"), "WEIGHTS")


@pytest.mark.parametrize("where", ["net\0.prototxt", "x" * 5000], ids=["NUL", "long"])
def test_paths_that_no_system_has(where: str, refused: Refused) -> None:
    expect(refused(where, "net.caffemodel", "-o", "out.npz"), "cannot be read")
