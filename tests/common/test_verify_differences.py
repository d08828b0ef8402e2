"""`verify` finds what was planted, and only that; what proves nothing is not called equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from prototxts import data, layer
from tfcaffe.files import caffemodel
from tfcaffe.layout import Pattern
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from tfcaffe.verify.compare import compare
from verify_nets import MODES, SMALL, Array, Files, check, nudge, seeded, statuses, vary

CONSTANT_OUTPUT = SMALL + layer("Power", "prob", "y", "power_param { scale: 0 shift: 3 }")


def drop_bias(weights: list[Array]) -> list[Array]:
    return [weights[0], 0 * weights[1]]


def turn(weights: list[Array]) -> list[Array]:
    return [weights[0][::-1], *weights[1:]]


FAULTS = [
    pytest.param("block__conv", drop_bias, "block/conv", id="bias of the first layer"),
    pytest.param("mid", nudge, "mid", id="weight in the middle"),
    pytest.param("mid", turn, "mid", id="kernel turned round"),
    pytest.param("bn", lambda w: [w[0], w[1], w[2], w[3] * 1.01], "sc", id="variance"),
    pytest.param("fc", drop_bias, "fc", id="bias of the last layer"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("node", "change", "culprit"), FAULTS)
def test_planted_weights(
    tmp_path: Path,
    caffe: Caffe,
    node: str,
    change: Callable[[list[Array]], Sequence[Array]],
    culprit: str,
    mode: str,
) -> None:
    files = Files.make(tmp_path, SMALL)
    vary(files.model, node, change)
    report = check(files, caffe, mode=mode)
    assert report.verdict == "different"
    assert report.first_difference is not None
    assert report.first_difference.layer == culprit
    different = [name for name, status in statuses(report).items() if status == "different"]
    if mode == "isolated":
        assert different == [culprit]
        assert report.worst is report.first_difference
    else:
        names = [blob.layer for blob in report.blobs]
        assert different == names[names.index(culprit) :]


@pytest.mark.parametrize("fault", ["pooling method", "slope", "eps"])
@pytest.mark.parametrize("mode", MODES)
def test_planted_structure(tmp_path: Path, caffe: Caffe, fault: str, mode: str) -> None:
    old, new, culprit = {
        "pooling method": ("pool: AVE", "pool: MAX", "pool"),
        "slope": ('name: "relu" type: "ReLU"', 'relu_param { negative_slope: 0.1 } '
                  'name: "relu" type: "ReLU"', "relu"),
        "eps": ('name: "bn" type', 'batch_norm_param { eps: 0.1 } name: "bn" type', "sc"),
    }[fault]  # fmt: skip
    assert old in SMALL
    other = Files.make(tmp_path, SMALL.replace(old, new))
    other.net.write_text(SMALL, encoding="utf-8")  # the model has the fault, Caffe does not
    report = check(other, caffe, mode=mode)
    assert report.first_difference is not None
    assert report.first_difference.layer == culprit
    if mode == "isolated":
        assert report.counts["different"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_other_shape(tmp_path: Path, caffe: Caffe, mode: str) -> None:
    """A model by hand that pads where Caffe does not."""
    import keras

    text = (
        data(2, 2, 6, 5)
        + layer("Convolution", "data", "a", "convolution_param { num_output: 3 kernel_size: 3 }")
        + layer("TanH", "a", "b")
    )
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    net.write_text(text, encoding="utf-8")
    caffemodel.write(weights, seeded(net))
    pixels = keras.Input((None, None, 2), name="data")
    convolution = keras.layers.Conv2D(3, 3, padding="same", name="a")
    model = keras.Model(pixels, keras.layers.Activation("tanh", name="b")(convolution(pixels)))
    kernel, bias = seeded(net)[0].blobs
    convolution.set_weights([Pattern("h w i o -> o i h w").to_tf(kernel), bias])
    report = verify(net, weights, model, oracle=caffe, mode=mode)
    assert report.first_difference is not None
    assert report.first_difference.layer == "a"
    assert "[2, 6, 5, 3], Caffe's blob [2, 3, 4, 3]" in report.first_difference.note
    assert statuses(report)["b"] == ("equal" if mode == "isolated" else "different")


def test_tolerance_decides(tmp_path: Path, caffe: Caffe) -> None:
    files = Files.make(tmp_path, SMALL)
    vary(files.model, "mid", nudge)
    worst = check(files, caffe).worst
    assert worst is not None
    assert check(files, caffe, rtol=worst.max * 1.01).verdict == "equal"
    assert check(files, caffe, rtol=worst.max * 0.99).verdict == "different"


def test_constant_output_is_unproven(tmp_path: Path, caffe: Caffe) -> None:
    report = check(Files.make(tmp_path, CONSTANT_OUTPUT), caffe)
    assert report.verdict == "unproven"
    assert report.first_difference is None
    assert [(b.layer, b.note) for b in report.unproven] == [("y", "all of Caffe's numbers are 3")]


def test_constant_inner_blob_is_listed(tmp_path: Path, caffe: Caffe) -> None:
    dead = layer("Power", "p", "dead", "power_param { scale: 0 }")
    text = SMALL.replace(
        layer("InnerProduct", "p", "fc", "inner_product_param { num_output: 6 }"),
        dead
        + layer("Eltwise", ["p", "dead"], "sum")
        + layer("InnerProduct", "sum", "fc", "inner_product_param { num_output: 6 }"),
    )
    report = check(Files.make(tmp_path, text), caffe)
    assert report.verdict == "equal"
    assert [blob.layer for blob in report.unproven] == ["dead"]


@pytest.mark.parametrize("mode", MODES)
def test_not_a_number_on_one_side(tmp_path: Path, caffe: Caffe, mode: str) -> None:
    files = Files.make(tmp_path, SMALL)
    vary(files.model, "mid", lambda w: [w[0], np.where(np.arange(5) == 2, np.nan, w[1])])
    report = check(files, caffe, mode=mode)
    assert report.first_difference is not None
    assert report.first_difference.layer == "mid"
    assert "one side only" in report.first_difference.note
    assert report.to_json()["first_difference"]["max"] is None


COMPARISONS = {
    "equal": ([1, -2, 0], [1, -2, 0], "equal", 0),
    "by scale": ([1, -2, 0], [1, -2, 0.5], "different", 0.25),
    "within": ([1, -2, 0], [1, -2, 0.0001], "equal", 5e-5),
    "constant": ([2, 2, 2], [2, 2, 2], "unproven", 0),
    "zero": ([0, 0, 0], [0, 0, 0], "unproven", 0),
    "constant, and wrong": ([2, 2, 2], [2, 2, 3], "different", 0.5),
    "zero, and wrong": ([0, 0, 0], [0, 0, 0.01], "different", 0.01),
    "empty": ([], [], "unproven", 0),
    "NaN in Caffe": ([1, np.nan, 3], [1, 2, 3], "different", np.inf),
    "NaN in TensorFlow": ([1, 2, 3], [1, np.nan, 3], "different", np.inf),
    "NaN in both": ([1, np.nan, 3], [1, np.nan, 3], "equal", 0),
    "infinite in both": ([1, np.inf, 3], [1, np.inf, 3], "equal", 0),
    "infinite, other sign": ([1, np.inf, 3], [1, -np.inf, 3], "different", np.inf),
    "all NaN": ([np.nan, np.nan], [np.nan, np.nan], "unproven", 0),
}


@pytest.mark.parametrize("case", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_compare(case: tuple[list[float], list[float], str, float]) -> None:
    caffe, other, status, largest = case
    found = compare(np.array(caffe, np.float32), np.array(other, np.float32))
    assert found.status == status
    assert found.max == pytest.approx(largest, rel=1e-4)


def test_saturated_softmax_is_noted(tmp_path: Path, caffe: Caffe) -> None:
    large = Files.make(
        tmp_path, SMALL, change=lambda name, role, x: x * (1000 if name == "fc" else 1)
    )
    (output,) = check(large, caffe).outputs
    assert output.note.startswith("saturated")
