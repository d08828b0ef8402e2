"""`verify` against real Caffe, OpenCV and TensorFlow: what is the same is found equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from prototxts import data, layer
from tfcaffe.files import caffemodel
from tfcaffe.layout import Pattern
from tfcaffe.load import load_weights
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from verify_nets import MODES, SMALL, Array, Files, check, seeded, statuses, without_record


@pytest.mark.parametrize("mode", MODES)
def test_equal(small: Files, caffe: Caffe, mode: str) -> None:
    report = check(small, caffe, mode=mode)
    assert report.verdict == "equal"
    assert [blob.layer for blob in report.blobs] == [
        "data", "block/conv", "sc", "relu", "mid", "pool", "drop", "fc", "prob",
    ]  # fmt: skip
    assert report.counts == {"equal": 9, "different": 0, "unproven": 0, "not_compared": 1}
    assert max(blob.max for blob in report.blobs) < 1e-5
    (merged,) = report.not_compared
    assert (merged.layer, merged.blob) == ("bn", "c")
    assert "merged with the Scale" in merged.reason


def test_in_place_layers_are_compared_as_they_left_the_blob(small: Files, caffe: Caffe) -> None:
    seen: dict[str, tuple[Array, Array]] = {}
    check(small, caffe, watch=lambda blob, *arrays: seen.update({blob.layer: arrays}))
    for side in range(2):
        assert not np.allclose(seen["block/conv"][side], seen["sc"][side])
        assert seen["sc"][side].min() < 0
        assert np.array_equal(seen["relu"][side], np.maximum(seen["sc"][side], 0))


def test_model_without_a_record(tmp_path: Path, caffe: Caffe) -> None:
    files = Files.make(tmp_path, SMALL)
    without_record(files.model)
    report = check(files, caffe)
    assert report.verdict == "equal"
    assert {"block/conv", "sc", "relu", "mid", "pool", "fc", "prob"} <= statuses(report).keys()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_model_by_hand(tmp_path: Path, caffe: Caffe, suffix: str) -> None:
    """A user's own model, with layers named as Caffe's and an input named otherwise."""
    import keras

    text = (
        data(1, 2, 5, 4)
        + layer("Convolution", "data", "c", "convolution_param { num_output: 3 kernel_size: 3 }",
                name="a/conv")
        + layer("ReLU", "c", "c", name="relu")
        + layer("InnerProduct", "c", "fc", "inner_product_param { num_output: 4 }")
    )  # fmt: skip
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    net.write_text(text, encoding="utf-8")
    convolution, dense = (list(found.blobs) for found in seeded(net))
    caffemodel.write(weights, seeded(net))
    model = keras.Sequential(
        [
            keras.Input((5, 4, 2), name="pixels"),
            keras.layers.Conv2D(3, 3, name="a__conv"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, name="fc"),
        ]
    )
    kernel = Pattern("h w i o -> o i h w").to_tf(convolution[0])
    model.get_layer("a__conv").set_weights([kernel, convolution[1]])
    rows = Pattern("(h w c) o -> o (c h w)", {"c": 3, "h": 3, "w": 2}).to_tf(dense[0])
    model.get_layer("fc").set_weights([rows, dense[1]])
    model.save(tmp_path / f"net{suffix}")
    report = verify(net, weights, tmp_path / f"net{suffix}", oracle=caffe)
    assert report.verdict == "equal"
    assert list(statuses(report)) == ["a/conv", "relu", "fc"]


def test_model_in_memory(small: Files, caffe: Caffe) -> None:
    model = caffe2tf.load(small.net, small.weights)
    report = verify(small.net, load_weights(small.weights), model, oracle=caffe)
    assert report.verdict == "equal"


def test_opencv(small: Files, opencv: OpenCV) -> None:
    report = check(small, opencv)
    assert report.verdict == "equal"
    assert report.backend.startswith("OpenCV 4")
    assert statuses(report)["relu"] == "equal"


def test_outputs_of_many_tops_and_layers_of_one_name(tmp_path: Path, caffe: Caffe) -> None:
    text = (
        data(2, 4, 5, 6)
        + data(2, 4, 5, 6, name="more")
        + layer("Eltwise", ["data", "more"], "sum", "eltwise_param { coeff: 1 coeff: -2 }")
        + layer("ReLU", "sum", "sum", name="relu")
        + layer("Slice", "sum", ["a", "b"], "slice_param { slice_point: 1 }", name="cut")
        + layer("TanH", "b", "b", name="relu")
        + layer("Flatten", "b", "flat")
        + layer("Split", "flat", ["f1", "f2"], name="split")
        + layer("Power", "f1", "half", "power_param { scale: 0.5 }")
    )
    files = Files.make(tmp_path, text)
    for mode in MODES:
        report = check(files, caffe, mode=mode)
        assert report.verdict == "equal"
        assert [output.blob for output in report.outputs] == ["a", "f2", "half"]
        assert [b.layer for b in report.blobs].count("relu") == 2
        assert {s.reason for s in report.not_compared} == {"a copy of its bottom"}
    without_record(files.model)
    assert check(files, caffe).verdict == "equal"


@pytest.mark.parametrize("source", ["cut", "data layer", "carried"])
def test_nets_that_caffe_cannot_run_as_they_are(tmp_path: Path, caffe: Caffe, source: str) -> None:
    text = SMALL
    options: dict[str, Any] = {}
    if source == "cut":
        options["outputs"] = ["p"]
    if source == "data layer":
        text = text.replace(
            data(2, 3, 9, 7),
            layer("Data", [], ["data", "label"],
                  'transform_param { crop_size: 9 } data_param { source: "x" batch_size: 2 }'),
        ).replace(
            layer("Softmax", "fc", "prob"),
            layer("SoftmaxWithLoss", ["fc", "label"], "loss")
            + layer("Accuracy", ["fc", "label"], "accuracy"),
        )  # fmt: skip
    files = Files.make(tmp_path, text, **options)
    net: str | Path = files.net
    if source == "carried":
        whole = tmp_path / "whole.caffemodel"
        caffe.save(files.net, whole, files.weights)
        net, files = "-", Files(files.net, whole, files.model)
    report = verify(net, files.weights, files.model, oracle=caffe)
    assert report.verdict == "equal"
    assert any("Caffe runs a net written for it" in note for note in report.notes)
    last = {"cut": "p", "data layer": "loss", "carried": "prob"}[source]
    assert [output.blob for output in report.outputs] == [last]
    assert len(report.outputs[0].shape) == (4 if source == "cut" else 2)


def test_hdf5_weights_with_slashes(small: Files, caffe: Caffe, tmp_path: Path) -> None:
    import h5py

    weights = tmp_path / "net.h5"
    with h5py.File(weights, "w") as file:
        for found in load_weights(small.weights).layers.values():
            for index, blob in enumerate(found.blobs):
                file.create_dataset(f"data/{found.name}/{index}", data=blob)
    report = verify(small.net, weights, small.model, oracle=caffe)
    assert report.verdict == "equal"


@pytest.mark.parametrize("saved", [False, True], ids=["in-memory", "saved"])
def test_shared_layer_called_at_two_depths(tmp_path: Path, caffe: Caffe, saved: bool) -> None:
    """Its blob is that of its first call, though the second call lies deeper in the model."""
    shared = 'param { name: "w" } param { name: "b" } inner_product_param { num_output: 4 }'
    files = Files.make(
        tmp_path,
        data(2, 4)
        + layer("Sigmoid", "data", "p")
        + layer("InnerProduct", "data", "a", shared)
        + layer("InnerProduct", "p", "b", shared),
    )
    model = files.model if saved else caffe2tf.load(files.net, files.weights)
    report = verify(files.net, files.weights, model, oracle=caffe)
    assert report.verdict == "equal"
    assert {"p", "a", "b"} <= set(statuses(report))
