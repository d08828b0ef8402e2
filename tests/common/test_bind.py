"""Which numbers of a weights file fill which blobs, as real Caffe copies them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from oracles import Write
from prototxts import data, layer, param
from tfcaffe import net as nets
from tfcaffe.bind import Binding, bilinear, bind
from tfcaffe.errors import WeightsError
from tfcaffe.files import caffe_hdf5, caffemodel, prototxt
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.load import load_weights
from tfcaffe.oracle import OracleError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import Plan, make_plan
from weights_files import BLOBS, GENERATIONS, PROTOTXT, VALUES

Array = NDArray[np.float32]
CONV = "convolution_param { num_output: 3 kernel_h: 3 kernel_w: 2 %s }"


def planned(text: str) -> Plan:
    file = prototxt.parse(text, path="net.prototxt")
    return make_plan(nets.from_message(file.net, file.lines, file.path))


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def bound(text: str, folder: Path, layers: Mapping[str, Sequence[Array]]) -> Binding:
    """A net and a caffemodel with these layers."""
    path = folder / "net.caffemodel"
    stored = [LayerBlobs(name, "", Blobs.of(arrays)) for name, arrays in layers.items()]
    caffemodel.write(path, stored, overwrite=True)
    return bind(planned(text), load_weights(path))


def test_by_name(tmp_path: Path) -> None:
    weights, bias = numbers(3, 2, 3, 2), numbers(3, seed=1)
    binding = bound(PROTOTXT, tmp_path, {"other": [bias], "c": [weights, bias], "empty": []})
    np.testing.assert_array_equal(binding.values(1)["weights"], weights)
    np.testing.assert_array_equal(binding.values(1)["bias"], bias)
    assert binding.values(0) == {}
    assert binding.notes == ("layers of the weights file that the net lacks (1): other",)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("encoding", ["as Caffe writes", "legacy", "double", "unpacked legacy"])
def test_every_generation_and_encoding(generation: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(GENERATIONS[generation].file(BLOBS[encoding]))
    values = bind(planned(PROTOTXT), load_weights(path)).values(1)
    for role, expected in zip(("weights", "bias"), VALUES, strict=True):
        assert values[role].dtype == np.float32
        np.testing.assert_array_equal(values[role], expected)


@pytest.mark.parametrize(
    ("blobs", "message"),
    [
        ([numbers(3, 2, 3, 2)], "has 1 blobs for layer 'c' (Convolution, line 4), the net wants 2"),
        ([], "has 0 blobs for layer 'c' (Convolution, line 4), the net wants 2 (weights, bias)"),
        ([numbers(3, 2, 3, 2), numbers(3), numbers(1)], "the net wants 2 (weights, bias)"),
        (
            [numbers(3, 2, 2, 3), numbers(3)],
            "blob 'weights' of layer 'c' (Convolution, line 4) has the shape [3, 2, 2, 3], the net "
            "wants [3, 2, 3, 2]; are these weights of another net?",
        ),
        (
            [numbers(3, 2, 3, 2), numbers(4)],
            "blob 'bias' of layer 'c' (Convolution, line 4) has the",
        ),
        ([numbers(3, 2, 3, 2), numbers(1, 3)], "has the shape [1, 3], the net wants [3]"),
        ([numbers(36), numbers(3)], "has the shape [36], the net wants [3, 2, 3, 2]"),
    ],
)
def test_what_does_not_fit(
    blobs: list[Array], message: str, tmp_path: Path, caffe: Caffe, write: Write
) -> None:
    with pytest.raises(WeightsError) as error:
        bound(PROTOTXT, tmp_path, {"c": blobs})
    assert f"{tmp_path / 'net.caffemodel'}: " in str(error.value)
    assert message in str(error.value)
    with pytest.raises(OracleError):
        caffe.describe(write(PROTOTXT), tmp_path / "net.caffemodel")


def test_all_missing_layers_at_once(tmp_path: Path) -> None:
    fields = CONV % "weight_filler { type: 'xavier' }"
    text = (
        data(1, 2, 9, 8)
        + layer("Convolution", "data", "a", fields)
        + layer("Convolution", "a", "b", fields)
        + layer("BatchNorm", "b", "c")
        + layer("PReLU", "c", "d", "prelu_param { filler { type: 'gaussian' std: 1 } }")
    )
    blobs = [numbers(3, 2, 3, 2), numbers(3)]
    with pytest.raises(WeightsError) as error:
        bound(text, tmp_path, {"a": blobs})
    assert str(error.value).splitlines()[1:] == [
        "  layer 'b' (Convolution, line 3): weights, bias",
        "  layer 'c' (BatchNorm, line 4): mean, variance, factor",
        "  layer 'd' (PReLU, line 5): slope",
    ]


KNOWN = layer("PReLU", "data", "known")  # so that the file is this net's
KNOWN_BLOBS = {"known": [numbers(2)]}
FILLED = {
    "constant 0 is the default": (
        CONV % "weight_filler { } bias_filler { }",
        [np.zeros((3, 2, 3, 2)), np.zeros(3)],
    ),
    "constant": (
        CONV % "weight_filler { value: 0.5 } bias_filler { type: 'constant' value: -2 }",
        [np.full((3, 2, 3, 2), 0.5), np.full(3, -2)],
    ),
}


@pytest.mark.parametrize("name", FILLED)
def test_fillers_that_leave_nothing_to_chance(
    name: str, tmp_path: Path, caffe: Caffe, write: Write
) -> None:
    fields, expected = FILLED[name]
    text = data(1, 2, 9, 8) + layer("Convolution", "data", "c", fields) + KNOWN
    binding = bound(text, tmp_path, KNOWN_BLOBS)
    assert binding.notes == ("layer 'c' is not in the weights file: its fillers give it",)
    saved = caffe_saved(caffe, write(text), tmp_path)["c"]
    for role, value, theirs in zip(("weights", "bias"), expected, saved.blobs, strict=True):
        np.testing.assert_array_equal(binding.values(1)[role], value)
        np.testing.assert_array_equal(theirs, value)


def caffe_saved(
    caffe: Caffe, net: Path, folder: Path, weights: Path | None = None
) -> Mapping[str, LayerBlobs]:
    """What real Caffe has in the net's blobs after it loaded them."""
    caffe.save(net, folder / "saved.caffemodel", weights)
    return load_weights(folder / "saved.caffemodel").layers


