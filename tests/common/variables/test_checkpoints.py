"""TensorFlow's checkpoints, as Saver and tf.train.Checkpoint write them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.errors import FileFormatError, UnsupportedError, UsageError
from tfcaffe.variables.files import open_variables, write_variables
from tfcaffe.variables.roles import with_averages, with_prefix

KERNEL = np.random.default_rng(1).standard_normal((3, 2, 2, 4)).astype(np.float32)
SHADOW = KERNEL + 1


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small graph, trained once and saved in four forms."""
    import tensorflow as tf

    v1, folder = tf.compat.v1, tmp_path_factory.mktemp("saved")
    for name in ("two", "shards", "old", "olds"):
        (folder / name).mkdir()
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("net"):
            kernel = v1.get_variable("conv/kernel", initializer=KERNEL)
            v1.get_variable("conv/bias", initializer=np.float32([1, 2, 3, 4]))
        with v1.variable_scope("net/parts", partitioner=v1.fixed_size_partitioner(2)):
            parts = v1.get_variable("kernel", [6, 4], initializer=v1.random_normal_initializer())
        v1.get_variable("wide", initializer=np.float64([1.5, -2]))
        v1.get_variable("brain", initializer=tf.constant([1.5, -2], tf.bfloat16))
        v1.get_variable("text", initializer=tf.constant("some text"))
        step = v1.train.get_or_create_global_step()
        with v1.variable_scope("train"):
            optimizer = v1.train.MomentumOptimizer(0.0, 0.9)
            train = optimizer.minimize(tf.reduce_sum(kernel), step)
        averages = v1.train.ExponentialMovingAverage(0.5)
        averages.apply([kernel])
        session.run(v1.global_variables_initializer())
        session.run(train)
        np.save(folder / "parts.npy", session.run(tf.convert_to_tensor(parts)))
        session.run(averages.average(kernel).assign(SHADOW))
        plain = [v for v in v1.global_variables() if v.name not in ("brain:0",)]
        version = v1.train.SaverDef.V1
        v1.train.Saver().save(session, str(folder / "two/model.ckpt"), global_step=7)
        v1.train.Saver(sharded=True).save(session, str(folder / "shards/model"))
        v1.train.Saver(plain, write_version=version).save(session, str(folder / "old/model.ckpt"))
        v1.train.Saver(plain, write_version=version, sharded=True).save(
            session, str(folder / "olds/model.ckpt")
        )
    return folder


FORMS = ("two/model.ckpt-7", "shards/model", "old/model.ckpt", "olds/model.ckpt")


@pytest.mark.parametrize("form", FORMS)
def test_names_numbers_and_roles(saved: Path, form: str) -> None:
    found = open_variables(saved / form)
    entries = found.entries
    assert found.kind == "a TF1 checkpoint"
    assert {n: v.role for n, v in entries.items() if n != "brain"} == {
        "global_step": "counter",
        "net/conv/bias": "",
        "net/conv/kernel": "",
        "net/conv/kernel/ExponentialMovingAverage": "average",
        "net/parts/kernel": "",
        "train/net/conv/kernel/Momentum": "slot",
        "wide": "",
    }
    assert entries["train/net/conv/kernel/Momentum"].base == "net/conv/kernel"
    np.testing.assert_array_equal(entries["net/conv/kernel"].floats(), KERNEL)
    np.testing.assert_array_equal(entries["net/parts/kernel"].read(), np.load(saved / "parts.npy"))
    assert entries["wide"].dtype == "float64"
    assert any("wide: float64, converted" in note for note in found.notes)
    assert any("text: no numbers" in note for note in found.notes)


def test_bfloat16(saved: Path) -> None:
    brain = open_variables(saved / "two/model.ckpt-7").entries["brain"]
    assert brain.dtype == "bfloat16"
    assert brain.floats().tolist() == [1.5, -2]


@pytest.mark.parametrize(
    "name", ["two", "two/checkpoint", "two/model.ckpt-7.index", "two/model.ckpt-7.meta"]
)
def test_what_else_may_be_named(saved: Path, name: str) -> None:
    found = open_variables(saved / name)
    assert found.path == saved / "two/model.ckpt-7"
    assert f"the checkpoint is {found.path}" in found.notes
    assert len(found.files) == 2


