"""Preprocessing built into the Caffe net: fed raw images it gives what Keras gives for the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.errors import ConversionError
from tfcaffe.oracle.pycaffe import Caffe
from whole import randomised, written

MEAN = [123.68, 116.78, 103.94]


def convolution(padding: str, bias: bool = True, **more: Any) -> Callable[[Any], Any]:
    def build(x: Any) -> Any:
        import keras

        return keras.layers.Conv2D(6, 3, 2, padding, use_bias=bias, name="conv", **more)(x)

    return build


def rescaled(x: Any) -> Any:
    import keras

    return convolution("valid")(keras.layers.Rescaling(1 / 127.5, offset=-1, name="scaled")(x))


def normalised(x: Any) -> Any:
    import keras

    return keras.layers.BatchNormalization(name="bn")(x)


IMAGE = np.random.default_rng(5).uniform(0, 255, (3, 12, 11)).astype(np.float32)
CASES: dict[str, tuple[Callable[[Any], Any], dict[str, Any], list[str]]] = {
    "all folded": (
        convolution("valid"),
        {"mean": MEAN, "scale": 0.017, "channel_order": "bgr"},
        ["Convolution"],
    ),
    "a bias appears": (convolution("valid", bias=False), {"mean": [7.0]}, ["Convolution"]),
    "scale and order go through pads": (
        convolution("same"),
        {"scale": 0.5, "channel_order": "bgr"},
        ["Convolution"],
    ),
    "a mean does not go through pads": (
        convolution("same"),
        {"mean": MEAN, "scale": 0.5, "channel_order": "bgr"},
        ["Scale", "Convolution"],
    ),
    "one mean for all": (
        convolution("same"),
        {"mean": [9.0], "scale": 2.0},
        ["Power", "Convolution"],
    ),
    "a mean image": (
        convolution("valid"),
        {"mean": "IMAGE", "channel_order": "bgr"},
        ["Scale", "Convolution"],
    ),
    "groups": (
        convolution("valid", groups=3),
        {"channel_order": "bgr"},
        ["Convolution", "Convolution"],
    ),
    "a layer first": (
        rescaled,
        {"mean": MEAN, "channel_order": "bgr"},
        ["Convolution", "Power", "Convolution"],
    ),
    "no convolution": (
        normalised,
        {"mean": MEAN, "scale": 0.1, "channel_order": "bgr"},
        ["Convolution", "BatchNorm", "Scale"],
    ),
    "rgb is as it is": (normalised, {"channel_order": "rgb"}, ["BatchNorm", "Scale"]),
}


@pytest.mark.parametrize("name", CASES)
def test_preprocessing(name: str, tmp_path: Path, caffe: Caffe, rng: np.random.Generator) -> None:
    import keras

    build, options, types = CASES[name]
    if options.get("mean") == "IMAGE":
        np.save(tmp_path / "mean.npy", IMAGE)
        options = {**options, "mean": tmp_path / "mean.npy"}
    x = keras.Input((10, 9, 3), batch_size=2, name="image")
    model = randomised(keras.Model(x, build(x)))
    net = written(model, tmp_path, **options)
    assert net.types[1:] == types
    raw = rng.uniform(0, 255, (2, 3, 10, 9)).astype(np.float32)
    run = caffe.run(net.prototxt, net.caffemodel, {"image": raw})
    fed = raw[:, ::-1] if options.get("channel_order") == "bgr" else raw
    if options.get("mean") is not None:
        mean = IMAGE[:, 1:11, 1:10] if "IMAGE" in str(CASES[name][1]) else options["mean"]
        fed = fed - np.asarray(mean, np.float64).reshape(-1, *np.shape(mean)[1:] or (1, 1))
    expected = np.asarray(model(fed.transpose(0, 2, 3, 1) * options.get("scale", 1.0)))
    found = run.layers[-1].arrays[0].transpose(0, 2, 3, 1)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_channels_that_lie_first(tmp_path: Path, caffe: Caffe, rng: np.random.Generator) -> None:
    """What the first convolution says counts, not which of the sizes could be channels."""
    import keras

    x = keras.Input((3, 8, 4), name="image")
    model = keras.Model(x, convolution("same")(keras.layers.Permute((2, 3, 1))(x)))
    net = written(randomised(model), tmp_path, mean=MEAN, channel_order="bgr")
    raw = rng.uniform(0, 255, (1, 3, 8, 4)).astype(np.float32)
    run = caffe.run(net.prototxt, net.caffemodel, {"image": raw})
    expected = np.asarray(model(raw[:, ::-1] - np.reshape(np.float32(MEAN), (3, 1, 1))))
    found = run.layers[-1].arrays[0].transpose(0, 2, 3, 1)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_channels_that_nobody_names(tmp_path: Path) -> None:
    import keras

    x = keras.Input((3, 8, 3), name="image")
    model = randomised(keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    assert "Power" in written(model, tmp_path, mean=[5.0]).types
    for options in ({"mean": MEAN}, {"channel_order": "bgr"}):
        with pytest.raises(ConversionError, match="no layer that reads the input 'image' says"):
            written(model, tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mean": [1.0, 2.0]}, "does not fit the input 'image'"),
        ({"mean": "no.npy"}, "there is no such file"),
    ],
)
def test_a_mean_that_does_not_fit(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    import keras

    x = keras.Input((10, 9, 3), name="image")
    with pytest.raises(ConversionError, match=words):
        written(keras.Model(x, normalised(x)), tmp_path, **options)


@pytest.mark.parametrize(
    ("shape", "words"), [((9,), "need an input of images"), ((8, 8, 1), "1 channels, not 3")]
)
def test_no_image(shape: tuple[int, ...], words: str, tmp_path: Path) -> None:
    import keras

    x = keras.Input(shape, name="x")
    with pytest.raises(ConversionError, match=words):
        written(keras.Model(x, keras.layers.ReLU()(x)), tmp_path, channel_order="bgr")


def test_verify_is_told_what_is_built_in(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    from tfcaffe.verify import verify

    x = keras.Input((8, 6, 3), name="x")
    model = randomised(keras.Model(x, convolution("same")(x)))
    options: Any = {"mean": MEAN, "scale": 0.02, "channel_order": "bgr"}
    net = written(model, tmp_path, **options)
    files = net.prototxt, net.caffemodel, model
    with pytest.raises(ConversionError, match="the net: preprocessing of 'x' is built in"):
        verify(*files, oracle=caffe)
    assert verify(*files, oracle=caffe, **options).verdict == "equal"
    assert verify(*files, oracle=caffe, **{**options, "scale": 0.03}).verdict == "different"
    del options["channel_order"]
    assert verify(*files, oracle=caffe, **options).verdict == "different"