@pytest.mark.parametrize("size", range(1, 9))
def test_bilinear_filler(size: int, tmp_path: Path, caffe: Caffe, write: Write) -> None:
    own = param("convolution_param", num_output=2, kernel_size=size, group=2, bias_term=False)
    fields = own.replace("}", "weight_filler { type: 'bilinear' } }")
    text = data(1, 2, 4, 5) + layer("Deconvolution", "data", "up", fields) + KNOWN
    theirs = caffe_saved(caffe, write(text), tmp_path)["up"].blobs[0]
    assert theirs.shape == (2, 1, size, size)
    np.testing.assert_allclose(bilinear(theirs.shape), theirs, rtol=0, atol=1e-6)
    binding = bound(text, tmp_path, KNOWN_BLOBS)
    np.testing.assert_allclose(binding.values(1)["weights"], theirs, rtol=0, atol=1e-6)


SHARED = (
    data(1, 4)
    + layer("InnerProduct", "data", "one", "param { name: 'w' } inner_product_param { %s }")
    + layer("InnerProduct", "one", "two", "param { name: 'w' } inner_product_param { %s }")
    + layer("InnerProduct", "two", "three", "param { name: 'w' } inner_product_param { %s }")
).replace("%s", "num_output: 4 bias_term: false")


@pytest.mark.parametrize(
    "order", [("one", "two", "three"), ("three", "one"), ("two",), ("three", "two", "one")], ids=str
)
def test_of_shared_blobs_the_last_in_the_file_counts(
    order: tuple[str, ...], tmp_path: Path, caffe: Caffe, write: Write
) -> None:
    stored = {name: [numbers(4, 4, seed=i)] for i, name in enumerate(order)}
    binding = bound(SHARED, tmp_path, stored)
    last = stored[order[-1]][0]
    net, inputs = write(SHARED), numbers(1, 4, seed=9)
    run = caffe.run(net, tmp_path / "net.caffemodel", {"data": inputs})
    np.testing.assert_allclose(
        run.layer("three").arrays[0], inputs @ last.T @ last.T @ last.T, rtol=1e-5, atol=1e-5
    )
    for index in (1, 2, 3):
        np.testing.assert_array_equal(binding.values(index)["weights"], last)
    assert binding.notes == ()