def test_two_in_a_folder_are_told(saved: Path, tmp_path: Path) -> None:
    for file in (saved / "two").glob("model*"):
        for number in (1, 2):
            (tmp_path / file.name.replace("-7", f"-{number}")).write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match=r"name one.*model\.ckpt-1, model\.ckpt-2"):
        open_variables(tmp_path)
    with pytest.raises(UsageError, match=r"model\.ckpt-3.*no such.*model\.ckpt-1"):
        open_variables(tmp_path / "model.ckpt-3")


def test_averages_take_the_place_of_their_variables(saved: Path) -> None:
    found = with_averages(open_variables(saved / "two"))
    np.testing.assert_array_equal(found.entries["net/conv/kernel"].read(), SHADOW)
    assert found.entries["net/conv/bias"].read().tolist() == [1, 2, 3, 4]
    assert not [name for name in found.entries if name.endswith("Average")]
    assert any("net/conv/bias" in note and "without an average" in note for note in found.notes)
    with pytest.raises(UsageError, match="leave --ema away"):
        with_averages(found)


@pytest.mark.parametrize("prefix", ["net", "net/"])
def test_a_scope_is_left_away(saved: Path, prefix: str) -> None:
    found = with_prefix(open_variables(saved / "two"), prefix)
    assert [n for n, v in found.entries.items() if not v.role] == [
        "conv/bias",
        "conv/kernel",
        "parts/kernel",
    ]
    assert found.entries["conv/kernel/ExponentialMovingAverage"].base == "conv/kernel"
    with pytest.raises(UsageError, match="scopes are net, train"):
        with_prefix(open_variables(saved / "two"), "ne")


def test_objects_of_tf2(tmp_path: Path) -> None:
    import tensorflow as tf

    root = tf.train.Checkpoint(
        step=tf.Variable(3, name="step"),
        net=tf.train.Checkpoint(
            a=tf.Variable(KERNEL, name="conv/kernel"),
            b=tf.Variable([1.0, 2], name="bias"),
            c=tf.Variable([3.0, 4], name="bias"),
        ),
    )
    found = open_variables(root.save(str(tmp_path / "model")))
    assert found.kind == "a TF2 checkpoint"
    assert {n: v.role for n, v in found.entries.items()} == {
        "conv/kernel": "",
        "net/b": "",
        "net/c": "",
        "save_counter": "counter",
        "step": "counter",
    }
    np.testing.assert_array_equal(found.entries["conv/kernel"].read(), KERNEL)
    assert found.entries["net/c"].read().tolist() == [3, 4]
    assert "2 variables have no name" in found.notes[0]


def keras_model() -> Any:
    import keras

    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="bn", scale=False)(x)
    x = keras.layers.TimeDistributed(keras.layers.Conv1D(2, 2, name="inner"), name="td")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="fc")(keras.layers.Flatten()(x)))
    model.compile("adam", "mse")
    model.fit(np.ones((2, 6, 5, 3)), np.ones((2, 3)), verbose=0)
    return model


def test_a_keras_model_and_its_optimizer(tmp_path: Path) -> None:
    import tensorflow as tf

    model = keras_model()
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "model"))
    entries = open_variables(path).entries
    own = {name: variable for name, variable in entries.items() if not variable.role}
    assert own.keys() == {variable.path for variable in model.variables}
    for variable in model.variables:
        np.testing.assert_array_equal(own[variable.path].read(), variable.numpy())
    (counter,) = (name for name in entries if name.endswith("/iteration"))  # adam or adam_1 …
    assert entries[counter].role == "counter"
    assert entries[counter.replace("iteration", "conv_kernel_momentum")].role == "slot"


def test_a_saved_model(tmp_path: Path) -> None:
    model = keras_model()
    model.export(tmp_path / "saved", verbose=False)
    found = open_variables(tmp_path / "saved")
    assert found.kind == "a SavedModel"
    assert found.entries.keys() == {variable.path for variable in model.variables}
    for variable in model.variables:
        np.testing.assert_array_equal(found.entries[variable.path].read(), variable.numpy())
    assert open_variables(tmp_path / "saved/saved_model.pb").entries.keys() == found.entries.keys()
    (tmp_path / "saved/variables/variables.index").unlink()
    with pytest.raises(FileFormatError, match="without variables"):
        open_variables(tmp_path / "saved")


