"""Keras's HDF5 files, whole models and weights, of all its generations."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_files import (
    expect_equal,
    expect_refusal,
    many_kinds,
    own,
    randomised,
)
from tfcaffe.variables.files import open_variables
from tfcaffe.variables.keras_config import Ordering


@pytest.mark.parametrize("weights", [False, True], ids=["model", "weights"])
def test_old_hdf5_of_keras_3(weights: bool, tmp_path: Path) -> None:
    from keras.src.legacy.saving import legacy_h5_format

    model = randomised(many_kinds)
    path = tmp_path / "m.h5"
    if weights:
        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
    else:
        model.save(path)
    found = open_variables(path)
    assert found.kind == "a Keras HDF5 file"
    expect_equal(own(found), model)


def test_tf_keras(tmp_path: Path) -> None:
    """Keras 2 as a package, where it is installed: a Sequential is no scope there."""
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    inputs = tf_keras.Input((8, 6, 3))
    x = layers.Flatten()(layers.SeparableConv2D(5, 3)(layers.Conv2D(4, 3, name="c")(inputs)))
    x = tf_keras.Sequential([layers.Dense(4, name="d"), layers.Dense(3)], name="chain")(x)
    model = tf_keras.Model(inputs, x)
    for name in ("m.h5", "m.keras", "m.ckpt", "saved"):
        save = model.save_weights if name == "m.ckpt" else model.save
        save(str(tmp_path / name))
        found = own(open_variables(tmp_path / name))
        assert list(found) == [variable.name.removesuffix(":0") for variable in model.weights]
        for variable, array in zip(model.weights, found.values(), strict=True):
            np.testing.assert_array_equal(array, variable.numpy())


def legacy(path: Path, layers: dict[str, dict[str, Any]], **attributes: Any) -> Path:
    """Weights as Keras 1 and 2 wrote them (source: keras/engine/saving.py of 2.2)."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if "model_config" in attributes else file
        file.attrs.update(attributes)
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, arrays in layers.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                group.create_dataset(name, data=array)
    return path


def test_keras_1_under_theano(tmp_path: Path, rng: np.random.Generator) -> None:
    kernel = rng.standard_normal((4, 3, 5, 2)).astype(np.float32)
    config = {"config": [{"config": {"name": "conv", "dim_ordering": "th"}}]}
    path = legacy(
        tmp_path / "m.h5",
        {
            "convolution2d_1": {
                "convolution2d_1_W": kernel,
                "convolution2d_1_b": kernel[:, 0, 0, 0],
            },
            "flatten_1": {},
            "dense_1": {"param_0": kernel[0, 0]},
        },
        model_config=json.dumps(config),
        backend="theano",
    )
    found = open_variables(path)
    assert list(found.entries) == ["convolution2d_1/W", "convolution2d_1/b", "dense_1/param_0"]
    np.testing.assert_array_equal(found.entries["convolution2d_1/W"].read(), kernel)
    assert found.ordering == Ordering(flat=True, kernels=True, turned=True)
    assert any("reverse: [H, W]" in note for note in found.notes)
    assert any("layout: OIHW" in note for note in found.notes)


def test_names_of_keras_2(tmp_path: Path) -> None:
    path = legacy(
        tmp_path / "m.h5",
        {
            "conv2d_1": {"conv2d_1_1/kernel:0": np.ones((1, 2))},
            "a": {"fc/kernel:0": np.ones(2)},
            "b": {"fc/kernel:0": np.zeros(2)},
            "side/conv": {"side/conv/kernel": np.ones(3, np.float16)},
        },
    )
    found = open_variables(path)
    assert list(found.entries) == [
        "conv2d_1/kernel",
        "a/fc/kernel",
        "b/fc/kernel",
        "side/conv/kernel",
    ]
    assert found.entries["b/fc/kernel"].floats().tolist() == [0, 0]
    assert any("side/conv/kernel: float16" in note for note in found.notes)


def test_lists_of_names_in_pieces(tmp_path: Path) -> None:
    path = legacy(tmp_path / "m.h5", {f"d{i}": {f"d{i}/w:0": np.ones(1)} for i in range(4)})
    with h5py.File(path, "a") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    assert list(open_variables(path).entries) == ["d0/w", "d1/w", "d2/w", "d3/w"]


def test_hdf5_by_layer_and_role(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["conv/weights"] = np.ones((2, 3))
        file["conv/bias"] = np.ones(3)
    assert {*open_variables(tmp_path / "m.h5").entries} == {"conv/bias", "conv/weights"}


def test_links_are_refused(tmp_path: Path) -> None:
    for i, link in enumerate([h5py.ExternalLink("o.h5", "/x"), h5py.SoftLink("/a")]):
        path = legacy(tmp_path / f"{i}.h5", {"a": {"a/kernel:0": np.ones(2)}})
        with h5py.File(path, "a") as file:
            file["a/a/bias:0"] = link
        expect_refusal(path, "is a link")


def test_numbers_elsewhere_and_huge_claims(tmp_path: Path) -> None:
    for name, options in {
        "elsewhere": {"shape": (3,), "external": [("o.bin", 0, 12)]},
        "huge": {"shape": (1 << 40,)},
        "huge, in chunks": {"shape": (1 << 40,), "chunks": (1024,), "compression": "gzip"},
    }.items():
        path = legacy(tmp_path / f"{name}.h5", {"a": {}})
        with h5py.File(path, "a") as file:
            file["a"].attrs["weight_names"] = ["kernel:0"]
            file.create_dataset("a/kernel:0", dtype="f4", **options)
        expect_refusal(path, r"a/kernel:0: (lies in another file|claims \d+ bytes)")


def test_what_is_listed_but_missing(tmp_path: Path) -> None:
    path = legacy(tmp_path / "m.h5", {"a": {"a/kernel:0": np.ones(2)}})
    with h5py.File(path, "a") as file:
        del file["a/a/kernel:0"]
    expect_refusal(path, r"layer 'a' lists 'a/kernel:0'")
    with h5py.File(path, "a") as file:
        del file["a"]
    expect_refusal(path, "lists a layer 'a'")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("keras_dncnn/DnCNN_sigma25.h5", 78),
        ("keras_xception/fer2013_big_XCEPTION.54-0.66.hdf5", 46),
    ],
)
def test_corpus(corpus: Path, name: str, count: int) -> None:
    path = corpus / "models" / name
    if not path.is_file():
        pytest.skip("not in this corpus")
    found = open_variables(path)
    entries = own(found)
    assert len(entries) == count
    with h5py.File(path) as file:
        datasets: list[Any] = []
        root = file.get("model_weights", file)
        root.visititems(lambda _, item: datasets.append(item))
        stored = [item[()] for item in datasets if isinstance(item, h5py.Dataset)]
    key = np.ndarray.tobytes
    assert sorted(map(key, entries.values())) == sorted(map(key, stored))
    assert all(name.count("/") == 1 and ":" not in name for name in entries)
