"""Preprocessing folded into the first convolution of models for inference, against real Caffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import caffe2tf
from caffe2tf.__main__ import main
from caffe2tf.build import build
from caffe2tf.formats import savedmodel
from caffe2tf.source import read_source
from conversions import Array, nhwc, relative, write_net
from prototxts import data, layer, param
from tfcaffe.layout import Pattern
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import Report, verify

MEAN = [104.0, 117.0, 123.0]
RGB, SCALE = {"channel_order": "rgb"}, {"scale": 0.017}
ALL = {"mean": MEAN, **RGB, **SCALE}
STEPS = {"Flip": "flip", "Normalization": "mean", "Rescaling": "scale"}


RELU = "relu_param { negative_slope: 0.3 }"


def convolution(channels: int = 3, **fields: Any) -> str:
    """A net that begins with a Convolution."""
    fields = {"num_output": 6, "kernel_size": (3, 2), "stride": 2, **fields}
    first = layer("Convolution", "data", "conv", param("convolution_param", **fields))
    return data(2, channels, 9, 7) + first + layer("ReLU", "conv", "y", RELU)


SHARED = 'param { name: "w" } param { name: "b" }'
# The net, what is asked for, and which steps stay in front of it.
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "all": (convolution(), ALL, ""),
    "flip": (convolution(), RGB, ""),
    "scale": (convolution(), SCALE, ""),
    "mean": (convolution(), {"mean": MEAN}, ""),
    "mean and scale": (convolution(), {"mean": MEAN, **SCALE}, ""),
    "dilation": (convolution(stride=1, dilation=2), ALL, ""),
    "padded: flip": (convolution(pad=1), RGB, ""),
    "padded: scale": (convolution(pad=1), SCALE, ""),
    "padded: all": (convolution(pad=1), ALL, "mean"),
    "padded on one side": (convolution(pad=(0, 1)), ALL, "mean"),
    "padded: mean": (convolution(pad=1), {"mean": MEAN}, "mean"),
    "no bias": (convolution(bias_term=False), ALL, "mean"),
    "a mean image": (convolution(), {**ALL, "mean": "image.npy"}, "mean"),
    "depthwise": (convolution(group=3), ALL, "flip"),
    "depthwise: flip": (convolution(group=3), RGB, "flip"),
    "grouped": (convolution(6, group=2), {"mean": [9, 50, 90, 20, 7, 70], **SCALE}, ""),
    "two readers": (
        convolution() + layer("ReLU", "data", "z", RELU),
        ALL,
        "flip mean scale",
    ),
    "two bottoms": (
        data(2, 3, 9, 7)
        + data(2, 3, 9, 7, name="other")
        + layer(
            "Convolution",
            ["data", "other"],
            ["y", "z"],
            param("convolution_param", num_output=2, kernel_size=3),
        ),
        ALL,
        "flip mean scale",
    ),
    "shared weights": (
        data(2, 3, 9, 7)
        + data(2, 3, 9, 7, name="other")
        + "".join(
            layer(
                "Convolution",
                bottom,
                top,
                param("convolution_param", num_output=2, kernel_size=3) + SHARED,
            )
            for bottom, top in [("data", "y"), ("other", "z")]
        ),
        ALL,
        "flip mean scale",
    ),
    "no convolution": (
        data(2, 3, 9, 7)
        + layer("InnerProduct", "data", "y", param("inner_product_param", num_output=4)),
        ALL,
        "flip mean scale",
    ),
}


@pytest.mark.parametrize(("net", "options", "left"), CASES.values(), ids=CASES)
def test_equals_caffe(
    net: str,
    options: dict[str, Any],
    left: str,
    tmp_path: Path,
    caffe: Caffe,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What can be folded is, a note says what, and the numbers are Caffe's."""
    import tensorflow as tf

    monkeypatch.chdir(tmp_path)
    np.save("image.npy", rng.uniform(90, 130, (3, 9, 7)).astype(np.float32))
    files = write_net(tmp_path, net)
    source = read_source(files.net, files.weights, **options)
    built = build(source, plain=True)
    kinds = [type(operation).__name__ for operation in built.model.operations]
    assert " ".join(STEPS[kind] for kind in kinds if kind in STEPS) == left
    folded = asked(options) - set(left.split())
    said = {word for word in STEPS.values() if f"the {word}" in " ".join(built.notes)}
    assert said == folded
    feeds = {
        blob.blob: rng.uniform(0, 255, (2, *blob.layout.shape[1:])).astype(np.float32)
        for blob in built.twin.inputs
    }
    run = caffe.run(files.net, files.weights, {**feeds, "data": fed(feeds["data"], options)})
    expected = {top: a for la in run.layers for top, a in zip(la.tops, la.arrays, strict=True)}
    savedmodel.write(source, tmp_path / "saved")
    serve = tf.saved_model.load("saved").signatures["serving_default"]
    answers = serve(**{name: tf.constant(nhwc(array)) for name, array in feeds.items()})
    for blob in built.twin.outputs:
        answer = blob.layout.pattern().to_caffe(answers[blob.blob].numpy())
        assert relative(answer, expected[blob.blob]) < 1e-5