def test_shared_blobs_that_hdf5_leaves_out(tmp_path: Path, caffe: Caffe, write: Write) -> None:
    weights = numbers(4, 4)
    path = tmp_path / "net.caffemodel.h5"
    caffe.save(write(SHARED), path, blobs={"one": [weights]})
    binding = bind(planned(SHARED), caffe_hdf5.read(path))
    for index in (1, 2, 3):
        np.testing.assert_array_equal(binding.values(index)["weights"], weights)


def test_shared_blobs_of_another_shape(tmp_path: Path, caffe: Caffe, write: Write) -> None:
    """PERMISSIVE sharing: the same numbers in the same order under another shape."""
    fields = "param { name: 'w' share_mode: PERMISSIVE } inner_product_param { %s }"
    own = "num_output: 4 bias_term: false"
    text = (
        data(1, 6)
        + layer("InnerProduct", "data", "one", fields % own)
        + layer("InnerProduct", "data", "two", fields % f"{own} transpose: true")
    )
    weights = numbers(6, 4)
    binding = bound(text, tmp_path, {"two": [weights]})
    np.testing.assert_array_equal(binding.values(1)["weights"], weights.reshape(4, 6))
    np.testing.assert_array_equal(binding.values(2)["weights"], weights)
    inputs = numbers(1, 6, seed=9)
    run = caffe.run(write(text), tmp_path / "net.caffemodel", {"data": inputs})
    expected = inputs @ binding.values(1)["weights"].T
    np.testing.assert_allclose(run.layer("one").arrays[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", [0.0, 1.0, 2.5, 999.98236, -3.0])
def test_statistics_are_divided_by_their_factor(
    factor: float, tmp_path: Path, caffe: Caffe, write: Write
) -> None:
    text = data(2, 3, 4, 5) + layer("BatchNorm", "data", "y")
    sign = -1 if factor < 0 else 1
    blobs = [numbers(3), sign * np.abs(numbers(3, seed=1)) * 100, np.array([factor], np.float32)]
    values = bound(text, tmp_path, {"y": blobs}).values(1)
    assert set(values) == {"mean", "variance"}
    divided = [blob / factor if factor else np.zeros(3) for blob in blobs[:2]]
    np.testing.assert_allclose(values["mean"], divided[0], rtol=1e-6)
    np.testing.assert_allclose(values["variance"], divided[1], rtol=1e-6)
    inputs = numbers(2, 3, 4, 5, seed=2)
    run = caffe.run(write(text), tmp_path / "net.caffemodel", {"data": inputs})
    mean, variance = (values[role][:, None, None] for role in ("mean", "variance"))
    expected = (inputs - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(run.layer("y").arrays[0], expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_net(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="none of its layers is in the net"):
        bound(PROTOTXT, tmp_path, {"other": [numbers(2)]})


def test_values_are_views_of_the_file(tmp_path: Path) -> None:
    binding = bound(PROTOTXT, tmp_path, {"c": [numbers(3, 2, 3, 2), numbers(3)]})
    weights = binding.values(1)["weights"]
    assert not weights.flags.owndata and not weights.flags.writeable
