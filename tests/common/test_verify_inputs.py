"""What `verify` feeds both sides: random numbers, arrays and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from prototxts import data, layer, param
from tfcaffe.errors import ConversionError, FileFormatError, UsageError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from verify_nets import SMALL, Array, Files, check, without_record


def test_inputs_in_memory_and_from_files_agree(
    small: Files, caffe: Caffe, tmp_path: Path, rng: np.random.Generator
) -> None:
    array = rng.normal(size=(3, 3, 9, 7)).astype(np.float32)
    np.save(tmp_path / "x.npy", array)
    by_file = check(small, caffe, input=[tmp_path / "x.npy"])
    assert by_file.inputs == {"data": (3, 3, 9, 7)}
    assert by_file == check(small, caffe, input={"data": array})
    halves = []
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", array[number : number + 1])
        halves.append(tmp_path / f"{number}.npy")
    assert check(small, caffe, input=halves).blobs == by_file.blobs


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 9, 7, 3), "looks channels-last"),
        ((3, 9, 7), "lacks the batch axis"),
        ((2, 3, 9, 8), "takes \\[any, 3, 9, 7\\]"),
    ],
    ids=["NHWC", "no batch", "size"],
)
def test_inputs_are_in_caffes_layout(
    small: Files, tmp_path: Path, shape: tuple[int, ...], words: str
) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    with pytest.raises(UsageError, match=words):
        verify(small.net, small.weights, small.model, input=[tmp_path / "x.npy"])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((2, 3, 9, 7), np.nan), "not finite"),
        (np.where(np.arange(378).reshape(2, 3, 9, 7) == 5, np.inf, 1.5), "not finite"),
        (np.zeros((2, 3, 9, 7), np.complex64), "holds complex64, not numbers"),
        (np.array(["a"]), "holds <U1, not numbers"),
        (np.array([None]), "Python objects"),
        (np.float32(3), "its shape is"),
        (np.zeros((0, 3, 9, 7)), "has the shape"),
    ],
    ids=["NaN", "infinite", "complex", "text", "objects", "scalar", "empty"],
)
def test_inputs_that_are_no_numbers(small: Files, tmp_path: Path, array: Array, words: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ConversionError, match=words):
        verify(small.net, small.weights, small.model, input=[tmp_path / "x.npy"])


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00"], ids=len)
@pytest.mark.parametrize("suffix", [".npy", ".jpg"])
def test_damaged_inputs(small: Files, tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=f"x{suffix}"):
        verify(small.net, small.weights, small.model, input=[path])


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("built_in", [True, False], ids=["built in", "outside"])
def test_images_and_preprocessing(
    tmp_path: Path, caffe: Caffe, rng: np.random.Generator, order: str, built_in: bool
) -> None:
    cv2 = pytest.importorskip("cv2")
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), rng.integers(0, 256, (20, 30, 3), np.uint8))
    steps: dict[str, Any] = {"mean": [10, 50, 90], "scale": 0.02, "channel_order": order}
    files = Files.make(tmp_path, SMALL, **(steps if built_in else {}))
    report = check(files, caffe, input=[image], **steps)
    assert report.verdict == "equal"
    assert any("resized to 9×7" in note for note in report.notes)
    if built_in:
        with pytest.raises(UsageError, match="built in"):
            check(files, caffe)
        assert check(files, caffe, **{**steps, "scale": 0.03}).verdict == "different"


def test_embed_gets_valid_indices(tmp_path: Path, caffe: Caffe) -> None:
    text = data(2, 4, name="words") + layer(
        "Embed", "words", "vectors", param("embed_param", num_output=5, input_dim=7)
    )
    assert check(Files.make(tmp_path, text), caffe, samples=6).verdict == "equal"


def test_samples_and_seed(small: Files, caffe: Caffe) -> None:
    report = check(small, caffe, samples=3, seed=1)
    assert report.inputs == {"data": (3, 3, 9, 7)}
    assert report == check(small, caffe, samples=3, seed=1)
    assert report.blobs != check(small, caffe, samples=3, seed=2).blobs


def test_model_of_a_fixed_batch(tmp_path: Path, caffe: Caffe) -> None:
    files = Files.make(tmp_path, SMALL, model="net.pb", batch=3)
    assert check(files, caffe, samples=2).inputs == {"data": (3, 3, 9, 7)}
    without_record(files.model)
    with pytest.raises(ConversionError, match=r"net\.pb: fails on this input"):
        check(files, caffe, samples=2)
    assert check(files, caffe, samples=3).verdict == "equal"
    caffe2tf.convert(files.net, files.weights, tmp_path / "net.keras", batch=3)
    report = verify(files.net, files.weights, tmp_path / "net.keras", oracle=caffe)
    assert (report.verdict, report.inputs) == ("equal", {"data": (3, 3, 9, 7)})
