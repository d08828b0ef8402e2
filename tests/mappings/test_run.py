"""`mapping check --run`: whether both sides agree, and where they first do not."""

from pathlib import Path

import keras
import numpy as np
import pytest

import tf2caffe
from tfcaffe.errors import UsageError
from tfcaffe.mapping.check import Check, check

pytestmark = pytest.mark.usefixtures("caffe")

NET = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: 3 dim: 9 dim: 8 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 4 kernel_size: 3 bias_term: false }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }}
layer {{ name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param {{ bias_term: true }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" relu_param {{ {relu} }} }}
layer {{ name: "last" type: "Convolution" bottom: "conv" top: "last"
  convolution_param {{ num_output: 5 kernel_size: 3 pad: {pad} }} }}
"""
MAPPING = """mapping: 1
epsilon: 0.001
layers:
  conv: {weights: conv/kernel}
  bn: {mean: {variable: bn/moving_mean, minus: conv/bias}, variance: bn/moving_variance}
  scale: {gamma: bn/gamma, beta: bn/beta}
  last: {weights: last/kernel, bias: last/bias}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution with a bias, BatchNorm, ReLU, another convolution; every variable random."""
    layers = keras.layers
    data = keras.Input((9, 8, 3))
    value = layers.Conv2D(4, 3, name="conv")(data)
    value = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(value))
    built = keras.Model(data, layers.Conv2D(5, 3, name="last")(value))
    rng = np.random.default_rng(8)
    for weight in built.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) * (1 if len(weight.shape) == 1 else 0.3))
    path = tmp_path_factory.mktemp("run") / "model.keras"
    built.save(path)
    return path


def _check(model: Path, folder: Path, *, pad: int = 0, relu: str = "") -> Check:
    (folder / "net.prototxt").write_text(NET.format(pad=pad, relu=relu))
    (folder / "m.yaml").write_text(MAPPING)
    return check(folder / "m.yaml", folder / "net.prototxt", checkpoint=model, run=True)


def test_agrees_with_a_bias_folded_into_the_mean(model: Path, tmp_path: Path) -> None:
    found = _check(model, tmp_path)
    assert found.good and found.ran is not None
    assert [(m.layer, m.output) for m in found.ran.meetings] == [
        ("bn", False),
        ("scale", False),
        ("last", False),
        ("last", True),
    ]
    assert found.ran.first_difference is None
    assert found.ran.to_text().startswith("run: both sides agree at every output, within ")


def test_names_the_first_layer_that_differs(model: Path, tmp_path: Path) -> None:
    found = _check(model, tmp_path, relu="negative_slope: 0.5")
    assert found.fits and not found.good and found.ran is not None
    assert found.ran.to_text().startswith("run: the two sides differ, first at last (last) by ")


def test_other_shapes(model: Path, tmp_path: Path) -> None:
    found = _check(model, tmp_path, pad=1)
    assert not found.good and found.ran is not None
    assert "first at last (last) (its shape is [2, 5, 7, 6] in Caffe and" in found.ran.to_text()


def test_another_count_of_outputs_is_refused(model: Path, tmp_path: Path) -> None:
    more = 'layer { name: "more" type: "Power" bottom: "conv" top: "more" power_param { '
    with pytest.raises(UsageError, match=r"has 1 outputs, .*net\.prototxt 2"):
        _check(model, tmp_path, relu="negative_slope: 0 } }\n" + more)


TWO = """
layer { name: "image" type: "Input" top: "image"
  input_param { shape { dim: 1 dim: 3 dim: 9 dim: 8 } } }
layer { name: "depth" type: "Input" top: "depth"
  input_param { shape { dim: 1 dim: 4 dim: 9 dim: 8 } } }
layer { name: "a" type: "Convolution" bottom: "image" top: "a"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "half" type: "Power" bottom: "depth" top: "half" power_param { scale: 0.5 } }
layer { name: "b" type: "Convolution" bottom: "half" top: "b"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
"""
TWO_MAPPING = """mapping: 1
channels: {caffe: bgr, tensorflow: rgb}
layers:
  "{n}": {weights: "{n}/kernel", bias: "{n}/bias"}
"""


def _two_inputs(folder: Path, *names: str) -> Check:
    """A net of two inputs, one of which is turned round, and a model with inputs of these names."""
    layers = keras.layers
    inputs = [keras.Input((9, 8, 3 if n in ("image", "one") else 4), name=n) for n in names]
    image, depth = sorted(inputs, key=lambda tensor: tensor.shape[-1])
    left, right = layers.Conv2D(4, 3, name="a")(image), layers.Conv2D(4, 3, name="b")(depth * 0.5)
    model = keras.Model(inputs, layers.Add(name="sum")([left, right]))
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    model.save(folder / "two.keras")
    (folder / "net.prototxt").write_text(TWO)
    (folder / "m.yaml").write_text(TWO_MAPPING)
    return check(
        folder / "m.yaml", folder / "net.prototxt", checkpoint=folder / "two.keras", run=True
    )


@pytest.mark.parametrize("names", [("image", "depth"), ("depth", "image")])
def test_several_inputs_by_name(names: tuple[str, str], tmp_path: Path) -> None:
    found = _two_inputs(tmp_path, *names)
    assert found.ran is not None and found.good, found.to_text()
    assert "in order" not in found.to_text() and found.to_json()["run"]["inputs_by_order"] == []


def test_several_inputs_in_order(tmp_path: Path) -> None:
    found = _two_inputs(tmp_path, "one", "two")
    assert found.ran is not None and found.good, found.to_text()
    assert found.to_text().endswith(" (inputs in order: image = one, depth = two)")
    assert found.to_json()["run"]["inputs_by_order"] == [["image", "one"], ["depth", "two"]]


def test_inputs_that_nobody_can_tell(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"two\.keras: its inputs are two, image, .*cannot tell"):
        _two_inputs(tmp_path, "two", "image")


def test_another_count_of_inputs_is_refused(model: Path, tmp_path: Path) -> None:
    more = 'layer { name: "more" type: "Input" top: "more" input_param { shape { dim: 1 dim: 4 '
    more += (
        'dim: 7 dim: 6 } } }\nlayer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "more" '
    )
    with pytest.raises(UsageError, match=r"has 1 inputs, .*net\.prototxt 2"):
        _check(
            model,
            tmp_path,
            relu="negative_slope: 0 } }\n" + more + 'top: "conv" eltwise_param { operation: PROD ',
        )


def test_a_run_with_a_base(model: Path, tmp_path: Path) -> None:
    """The head comes from an old caffemodel, which has another model's numbers."""
    assert _check(model, tmp_path).good
    net, mapping = tmp_path / "net.prototxt", tmp_path / "m.yaml"
    tf2caffe.convert(model, tmp_path / "old.caffemodel", prototxt=net, mapping=mapping)
    entry = "  last: {weights: last/kernel, bias: last/bias}\n"
    mapping.write_text(
        MAPPING.replace(entry, "") + "ignore: {variables: [last/*], blobs: [last.*]}"
    )
    with pytest.raises(UsageError, match=r"--run needs them: .*--base"):
        check(mapping, net, checkpoint=model, run=True)
    steps: list[tuple[str, int, int]] = []
    found = check(
        mapping,
        net,
        checkpoint=model,
        base=tmp_path / "old.caffemodel",
        run=True,
        watch=lambda *step: steps.append(step),
    )
    assert found.good, found.to_text()
    assert [what for what, _, _ in steps][-3:] == ["weights: last", "Caffe", "TensorFlow"]