@pytest.mark.parametrize("partitioned", [True, False])
def test_a_missing_shard(partitioned: bool, saved: Path, tmp_path: Path) -> None:
    if partitioned:
        (tmp_path / "m.index").write_bytes((saved / "two/model.ckpt-7.index").read_bytes())
    else:
        write_variables(tmp_path / "m.ckpt", [("w", KERNEL)])
        (tmp_path / "m.ckpt.index").rename(tmp_path / "m.index")
    with pytest.raises(FileFormatError, match=r"m\.data-00000-of-00001 is missing"):
        open_variables(tmp_path / "m")
    (tmp_path / "m.data-00001-of-00002").write_bytes(b"x")
    with pytest.raises(FileFormatError, match=r"m\.data-00000-of-00001 is missing"):
        open_variables(tmp_path / "m")
    (tmp_path / "m.index").unlink()
    with pytest.raises(FileFormatError, match=r"m\.index is missing"):
        open_variables(tmp_path / "m.data-00001-of-00002")


def copied(saved: Path, tmp_path: Path) -> Path:
    for file in (saved / "two").glob("model*"):
        (tmp_path / file.name.replace("model.ckpt-7", "m")).write_bytes(file.read_bytes())
    return tmp_path / "m"


def test_a_damaged_index(saved: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    path = copied(saved, tmp_path)
    index = path.with_name("m.index")
    good = index.read_bytes()
    refused = 0
    for at in rng.choice(len(good), 60, replace=False):
        index.write_bytes(good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :])
        try:
            found = open_variables(path)
            np.testing.assert_array_equal(found.entries["net/conv/kernel"].read(), KERNEL)
        except FileFormatError:
            refused += 1
    assert refused > 50
    index.write_bytes(good[: len(good) // 2])
    with pytest.raises(FileFormatError, match="fetch or save it again"):
        open_variables(path)


def test_damaged_data(saved: Path, tmp_path: Path) -> None:
    path = copied(saved, tmp_path)
    data = path.with_name("m.data-00000-of-00001")
    good = data.read_bytes()
    data.write_bytes(bytes(byte ^ 1 for byte in good))
    with pytest.raises(FileFormatError, match=r"variable 'net/conv/kernel'.*fetch"):
        open_variables(path).entries["net/conv/kernel"].read()
    data.write_bytes(good[:20])
    with pytest.raises(FileFormatError, match="claims the shape"):
        open_variables(path)
    data.write_bytes(good)
    found = open_variables(path)
    data.write_bytes(good[:-1])
    with pytest.raises(FileFormatError, match="changed while"):
        found.entries["net/conv/kernel"].read()


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    import tensorflow as tf

    root = tf.train.Checkpoint(kernel=tf.Variable([[1, 2]], dtype=tf.int8, name="kernel"))
    found = open_variables(root.save(str(tmp_path / "m")))
    assert any("kernel: int8" in note for note in found.notes)
    with pytest.raises(UnsupportedError, match=r"'kernel'.*int8"):
        found.entries["kernel"].floats()


def test_quantised_is_refused_by_name(tmp_path: Path) -> None:
    import tensorflow as tf

    tensor = tf.bitcast(tf.constant([1, 2], tf.int8), tf.qint8)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "m"),
        tensor_names=["kernel", "bias"],
        shape_and_slices=["", ""],
        tensors=[tensor, tf.constant([1.0])],
    )
    entries = open_variables(tmp_path / "m").entries
    assert entries["bias"].floats().tolist() == [1]
    for read in (entries["kernel"].read, entries["kernel"].floats):
        with pytest.raises(UnsupportedError, match=r"'kernel'.*quantised"):
            read()


CORPUS = {
    "models/fsrcnn_tf/ckpt_x2": ("f1", (5, 5, 1, 56), 23, 46),
    "models/mtcnn_tf1_ckpt/PNet-18": ("conv1/alphas", (10,), 15, 15),
    "models/mnistcls_tf1_ckpt/model.ckpt-0": ("dense1/kernel", (1568, 512), 14, 0),
    "models/rnn_saved_model": ("dense/kernel", (128, 2), 10, 20),
}


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(corpus: Path, name: str) -> None:
    variable, shape, own, slots = CORPUS[name]
    if not (corpus / name).parent.is_dir():
        pytest.skip("not in this corpus")
    entries = open_variables(corpus / name).entries
    assert entries[variable].read().shape == shape
    roles = [entry.role for entry in entries.values()]
    assert (roles.count(""), roles.count("slot")) == (own, slots)
