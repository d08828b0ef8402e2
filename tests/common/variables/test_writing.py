"""Files of variables as they are written: TensorFlow, Keras and NumPy take them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.output import replacing_all
from tfcaffe.variables.bundle import BundleWriter
from tfcaffe.variables.files import files_of, open_variables, write_variables
from tfcaffe.variables.table import crc32c

RNG = np.random.default_rng(3)
NUMBERS = {
    "conv/weights": RNG.standard_normal((3, 2, 2, 5)).astype(np.float32),
    "conv/biases": RNG.standard_normal(5).astype(np.float32),
    "fc10/weights": np.asfortranarray(RNG.standard_normal((7, 4)).astype(np.float32)),
    "fc2/weights": RNG.standard_normal((4, 7)).astype(np.float32)[:, ::2],
    "scalar": np.asarray(np.float32(3)),
    "nothing": np.zeros((0, 2), np.float32),
}


@pytest.mark.parametrize("name", ["m.npz", "m.ckpt"])
def test_round_trip(name: str, tmp_path: Path) -> None:
    assert write_variables(tmp_path / name, NUMBERS.items()) == ()
    assert sorted(files_of(tmp_path / name)) == sorted(tmp_path.iterdir())
    found = open_variables(tmp_path / name).entries
    assert found.keys() == NUMBERS.keys()
    for key, array in NUMBERS.items():
        assert found[key].read().tobytes() == array.tobytes()
        assert found[key].shape == array.shape


def test_numpy_loads_it(tmp_path: Path) -> None:
    write_variables(tmp_path / "m.npz", NUMBERS.items())
    with np.load(tmp_path / "m.npz") as arrays:
        assert arrays.files == list(NUMBERS)
        for name in arrays.files:
            np.testing.assert_array_equal(arrays[name], NUMBERS[name])


def test_saver_restores_it(tmp_path: Path) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    path = tmp_path / "m.ckpt"
    with replacing_all(files_of(path)) as places:
        write_variables(tmp_path / "draft.ckpt", NUMBERS.items())
        for made, place in zip(files_of(tmp_path / "draft.ckpt"), places, strict=True):
            made.rename(place)
    with tf.Graph().as_default(), v1.Session() as session:
        for name, array in NUMBERS.items():
            v1.get_variable(name, array.shape)
        v1.train.Saver().restore(session, str(path))
        for variable in v1.global_variables():
            np.testing.assert_array_equal(session.run(variable), NUMBERS[variable.op.name])


def test_data_are_those_that_tensorflow_writes(tmp_path: Path) -> None:
    import tensorflow as tf

    numbers = {
        **{f"scope{i % 7}/conv{i}/kernel": RNG.standard_normal((i % 5, 3)) for i in range(3000)},
        **NUMBERS,
        "half": np.ones((3, 4), np.float16),
        "brain": np.ones((3, 4), ml_dtypes.bfloat16),
        "whole": np.arange(300),
        "truth": np.array([True, False]),
        "big": RNG.standard_normal((700, 333)).astype(np.float32),
        "text": np.array([[b"abc", b""], [b"x" * 300, b"y"]], object),
        "text0": np.array(b"q" * 5000, object),
    }
    names = sorted(numbers)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "theirs"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(numbers[name]) for name in names],
    )
    with BundleWriter(tmp_path / "ours") as writer:
        for name in names:
            writer.add(name, numbers[name])
        writer.finish()
    data = ".data-00000-of-00001"
    assert (tmp_path / f"ours{data}").read_bytes() == (tmp_path / f"theirs{data}").read_bytes()
    theirs, ours = (tf.train.load_checkpoint(str(tmp_path / name)) for name in ("theirs", "ours"))
    assert ours.get_variable_to_shape_map() == theirs.get_variable_to_shape_map()
    assert ours.get_variable_to_dtype_map() == theirs.get_variable_to_dtype_map()
    for name in names:
        np.testing.assert_array_equal(ours.get_tensor(name), numbers[name])


def test_crc32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720
    assert crc32c(bytes(32)) == 0x8A9136AA
    data = RNG.integers(256, size=5003, dtype=np.uint8)
    assert crc32c(data[1::2].copy(), data[:0], b"x") == crc32c(data[1::2].tobytes() + b"x")


def tf2_objects(value: float) -> Any:
    import tensorflow as tf

    net = tf.train.Checkpoint(
        kernel=tf.Variable(np.full((2, 3), value, np.float32), name="conv/kernel"),
        bias=tf.Variable(np.full(3, value, np.float32), name="conv/bias"),
        wide=tf.Variable([value], dtype=tf.float64, name="wide"),
    )
    return tf.train.Checkpoint(net=net, step=tf.Variable(int(value), name="step"))


def test_objects_restore_it(tmp_path: Path) -> None:
    like = tf2_objects(1.0).save(str(tmp_path / "old"))
    kernel = RNG.standard_normal((2, 3)).astype(np.float32)
    given = {"wide": np.float32([0.25]), "conv/kernel": kernel}
    with pytest.raises(UsageError, match="conv/bias get no numbers"):
        write_variables(tmp_path / "m.ckpt", given.items(), like)
    notes = write_variables(tmp_path / "m.ckpt", given.items(), like, keep=True)
    assert any("conv/bias: kept from" in note for note in notes)
    assert any("save_counter" in note and "of training" in note for note in notes)
    root = tf2_objects(5.0)
    root.restore(str(tmp_path / "m.ckpt")).assert_consumed()
    np.testing.assert_array_equal(root.net.kernel, kernel)
    assert root.net.bias.numpy().tolist() == [1, 1, 1]
    assert root.net.wide.numpy().tolist() == [0.25]
    assert root.step.numpy() == 1


def test_a_saver_checkpoint_like_an_old_one(tmp_path: Path) -> None:
    old = {"w": np.ones((2, 3), np.float32), "w/Momentum": np.ones((2, 3), np.float32)}
    write_variables(tmp_path / "old.ckpt", {**old, "global_step": np.asarray(7)}.items())
    write_variables(tmp_path / "m.ckpt", [("w", 2 * old["w"])], tmp_path / "old.ckpt")
    found = {n: v.read() for n, v in open_variables(tmp_path / "m.ckpt").entries.items()}
    np.testing.assert_array_equal(found["w"], 2 * old["w"])
    np.testing.assert_array_equal(found["w/Momentum"], old["w/Momentum"])
    assert (found["global_step"], found["global_step"].dtype) == (7, np.int64)


def network(seed: int) -> Any:
    import keras
    from keras import layers

    keras.utils.clear_session()
    inputs = keras.Input((6, 5, 3))
    x = layers.SeparableConv2D(4, 3, name="sep")(inputs)
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 1, name="one")(x))
    x = layers.Conv2D(4, 1, name="two")(x)
    inner = keras.Sequential([layers.Flatten(), layers.Dense(3, name="fc")], name="chain")
    model = keras.Model(inputs, inner(x))
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(rng.standard_normal(variable.shape))
    return model


def saved_archive(model: Any, folder: Path) -> Path:
    model.save(folder / "old.keras")
    return folder / "old.keras"


def saved_weights(model: Any, folder: Path) -> Path:
    model.save_weights(folder / "old.weights.h5")
    return folder / "old.weights.h5"


@pytest.mark.parametrize("save", [saved_archive, saved_weights])
def test_keras_loads_it(save: Callable[[Any, Path], Path], tmp_path: Path) -> None:
    like = save(network(1), tmp_path)
    new = network(2)
    path = tmp_path / "m.weights.h5"
    names = {v.key: n for n, v in open_variables(like).entries.items()}
    paths = {v.key: n for n, v in open_variables(saved_archive(new, tmp_path)).entries.items()}
    numbers = {variable.path: variable.numpy() for variable in new.variables}
    items = {names[key]: numbers[name] for key, name in paths.items()}
    if save is saved_archive:  # written over above
        like = save(network(1), tmp_path)
    write_variables(path, items.items(), like)
    model = network(3)
    model.load_weights(path)
    for variable in model.variables:
        np.testing.assert_array_equal(variable.numpy(), numbers[variable.path])
    x = RNG.standard_normal((2, 6, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(x, verbose=0), new.predict(x, verbose=0))


def test_what_is_not_given_is_kept(tmp_path: Path) -> None:
    model = network(1)
    model.compile("adam", "mse")
    model.fit(np.ones((2, 6, 5, 3)), np.ones((2, 3)), verbose=0)
    like = saved_archive(model, tmp_path)
    kernel = RNG.standard_normal((1, 1, 4, 4)).astype(np.float32)
    given = [("two/kernel", kernel)]
    with pytest.raises(UsageError, match="get no numbers"):
        write_variables(tmp_path / "m.weights.h5", given, like)
    (tmp_path / "m.weights.h5").unlink()
    notes = write_variables(tmp_path / "m.weights.h5", given, like, keep=True)
    assert len(notes) == 2
    again = network(2)
    again.compile("adam", "mse")
    again.optimizer.build(again.trainable_variables)
    again.load_weights(tmp_path / "m.weights.h5")
    for variable, old in zip(again.variables, model.variables, strict=True):
        expected = kernel if variable.path == "two/kernel" else old.numpy()
        np.testing.assert_array_equal(variable.numpy(), expected)
    assert again.optimizer.iterations.numpy() == 1
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert file["layers/conv2d_1/vars"].attrs["name"] == "two"


def test_a_keras_model_restores_a_checkpoint_of_objects(tmp_path: Path) -> None:
    import tensorflow as tf

    model = network(1)
    model.compile("adam", "mse")
    model.fit(np.ones((2, 6, 5, 3)), np.ones((2, 3)), verbose=0)
    like = tf.train.Checkpoint(model=model).save(str(tmp_path / "old"))
    numbers = {variable.path: variable.numpy() for variable in network(2).variables}
    write_variables(tmp_path / "m.ckpt", numbers.items(), like)
    restored = tf.train.Checkpoint(model=model).restore(str(tmp_path / "m.ckpt"))
    restored.assert_existing_objects_matched()
    for variable in model.variables:
        np.testing.assert_array_equal(variable.numpy(), numbers[variable.path])
    assert model.optimizer.iterations.numpy() == 1


def test_quantised_variables_are_carried_over(tmp_path: Path) -> None:
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "old"),
        tensor_names=["bias", "kernel"],
        shape_and_slices=["", ""],
        tensors=[tf.constant([1.0]), tf.bitcast(tf.constant([1, -2], tf.int8), tf.qint8)],
    )
    given = [("bias", np.float32([4]))]
    write_variables(tmp_path / "m.ckpt", given, tmp_path / "old", keep=True)
    reader = tf.train.load_checkpoint(str(tmp_path / "m.ckpt"))
    assert reader.get_variable_to_dtype_map() == {"bias": tf.float32, "kernel": tf.qint8}
    assert reader.get_tensor("kernel").astype(np.int8).tolist() == [1, -2]
    assert reader.get_tensor("bias").tolist() == [4]


MISFITS = {
    "unknown": ([("one/kernal", np.ones((1, 1, 4, 4)))], "one/kernal.*nearest are one/kernel"),
    "shape": ([("one/kernel", np.ones((4, 4)))], r"has shape \(1, 1, 4, 4\)"),
    "twice": ([("one/bias", np.ones(4))] * 2, "given twice"),
}


@pytest.mark.parametrize(("items", "match"), MISFITS.values(), ids=MISFITS.keys())
def test_names_and_shapes_must_be_those_of_like(items: Any, match: str, tmp_path: Path) -> None:
    like = saved_archive(network(1), tmp_path)
    with pytest.raises(UsageError, match=match):
        write_variables(tmp_path / "m.weights.h5", items, like, keep=True)


def test_a_type_that_cannot_hold_the_numbers(tmp_path: Path) -> None:
    write_variables(tmp_path / "old.npz", [("a", np.ones(2, np.float16))])
    write_variables(tmp_path / "m.npz", [("a", np.float32([0.5, 2]))], tmp_path / "old.npz")
    assert open_variables(tmp_path / "m.npz").entries["a"].dtype == "float16"
    with pytest.raises(UnsupportedError, match=r"'a'.*float16"):
        write_variables(tmp_path / "n.npz", [("a", np.float32([0.1, 2]))], tmp_path / "old.npz")


@pytest.mark.parametrize("name", ["m.npz", "m.ckpt"])
def test_a_name_twice(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'a'.*twice"):
        write_variables(tmp_path / name, [("a", np.ones(1))] * 2)


def test_what_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.ckpt, \.npz, \.weights\.h5"):
        write_variables(tmp_path / "m.h5", [])
    with pytest.raises(UsageError, match=r"--like MODEL\.keras"):
        write_variables(tmp_path / "m.weights.h5", [])
    write_variables(tmp_path / "m.npz", NUMBERS.items())
    for name in ("m.weights.h5", "m.ckpt"):
        with pytest.raises(UsageError, match="--like"):
            write_variables(tmp_path / name, [], tmp_path / "m.npz")
