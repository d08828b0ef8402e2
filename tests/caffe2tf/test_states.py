"""Phases, stages and levels: which layers they choose, and what is noted of them and of sources."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from conversions import CONV, NET, images, names, nhwc, write_net
from prototxts import data, layer, param
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify

TRAIN = """
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        data_param { batch_size: 8 } transform_param { crop_size: 7 } }
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST }
        data_param { batch_size: 2 } transform_param { crop_size: 7 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "side" type: "InnerProduct" bottom: "conv" top: "side"
        inner_product_param { num_output: 3 } include { stage: "deep" } }
layer { name: "high" type: "TanH" bottom: "conv" top: "high" include { min_level: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
        inner_product_param { num_output: 3 } }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" include { phase: TRAIN } }
layer { name: "hush" type: "Silence" bottom: "label" include { phase: TRAIN } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
        include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize(
    ("phase", "layers"),
    [("TEST", ["data", "conv", "fc", "loss"]), ("TRAIN", ["data", "conv", "fc", "drop", "loss"])],
)
def test_train_val(
    phase: Any, layers: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Labels, losses, Accuracy and Silence go, with notes; the loss's softmax is the answer."""
    files = write_net(tmp_path, TRAIN, phase=phase)
    with caplog.at_level(logging.INFO, "caffe2tf"):
        model = caffe2tf.load(files.net, files.weights, phase=phase)
    assert names(model) == layers
    assert [tensor.name for tensor in model.inputs] == ["data"]
    answer = np.asarray(model(nhwc(images(2, 3, 7, 7))))
    np.testing.assert_allclose(answer.sum(1), 1, rtol=1e-5)
    assert np.ptp(answer) > 0
    for words in ("became a Softmax", "'label'", "'hush'" if phase == "TRAIN" else "'accuracy'"):
        assert words in caplog.text


def test_stage_and_level(tmp_path: Path) -> None:
    files = write_net(tmp_path, TRAIN.replace('include { stage: "deep" }', ""))
    files.net.write_text(TRAIN)
    plain = caffe2tf.load(files.net, files.weights)
    more = caffe2tf.load(files.net, files.weights, stage=["deep"], level=2)
    assert set(names(more)) - set(names(plain)) == {"side", "high"}
    assert len(more.outputs) == 3


def test_train_phase_is_noted(tmp_path: Path, caffe: Caffe) -> None:
    """Its model answers as in phase TEST until it trains, and is proven so."""
    text = (
        data(2, 3, 5, 4)
        + layer("BatchNorm", "data", "bn")
        + layer("InnerProduct", "bn", "fc", param("inner_product_param", num_output=5))
        + layer("Dropout", "fc", "y", "include { phase: TRAIN }")
    )
    files = write_net(tmp_path, text, phase="TRAIN")
    model = tmp_path / "m.keras"
    notes = caffe2tf.convert(files.net, files.weights, model, phase="TRAIN")
    assert any("inference is that of phase TEST ('bn', 'y')" in note for note in notes)
    report = verify(files.net, files.weights, model, phase="TRAIN", oracle=caffe)
    assert report.verdict == "equal"
    assert any("('bn', 'y') run as in phase TEST" in note for note in report.notes)
    plain = caffe2tf.convert(files.net, files.weights, tmp_path / "t.keras")
    assert not any("phase TRAIN" in note for note in plain)


def test_states_that_no_rule_asks_for(tmp_path: Path) -> None:
    """Misspelt, perhaps: the net is as without them, and a note says so."""
    files = write_net(tmp_path, TRAIN)
    told = {}
    for stage in ("deep", "depe"):
        out = tmp_path / f"{stage}.keras"
        told[stage] = caffe2tf.convert(files.net, None, out, stage=[stage], level=2)
    unheard = "--stage depe: no rule of the net names this stage"
    assert unheard in told["depe"] and not any("no rule" in note for note in told["deep"])
    files = write_net(tmp_path, NET)
    notes = caffe2tf.convert(files.net, None, tmp_path / "m.keras", level=2)
    assert "--level 2: no rule of the net asks for a level" in notes


TRANSFORM = "transform_param { crop_size: 7 scale: 0.5 mean_value: 3 mirror: true }"
FILLERS = 'data_filler { type: "constant" value: 3 } data_filler { type: "gaussian" }'


@pytest.mark.parametrize(
    ("kind", "fields", "shape", "said"),
    [
        ("Data", "transform_param { crop_size: 7 }", {}, ["'x' is taken to have 3 channels"]),
        ("Data", "transform_param { crop_size: 7 }", {"x": (2, 4, 7, 7)}, []),
        (
            "ImageData",
            "transform_param { crop_size: 7 force_gray: true }",
            {},
            ["'x' is taken to have 1 channel,"],
        ),
        (
            "Data",
            TRANSFORM,
            {},
            ["transform_param (scale, mirror, mean_value) is not part", "3 channels"],
        ),
        (
            "MemoryData",
            f"memory_data_param {{ batch_size: 2 channels: 3 height: 7 width: 7 }} {TRANSFORM}",
            {},
            ["transform_param (scale, mirror, mean_value) is not part"],
        ),
        (
            "DummyData",
            f"dummy_data_param {{ shape {{ dim: 2 dim: 3 dim: 7 dim: 7 }} {FILLERS} }}",
            {},
            ["'x', which Caffe fills with 3, is taken as an input"],
        ),
        (
            "DummyData",
            "dummy_data_param { shape { dim: 2 dim: 3 dim: 7 dim: 7 } }",
            {},
            ["'x', which Caffe fills with 0, is taken as an input"],
        ),
    ],
)
def test_what_sources_decide_is_noted(
    kind: str, fields: str, shape: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    net = tmp_path / "net.prototxt"
    conv = layer("Convolution", "x", "y", CONV)
    net.write_text(layer(kind, [], ["x", "label"], fields, name="source") + conv)
    notes = caffe2tf.convert(net, None, tmp_path / "m.keras", input_shape=shape)
    found = [note for note in notes if "layer 'source'" in note]
    assert len(found) == len(said)
    for note, words in zip(found, said, strict=True):
        assert words in note


def test_softmax_stays_only_as_the_answer(tmp_path: Path) -> None:
    """Scores that another layer turns into the answer get no second softmax."""
    text = TRAIN + layer("Sigmoid", "fc", "answer")
    files = write_net(tmp_path, text)
    model = caffe2tf.load(files.net, files.weights)
    assert names(model) == ["data", "conv", "fc", "answer"]
