"""Keras's files: `.keras`, `.weights.h5`, old HDF5; names as the model itself has them."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.variables.base import Variables
from tfcaffe.variables.files import open_variables
from tfcaffe.variables.keras_config import Ordering


def many_kinds() -> Any:
    """Layers of many kinds, two of one kind, wrappers, recurrence, and models in the model."""
    import keras
    from keras import layers

    inputs = keras.Input((7, 6, 3))
    x = layers.SeparableConv2D(4, 3, name="sep")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", name="dw")(x)
    x = layers.BatchNormalization(scale=False, name="bn")(x)
    x = layers.BatchNormalization(center=False, name="bn2")(x)
    x = layers.Conv2D(4, 1, use_bias=False, name="one")(x)
    x = layers.Conv2DTranspose(3, 2, name="up")(x)
    x = layers.PReLU(name="prelu")(x) + 1.0
    x = layers.TimeDistributed(layers.Conv1D(2, 2, name="inner"), name="td")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    x = layers.Reshape((-1, 4))(x)
    x = layers.Bidirectional(layers.LSTM(3), name="both")(x)
    deep = keras.Input((6,))
    x = keras.Model(deep, layers.Dense(5, name="deep")(deep), name="functional")(x)
    x = keras.Sequential([layers.Dense(4, name="fc"), layers.Dense(2)], name="chain")(x)
    return keras.Model(inputs, x, name="outer")


def sequential() -> Any:
    import keras
    from keras import layers

    kinds = [layers.Conv2D(3, 2), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(4)]
    return keras.Sequential([keras.Input((6, 5, 2)), *kinds], name="plain")


def chains_in_chains() -> Any:
    """Sequentials with inputs of their own within others: each is a scope alone."""
    import keras

    def chain(name: str, *kinds: Any) -> Any:
        return keras.Sequential([keras.Input((6,)), *kinds], name=name)

    def fc(name: str) -> Any:
        return keras.layers.Dense(6, name=name)

    return chain("outer", chain("mid", chain("inner", fc("x")), fc("w")), fc("y"))


def eleven_layers() -> Any:
    import keras

    inputs = x = keras.Input((3,))
    for i in range(11):
        x = keras.layers.Dense(3, name=f"layer{10 - i}")(x)
    return keras.Model(inputs, x)


def same_names() -> Any:
    """Two nested models with a layer of one name: told apart by the models' names."""
    import keras

    inputs = x = keras.Input((3,))
    for name in ("left", "right"):
        inner = keras.Input((3,))
        x = keras.Model(inner, keras.layers.Dense(3, name="fc")(inner), name=name)(x)
    return keras.Model(inputs, x, name="outer")


MODELS: dict[str, Callable[[], Any]] = {
    "many kinds": many_kinds,
    "sequential": sequential,
    "chains in chains": chains_in_chains,
    "order": eleven_layers,
}


def randomised(make: Callable[[], Any]) -> Any:
    model = make()
    rng = np.random.default_rng(5)
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(rng.standard_normal(variable.shape))
    return model


def own(variables: Variables) -> dict[str, Any]:
    return {name: v.read() for name, v in variables.entries.items() if not v.role}


def expect_equal(found: dict[str, Any], model: Any) -> None:
    expected = {v.path: v.numpy() for v in model.variables if "seed_generator" not in v.path}
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


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


def expect_refusal(path: Path, match: str, error: type[Exception] = FileFormatError) -> None:
    with pytest.raises(error, match=match):
        for variable in open_variables(path).entries.values():
            variable.read()


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
