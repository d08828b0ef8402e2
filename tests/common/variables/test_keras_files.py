"""Keras's files: `.keras`, `.weights.h5`; names as the model itself has them."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_files import (
    chains_in_chains,
    eleven_layers,
    expect_equal,
    expect_refusal,
    many_kinds,
    own,
    randomised,
    same_names,
    sequential,
)
from tfcaffe.errors import UsageError
from tfcaffe.variables.files import open_variables
from tfcaffe.variables.keras_config import Ordering

MODELS: dict[str, Callable[[], Any]] = {
    "many kinds": many_kinds,
    "sequential": sequential,
    "chains in chains": chains_in_chains,
    "order": eleven_layers,
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_names_are_keras_own(make: Callable[[], Any], tmp_path: Path) -> None:
    model = randomised(make)
    model.save(tmp_path / "m.keras")
    found = open_variables(tmp_path / "m.keras")
    assert found.kind == "a Keras model"
    expect_equal(own(found), model)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_weights_alone_are_named_by_the_model(make: Callable[[], Any], tmp_path: Path) -> None:
    randomised(make).save(tmp_path / "m.keras")
    randomised(make).save_weights(tmp_path / "m.weights.h5")  # the same numbers
    like = own(open_variables(tmp_path / "m.weights.h5", like=tmp_path / "m.keras"))
    named = own(open_variables(tmp_path / "m.keras"))
    assert list(like) == list(named)
    for name, array in named.items():
        np.testing.assert_array_equal(like[name], array)
    bare = open_variables(tmp_path / "m.weights.h5")
    assert any("--like" in note for note in bare.notes)
    assert all(name.rpartition("/")[2].isdecimal() for name in own(bare))


def test_weights_without_names_of_layers(tmp_path: Path) -> None:
    """Keras before 3.7 wrote no attribute: the config's classes, counted, tell the layers."""
    model = randomised(many_kinds)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        groups: list[Any] = []
        file.visititems(lambda _, item: groups.append(item))
        for group in groups:
            if "name" in group.attrs:
                del group.attrs["name"]
    found = own(open_variables(tmp_path / "m.weights.h5", like=tmp_path / "m.keras"))
    for name in ("sep/bias", "bn/beta", "bn2/gamma", "chain/fc/kernel", "deep/kernel"):
        expected = next(v for v in model.variables if v.path == name)
        np.testing.assert_array_equal(found[name], expected.numpy())
    bare = own(open_variables(tmp_path / "m.weights.h5"))
    assert {"separable_conv2d/2", "batch_normalization_1/0"} <= bare.keys()


def test_one_name_in_two_models(tmp_path: Path) -> None:
    model = randomised(same_names)
    model.save(tmp_path / "m.keras")
    found = own(open_variables(tmp_path / "m.keras"))
    names = [
        f"outer/{inner}/fc/{role}" for inner in ("left", "right") for role in ("kernel", "bias")
    ]
    assert list(found) == names
    for name, variable in zip(names, model.variables, strict=True):
        np.testing.assert_array_equal(found[name], variable.numpy())


def test_a_layer_of_an_unknown_class_is_numbered(tmp_path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable("tests")
    class Mine(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.factor = self.add_weight(shape=(shape[-1],), name="factor")

        def call(self, x: Any) -> Any:
            return x * self.factor

    inputs = keras.Input((3,))
    keras.Model(inputs, Mine(name="mine")(inputs)).save(tmp_path / "m.keras")
    assert list(own(open_variables(tmp_path / "m.keras"))) == ["mine/0"]


def test_optimizers_and_seeds_are_not_the_model(tmp_path: Path) -> None:
    model = many_kinds()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((2, 7, 6, 3)), np.ones((2, 2)), verbose=0)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    for name in ("m.keras", "m.h5"):
        found = open_variables(tmp_path / name)
        roles = [v.role for v in found.entries.values()]
        assert set(roles) == {"", "slot", "counter"}
        expect_equal(own(found), model)


@pytest.mark.parametrize("suffix", ["m.keras", "m.h5"])
def test_a_model_of_channels_first(tmp_path: Path, suffix: str) -> None:
    """A Flatten that knows of it goes over H, W, C as usual."""
    import keras

    for about, flat in (("channels_first", False), ("channels_last", True)):
        inputs = keras.Input((3, 6, 5))
        x = keras.layers.MaxPooling2D(data_format="channels_first")(inputs)
        x = keras.layers.Flatten(data_format=about)(x)
        keras.Model(inputs, keras.layers.Dense(2)(x)).save(tmp_path / suffix)
        assert open_variables(tmp_path / suffix).ordering == Ordering(flat)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m.h5"])
def test_cut_off(name: str, tmp_path: Path) -> None:
    model = randomised(sequential)
    path = tmp_path / name
    (model.save_weights if name == "m.weights.h5" else model.save)(path)
    path.write_bytes(path.read_bytes()[:-700])
    expect_refusal(path, "(damaged|cut off|lies beyond)")


def test_a_flipped_bit_in_an_archive(tmp_path: Path) -> None:
    randomised(sequential).save(tmp_path / "m.keras")
    found = open_variables(tmp_path / "m.keras")
    array = next(iter(found.entries.values())).read().tobytes()
    whole = bytearray((tmp_path / "m.keras").read_bytes())
    whole[whole.index(array)] ^= 1
    (tmp_path / "m.keras").write_bytes(whole)
    expect_refusal(tmp_path / "m.keras", "checksum")


def test_a_packed_archive(tmp_path: Path) -> None:
    model = randomised(sequential)
    model.save(tmp_path / "m.keras")
    with (
        zipfile.ZipFile(tmp_path / "m.keras") as old,
        zipfile.ZipFile(tmp_path / "packed.keras", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    expect_equal(own(open_variables(tmp_path / "packed.keras")), model)


def test_like_of_another_model(tmp_path: Path) -> None:
    sequential().save(tmp_path / "other.keras")
    eleven_layers().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(UsageError, match="another model"):
        open_variables(tmp_path / "m.weights.h5", like=tmp_path / "other.keras")
    with pytest.raises(UsageError, match=r"is a Keras weights file; .* named by a \.keras"):
        open_variables(tmp_path / "m.weights.h5", like=tmp_path / "m.weights.h5")
    with pytest.raises(UsageError, match=r"gone\.keras"):
        open_variables(tmp_path / "m.weights.h5", like=tmp_path / "gone.keras")


@pytest.mark.parametrize("config", [b"[1", b"[]", b"[" * 200_000])
def test_a_config_that_is_none(config: bytes, tmp_path: Path) -> None:
    randomised(sequential).save_weights(tmp_path / "m.weights.h5")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.write(tmp_path / "m.weights.h5", "model.weights.h5")
        archive.writestr("config.json", config)
    expect_refusal(tmp_path / "m.keras", r"config\.json")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_epsilons_of_a_model(tmp_path: Path, suffix: str) -> None:
    import keras

    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.layers.BatchNormalization(name="deep")], name="inner")
    x = inner(keras.layers.BatchNormalization(epsilon=1e-4, name="first")(inputs))
    path = tmp_path / f"model{suffix}"
    keras.Model(inputs, x).save(path)
    assert open_variables(path).epsilons == {"first": 1e-4, "deep": 1e-3}
    weights = tmp_path / "model.weights.h5"
    keras.Model(inputs, x).save_weights(weights)
    assert open_variables(weights).epsilons == {}
