"""Keras models of all makes: sequential, nested, shared, with several ends, of other types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tf2caffe.__main__ import main
from tfcaffe.errors import ConversionError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from whole import assert_equal, check, compared, randomised, written


def sequential(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 7, 3), name="image"),
            layers.Conv2D(4, 3, activation="relu", name="conv1"),
            layers.Flatten(),
            layers.Dense(3, name="fc"),
        ]
    )


def nested(keras: Any) -> Any:
    layers = keras.layers
    a, b = keras.Input((8, 7, 3), name="a"), keras.Input((8, 7, 3), name="b")
    inner = keras.Model(
        [a, b], [layers.Conv2D(4, 3, name="in1")(a), layers.Add(name="sum")([a, b])]
    )
    x, y = keras.Input((8, 7, 3), name="x"), keras.Input((8, 7, 3), name="y")
    one, two = inner([x, y])
    body = keras.Sequential([layers.Input((8, 7, 3)), layers.Conv2D(4, 3, name="in2")])
    return keras.Model([x, y], [layers.Add(name="last")([one, body(two)]), two])


def shared(keras: Any) -> Any:
    layers = keras.layers
    a, b = keras.Input((8, 7, 3), name="a"), keras.Input((8, 7, 3), name="b")
    conv = layers.Conv2D(4, 3, name="conv")
    tower = keras.Sequential([layers.Input((6, 5, 4)), layers.Conv2D(2, 1, name="deep")])
    return keras.Model([a, b], layers.Subtract(name="apart")([tower(conv(a)), tower(conv(b))]))


def prepared(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((8, 7, 3), name="image")
    y = layers.Rescaling(1 / 127.5, offset=-1, name="scaled")(x)
    y = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0], name="norm")(y)
    y = layers.RandomFlip(name="flip")(layers.GaussianNoise(0.3, name="noise")(y))
    return keras.Model(x, layers.Conv2D(4, 3, name="conv")(layers.SpatialDropout2D(0.5)(y)))


def whole_numbers(keras: Any) -> Any:
    x = keras.Input((8, 7, 3), name="image", dtype="uint8")
    y = keras.layers.Rescaling(1 / 255, name="scaled")(x)
    return keras.Model(x, keras.layers.Conv2D(4, 3, name="conv")(y))


def twice_an_output(keras: Any) -> Any:
    x = keras.Input((8, 7, 3), name="image")
    y = keras.layers.ReLU(name="relu")(x)
    return keras.Model(x, [y, keras.layers.Conv2D(2, 3, name="conv")(y), y])


MODELS: list[Callable[[Any], Any]] = [
    sequential,
    nested,
    shared,
    prepared,
    whole_numbers,
    twice_an_output,
]
NAMES = {
    sequential: ["image", "conv1", "conv1_relu", "fc"],
    nested: ["x", "y", "in1", "sum", "in2", "last"],
    prepared: ["image", "norm", "conv"],
    whole_numbers: ["image", "scaled", "conv"],
}


@pytest.mark.parametrize("build", MODELS)
def test_model(build: Callable[[Any], Any], tmp_path: Path, caffe: Caffe) -> None:
    import keras

    images = np.random.default_rng(3).integers(0, 256, (1, 3, 8, 7)).astype(np.float32)
    net = check(
        build(keras), tmp_path, caffe, {"image": images} if build is whole_numbers else None
    )
    names = [layer.name for layer in net.network.layers]
    assert len(set(names)) == len(names)
    if build in NAMES:
        assert names == NAMES[build]


def test_a_layer_that_is_called_twice(tmp_path: Path, caffe: Caffe) -> None:
    """Each call is a layer, with the same numbers."""
    import keras

    net = check(shared(keras), tmp_path, caffe)
    layers = [layer for layer in net.network.layers if layer.type == "Convolution"]
    one, two = (layer for layer in layers if layer.blobs[0].shape == (4, 3, 3, 3))
    assert "conv" in (one.name, two.name)
    np.testing.assert_array_equal(one.blobs[0].read(), two.blobs[0].read())


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files(suffix: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    model = randomised(sequential(keras))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    net = written(path, tmp_path)
    assert_equal(compared(model, net, caffe), ["conv1_relu", "fc"])


def test_weights_alone(tmp_path: Path) -> None:
    import keras

    path = tmp_path / "model.weights.h5"
    sequential(keras).save_weights(path)
    with pytest.raises(ConversionError, match="holds weights without their model"):
        written(path, tmp_path)


def rewritten(path: Path, **attributes: str) -> Path:
    """A `.h5` as another Keras would have written it."""
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs.update(attributes)
    return path


def theano_model(keras: Any) -> Any:
    """With the channels first, as under Theano; kernels of different height and width."""
    k, first = keras.layers, "channels_first"
    x = keras.Input((3, 9, 8), batch_size=2, name="x")
    y = k.Conv2D(4, (3, 2), data_format=first, activation="relu", name="conv")(x)
    y = k.Conv2DTranspose(3, (2, 3), strides=2, data_format=first, name="up")(y)
    y = k.MaxPooling2D(2, data_format=first)(y)
    return randomised(keras.Model(x, k.Dense(5, name="fc")(k.Flatten()(y))))


def test_a_file_of_theano(tmp_path: Path, caffe: Caffe) -> None:
    """Its kernels lie turned round; Keras 2 turned them back, Keras 3 does not."""
    import keras

    model = theano_model(keras)
    theirs = keras.models.clone_model(model)
    theirs.set_weights([w[::-1, ::-1] if w.ndim == 4 else w for w in model.get_weights()])
    theirs.save(path := tmp_path / "model.h5")
    net = written(rewritten(path, backend="theano", keras_version="2.1.6"), tmp_path)
    assert_equal(compared(model, net, caffe))
    report = verify(net.prototxt, net.caffemodel, path, record=net.network.twin, oracle=caffe)
    assert report.verdict == "equal"


def test_a_file_of_theano_that_nobody_can_say(tmp_path: Path) -> None:
    """Keras 2 did not turn depthwise kernels back."""
    import keras

    model = keras.Sequential([keras.layers.Input((7, 6, 3)), keras.layers.DepthwiseConv2D(3)])
    model.save(path := tmp_path / "model.h5")
    with pytest.raises(ConversionError, match=r"written under Theano.*nobody says whether"):
        written(rewritten(path, backend="theano", keras_version="2.1.6"), tmp_path)


def test_the_hard_sigmoid_of_keras_2(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    layers = [keras.layers.Input((4,)), keras.layers.Dense(3, "hard_sigmoid", name="fc")]
    path = tmp_path / "model.h5"
    for version, slope in (("3.0.0", 1 / 6), ("2.3.1", 0.2)):
        randomised(keras.Sequential(layers)).save(path)
        net = written(rewritten(path, keras_version=version), tmp_path)
        numbers = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
        values = caffe.run(net.prototxt, net.caffemodel, {net.network.layers[0].name: numbers})
        before, after = values.layer("fc").arrays[0], values.layers[-1].arrays[0]
        np.testing.assert_allclose(after, np.clip(slope * before + 0.5, 0, 1), atol=1e-6)
        assert_equal(compared(path, net, caffe))


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("old.h5", "2.11.0", "does not know the class 'Own'; it was written by Keras 2.11.0; load"),
        ("new.h5", "3.1.0", "does not know the class 'Own'; register it in a --plugin"),
        ("new.keras", "", "does not know the class 'Own'; register it in a --plugin"),
    ],
)
def test_classes_that_keras_does_not_know(
    name: str, version: str, told: str, tmp_path: Path
) -> None:
    import keras

    class Own(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2.0

    x = keras.Input((4,))
    keras.Model(x, Own()(x)).save(path := tmp_path / name)
    with pytest.raises(ConversionError, match=told):
        written(rewritten(path, keras_version=version) if version else path, tmp_path)


def test_code_in_a_file_runs_only_if_trusted(
    tmp_path: Path, caffe: Caffe, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    x = keras.Input((4, 3, 2), name="x")
    path = tmp_path / "model.keras"
    model = keras.Model(x, keras.layers.Lambda(lambda t: t * 2.0 + 1.0, name="twice")(x))
    model.save(path)
    with pytest.raises(ConversionError, match="--trust"):
        written(path, tmp_path)
    net = written(path, tmp_path, trust=True)
    assert_equal(compared(model, net, caffe))
    arguments = ["verify", *map(str, (net.prototxt, net.caffemodel, path)), "-q"]
    assert main(arguments) == 2 and "--trust lets its code run" in capsys.readouterr().err
    assert main([*arguments, "--trust"]) == 0


def test_mixed_precision(tmp_path: Path, caffe: Caffe) -> None:
    """Keras rounds to 16 bits between layers, Caffe does not."""
    import keras

    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = randomised(sequential(keras))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    net = written(model, tmp_path)
    assert net.types == ["Input", "Convolution", "ReLU", "InnerProduct"]
    assert any("16 bits" in note for note in net.network.notes)
    assert_equal(compared(model, net, caffe, rtol=5e-3))


def test_sizes_that_nobody_says(tmp_path: Path) -> None:
    import keras

    x = keras.Input((None, None, 3), name="image")
    model = keras.Model(x, keras.layers.Conv2D(2, 3)(x))
    with pytest.raises(ConversionError, match="--input-shape image=A,B,C,3"):
        written(model, tmp_path)
    assert written(model, tmp_path, input_shape={"image": (1, 6, 5, 3)}).types[1:] == [
        "Convolution"
    ]


def test_a_model_of_python_code(tmp_path: Path) -> None:
    import keras

    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x * 2.0

    with pytest.raises(ConversionError, match=r"has no defined inputs|export it as a"):
        written(Own(), tmp_path)


def test_outputs_of_further_calls(tmp_path: Path, caffe: Caffe) -> None:
    """Each is compared with its own call, of layers and of models in the model."""
    import keras

    layers = keras.layers
    a, b = keras.Input((6, 5, 4), name="a"), keras.Input((6, 5, 4), name="b")
    conv = layers.Conv2D(4, 3, padding="same", name="conv")
    tower = keras.Sequential([layers.Input((6, 5, 4)), layers.Conv2D(4, 1, name="deep")])
    model = keras.Model([a, b], [conv(a), conv(b), tower(tower(conv(b)))])
    net = check(model, tmp_path, caffe)
    report = compared(model, net, caffe)
    assert sum(blob.type == "Convolution" for blob in report.blobs) == len(net.types) - 2


def test_samples_are_refused(tmp_path: Path) -> None:
    """Each call draws others: not one of them, kept for ever."""
    import keras

    seeds = keras.random.SeedGenerator(1)

    class Sample(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x + keras.random.normal(keras.ops.shape(x), seed=seeds)

    x = keras.Input((6,), name="x")
    with pytest.raises(ConversionError, match=r"layer 'sample'\): draws random numbers"):
        written(keras.Model(x, Sample(name="sample")(x)), tmp_path)


def test_verify_feeds_whole_numbers_where_the_model_wants_them(
    tmp_path: Path, caffe: Caffe
) -> None:
    import keras

    from tfcaffe.verify import verify

    x = keras.Input((8, 7, 3), name="image", dtype="uint8")
    y = keras.layers.Rescaling(1 / 127.5, -1.0, name="scaled")(x)
    model = randomised(keras.Model(x, keras.layers.Conv2D(4, 3, name="conv")(y)))
    net = written(model, tmp_path)
    assert verify(net.prototxt, net.caffemodel, model, oracle=caffe).verdict == "equal"
