"""Filling by a mapping, both ways, as a user meets it: what is written, said and refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from caffe2tf.__main__ import main as caffe2tf
from caffe2tf.fill import fill as fill_variables
from desk import CHECK, FILL, Desk
from mapped import NET
from tf2caffe.fill import fill as fill_caffe
from tfcaffe.input import FileIdentity
from tfcaffe.variables.files import open_variables


def test_there_and_back(desk: Desk) -> None:
    said = desk(FILL)
    assert said.code == 0 and said.err == "tf2caffe: note: wrote net.caffemodel\n"
    said = desk.back("--mapping map.yaml -o back.npz -o back.ckpt")
    assert said.code == 0, said.err
    wanted = open_variables(desk.folder / "vars.npz").entries
    for name in ("back.npz", "back.ckpt"):
        found = open_variables(desk.folder / name).entries
        assert found.keys() == wanted.keys()
        for variable, expected in wanted.items():
            assert found[variable].read().tobytes() == expected.read().tobytes()


def test_as_the_file_of_a_model(desk: Desk, rng: np.random.Generator) -> None:
    """`.weights.h5` has the structure of `--like`; the rest keeps its numbers."""
    import keras

    image = keras.Input((9, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="k")(image)
    model = keras.Model(image, keras.layers.Conv2D(2, 1, name="head")(x))
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    model.save("like.keras")
    desk.write(
        "net.prototxt", NET[: NET.index('layer { name: "bn"')]
    )  # the convolution alone, as a part of the model
    desk.write(
        "map.yaml",
        "mapping: 1\nlayers:\n  conv: {weights: k/kernel, bias: k/bias}\n"
        "ignore: {variables: [head/*]}\n",
    )
    fill = "convert like.keras --prototxt net.prototxt --mapping map.yaml -o net.caffemodel"
    assert desk(fill).code == 0
    said = desk.back("--mapping map.yaml --like like.keras -o new.weights.h5")
    assert said.code == 0, said.err
    wanted = model.get_weights()
    model.set_weights([0 * w for w in wanted])
    model.load_weights("new.weights.h5")
    for found, expected in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(found, expected)
    said = desk.back("--mapping map.yaml -o other.weights.h5")
    assert (
        said.code == 2 and "error: other.weights.h5: is keyed by structure; give --like" in said.err
    )
    assert "other.weights.h5" not in desk.files


def test_arrays_and_checkpoints_need_no_tensorflow(desk: Desk) -> None:
    script = f"""
import sys
from tf2caffe.__main__ import main as tf2caffe
from caffe2tf.__main__ import main as caffe2tf
assert tf2caffe({CHECK.split()!r}) == 0
assert tf2caffe({FILL.split()!r}) == 0
back = "convert net.prototxt net.caffemodel --mapping map.yaml -o back.npz -o back.ckpt"
assert caffe2tf(back.split()) == 0
for command in ({CHECK!r}, {FILL!r}):
    again = command.replace("vars.npz", "back.ckpt").replace("net.caffemodel", "net2.caffemodel")
    assert tf2caffe(again.split()) == 0
with open("net.caffemodel", "rb") as one, open("net2.caffemodel", "rb") as two:
    assert one.read() == two.read()