def asked(options: dict[str, Any]) -> set[str]:
    """The steps of these options."""
    return {{"channel_order": "flip"}.get(name, name) for name in options}


def fed(images: Array, options: dict[str, Any]) -> Array:
    """What Caffe is fed."""
    if "channel_order" in options:
        images = images[:, ::-1]
    mean = options.get("mean", 0)
    mean = np.load(mean) if isinstance(mean, str) else np.reshape(mean, (-1, 1, 1))
    return np.asarray((images - mean) * options.get("scale", 1), np.float32)


@pytest.mark.parametrize("scale", [0.5, 1 / 256])
@pytest.mark.parametrize("padded", [0, 1])
def test_powers_of_two_and_channel_order_are_exact(
    scale: float, padded: int, tmp_path: Path
) -> None:
    files = write_net(tmp_path, convolution(pad=padded))
    source = read_source(files.net, files.weights, scale=scale, **RGB)
    kernel = build(source, plain=True).model.get_layer("conv").kernel.numpy()
    unfolded = build(source).model.get_layer("conv").kernel.numpy()
    assert np.array_equal(kernel, unfolded[:, :, ::-1] * np.float32(scale))
    stored = Pattern("h w i o -> o i h w").to_caffe(unfolded)
    assert np.array_equal(stored, files.blobs["conv"][0]), "a .keras has the caffemodel's weights"


@pytest.mark.parametrize("mode", ["chained", "isolated"])
@pytest.mark.parametrize("padded", [0, 1])
def test_verify_of_the_folded_model(
    mode: Literal["chained", "isolated"], padded: int, tmp_path: Path, caffe: Caffe
) -> None:
    """Caffe is fed the preprocessed input, the model the raw one; the input itself is not there."""
    files = write_net(tmp_path, convolution(pad=padded))
    built = build(read_source(files.net, files.weights, **ALL), plain=True)

    def check(**options: Any) -> Report:
        where = (files.net, files.weights, built.model)
        return verify(*where, record=built.twin, mode=mode, oracle=caffe, **options)

    report = check(**ALL)
    assert report.verdict == "equal"
    assert [blob.blob for blob in report.blobs] == ["conv", "y"]
    assert max(blob.max for blob in report.blobs) < 1e-5
    (absent,) = report.not_compared
    assert (absent.blob, "folded into" in absent.reason) == ("data", True)
    assert check(**{**ALL, "scale": 0.018}).verdict == "different"
    assert check(**{**ALL, "mean": [104, 117, 124]}).verdict == "different"
    with pytest.raises(caffe2tf.ConversionError, match="built in"):
        check()


@pytest.mark.parametrize("model", ["saved", "net.pb"])
def test_verify_of_outputs(model: str, tmp_path: Path, caffe: Caffe) -> None:
    files = write_net(tmp_path, convolution())
    caffe2tf.convert(files.net, files.weights, tmp_path / model, **ALL)
    report = verify(files.net, files.weights, tmp_path / model, oracle=caffe, **ALL)
    assert report.verdict == "equal"
    reasons = {skipped.blob: skipped.reason for skipped in report.not_compared}
    assert "folded into" in reasons["data"]


def test_a_note_says_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_net(tmp_path, convolution(pad=1))
    where = [str(files.net), str(files.weights)]
    asked = ["--mean", "1,2,3", "--scale", "0.5", "--channel-order", "rgb"]
    outputs = ["-o", str(tmp_path / "saved"), "-o", str(tmp_path / "net.pb")]
    assert main(["convert", *where, *outputs, *asked]) == 0
    (said,) = (la for la in capsys.readouterr().err.splitlines() if "takes over" in la)
    assert "'conv'" in said and "(the flip of the channels, the scale)" in said
    assert main(["convert", *where, "-o", str(tmp_path / "net.keras"), *asked]) == 0
    assert "takes over" not in capsys.readouterr().err