assert tf2caffe("mapping init net.prototxt back.ckpt -o new2.yaml".split()) in (0, 1)
assert tf2caffe("mapping init net.prototxt vars.npz -o new.yaml".split()) in (0, 1)
assert tf2caffe("mapping set map.yaml fc.bias fc/b --net net.prototxt".split()) == 0
print(sorted({{"tensorflow", "keras", "caffe"}} & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_checkpoints_in_slices_are_read_quietly(desk: Desk) -> None:
    """TensorFlow reads them, and its lines are not the user's."""
    import tensorflow as tf

    with np.load(desk.folder / "vars.npz") as arrays:
        whole = dict(arrays)
    name = next(name for name, array in whole.items() if array.ndim > 1)
    sizes, rest = " ".join(map(str, whole[name].shape)), ":-" * (whole[name].ndim - 1)
    tf.raw_ops.SaveV2(
        prefix=str(desk.folder / "vars.ckpt"),
        tensor_names=[name, *whole],
        shape_and_slices=[
            f"{sizes} 0,1{rest}",
            *(f"{sizes} 1,{len(a) - 1}{rest}" if n == name else "" for n, a in whole.items()),
        ],
        tensors=[whole[name][:1], *(a[1:] if n == name else a for n, a in whole.items())],
    )
    command = CHECK.replace("vars.npz", "vars.ckpt").split()
    done = subprocess.run(
        [sys.executable, "-m", "tf2caffe", *command], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("b.ckpt", "--like vars.npz: is a NumPy archive; b.ckpt is a checkpoint, and takes over"),
        ("b.weights.h5", "--like vars.npz: is a NumPy archive; b.weights.h5 takes over the"),
    ],
)
def test_like_of_another_kind(desk: Desk, output: str, words: str) -> None:
    assert desk(FILL).code == 0
    said = desk.back(f"--mapping map.yaml --like vars.npz -o {output}")
    assert said.code == 2 and words in said.err
    assert output not in desk.files


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (FILL.replace("net.caffemodel", "out.npz"), "out.npz: what is written is a caffemodel"),
        (FILL.replace(" --mapping map.yaml", ""), "--mapping MAP"),
        (FILL.replace("vars.npz", "none.npz"), "none.npz: there is no such file"),
        (FILL.replace("vars.npz", "net.prototxt"), "net.prototxt: holds no variables"),
        (FILL.replace("map.yaml", "mapp"), "mapp: no mapping file"),
        (FILL.replace("map.yaml", "net.prototxt"), "the mapping comes first, then the net"),
        (FILL.replace("net.prototxt", "vars.npz"), "vars.npz"),
        (FILL + " --base none.caffemodel", "none.caffemodel"),
        (FILL + " --prefix nowhere", "no variable lies below 'nowhere/'"),
        (FILL + " --ema", "no moving averages"),
        ("mapping check net.prototxt map.yaml", "the mapping comes first, then the net"),
        ("mapping check map.yaml net.prototxt --run", "--run needs the TensorFlow model"),
        ("mapping check map.yaml net.prototxt --weights none", "none"),
    ],
)
def test_careless_commands(desk: Desk, command: str, words: str) -> None:
    before = desk.files
    said = desk(command)
    assert said.code == 2
    assert said.err.startswith("tf2caffe: error: ") and len(said.err.splitlines()) == 1
    assert words in said.err
    assert desk.files == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("net.prototxt net.caffemodel --mapping map.yaml -o a.keras", "are written as .ckpt"),
        ("net.prototxt net.caffemodel --mapping none -o a.npz", "none: no mapping file"),
        ("net.prototxt net.caffemodel --mapping map.yaml --mean 3 -o a.npz", "--mean"),
        ("net.prototxt --mapping map.yaml -o a.npz", "name the WEIGHTS"),
        ("- net.caffemodel --mapping map.yaml -o a.npz", "name the NET"),
        ("net.prototxt net.caffemodel --like vars.npz -o a.npz", "--like goes with --mapping"),
        ("net.prototxt vars.npz --mapping map.yaml -o a.npz", "vars.npz"),
    ],
)
def test_careless_ways_back(desk: Desk, arguments: str, words: str) -> None:
    assert desk(FILL).code == 0
    before = desk.files
    said = desk(f"convert {arguments}", main=caffe2tf)
    assert said.code == 2 and len(said.err.splitlines()) == 1
    assert words in said.err
    assert desk.files == before


def test_progress_is_told(desk: Desk) -> None:
    """In numbers, of all that there are, and never backwards."""
    seen: list[tuple[str, int, int]] = []

    def watch(what: str, done: int, total: int) -> None:
        seen.append((what, done, total))

    said = fill_caffe(
        "vars.npz", "net.caffemodel", prototxt="net.prototxt", mapping="map.yaml", watch=watch
    )
    assert said == []
    assert [what for what, _, _ in seen] == ["conv", "bn", "scale", "dw", "fc"]
    assert [done for _, done, _ in seen] == [0, 112, 121, 129, 177]
    assert {total for _, _, total in seen} == {177 + 1005}
    seen.clear()
    targets = [desk.folder / "back.npz", desk.folder / "back.ckpt"]
    fill_variables("net.prototxt", "net.caffemodel", targets, mapping="map.yaml", watch=watch)
    assert seen[0] == ("back.npz: conv.weights", 0, 2 * 1181)
    assert seen[-1] == ("back.ckpt: fc.bias", 2 * 1181 - 5, 2 * 1181)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_outputs_are_not_overwritten(desk: Desk) -> None:
    assert desk(FILL).code == 0
    before = desk.files
    assert "--overwrite" in desk(FILL).err and desk.files == before
    np.savez(desk.folder / "vars.npz", **{"k/w": np.zeros((3, 3, 3, 4))})
    before = desk.files
    assert desk(f"{FILL} --overwrite").code == 2  # it does not fit
    assert desk.files == before


def test_an_input_is_no_output(desk: Desk) -> None:
    assert desk(FILL).code == 0
    before = desk.files
    said = desk(f"{FILL} --base net.caffemodel --overwrite")
    assert said.code == 2 and "is also an input" in said.err
    said = desk.back("--mapping map.yaml --like vars.npz -o vars.npz --overwrite")
    assert said.code == 2 and "is also an input" in said.err
    assert desk.files == before


def test_inputs_that_change_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk(FILL).code == 0
    before = desk.files
    monkeypatch.setattr(FileIdentity, "unchanged", lambda self: self.path.suffix != ".npz")
    said = desk(f"{FILL} --overwrite")
    assert said.code == 2 and "vars.npz changed meanwhile" in said.err
    said = desk.back("--mapping map.yaml --like vars.npz -o new.npz")
    assert said.code == 2 and "vars.npz changed meanwhile" in said.err
    assert desk.files == before
