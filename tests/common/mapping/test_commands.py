"""The commands as a user meets them: what they print, write and refuse, and their exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.__main__ import main as caffe2tf
from caffe2tf.fill import fill as fill_variables
from mapped import ENTRIES, NET, SHAPES
from tf2caffe.__main__ import main as tf2caffe
from tf2caffe.fill import fill as fill_caffe
from tfcaffe.input import FileIdentity
from tfcaffe.mapping import shipped
from tfcaffe.variables.files import open_variables

MAPPING = f"mapping: 1\nnet: ours\nlayers:{ENTRIES}"


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str


class Desk:
    """A folder with a net, variables and a mapping that fits, and commands that run there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, command: str, *more: str, main: Callable[..., int] = tf2caffe) -> Said:
        """A command in words; those with spaces in them as `more`."""
        self._capsys.readouterr()
        try:
            code = main([*command.split(), *more])
        except SystemExit as error:  # argparse
            code = int(str(error.code))
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)

    def back(self, arguments: str) -> Said:
        """`caffe2tf convert net.prototxt net.caffemodel …`."""
        return self(f"convert net.prototxt net.caffemodel {arguments}", main=caffe2tf)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    @property
    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}


FILL = "convert vars.npz --prototxt net.prototxt --mapping map.yaml -o net.caffemodel"
CHECK = "mapping check map.yaml net.prototxt --checkpoint vars.npz"


@pytest.fixture
def desk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rng: np.random.Generator,
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path, capsys)
    desk.write("net.prototxt", NET)
    desk.write("map.yaml", MAPPING)
    save(tmp_path / "vars.npz", rng)
    return desk


def save(path: Path, rng: np.random.Generator, **others: tuple[int, ...] | None) -> None:
    """Random variables; `others` changes shapes, or takes variables away."""
    shapes = {**SHAPES, **others}
    arrays = {
        name: np.abs(rng.normal(size=shape)).astype(np.float32)
        for name, shape in shapes.items()
        if shape is not None
    }
    np.savez(path, **arrays)


def test_check_that_fits(desk: Desk) -> None:
    said = desk(CHECK)
    assert said.code == 0 and said.err == ""
    lines = [line.split() for line in said.out.splitlines()]
    assert ["conv.weights", "4×3×3×3", "k/w", "3×3×3×4", "HWIO", "→", "OIHW"] in lines
    assert said.out.splitlines()[-1] == "map.yaml: fits net.prototxt"
    assert desk(f"{CHECK} -q").out == "map.yaml: fits net.prototxt\n"


def test_check_that_does_not_fit(desk: Desk, rng: np.random.Generator) -> None:
    save(desk.folder / "vars.npz", rng, **{"fc/b": None, "fc/bias": (5,)})
    said = desk(CHECK)
    assert said.code == 1 and said.err == ""
    assert re.search(r"map\.yaml:8:29: there is no variable fc/b; the nearest .*fc/bias", said.out)
    assert "the variable fc/bias [5] goes nowhere" in said.out
    assert said.out.splitlines()[-1] == "map.yaml: does not fit net.prototxt"
    assert desk(f"{CHECK} -q").out == "map.yaml: does not fit net.prototxt\n"


def test_check_for_programs(desk: Desk, rng: np.random.Generator) -> None:
    found = json.loads(desk(f"{CHECK} --json").out)
    assert found.keys() == {
        "fits",
        "mapping",
        "net",
        "pairs",
        "kept_blobs",
        "unmatched_blobs",
        "unmatched_variables",
        "ignored_blobs",
        "ignored_variables",
        "problems",
        "notes",
        "run",
    }
    assert found["fits"] and found["problems"] == [] and found["run"] is None
    assert found["pairs"][0] == {
        "layer": "conv",
        "role": "weights",
        "blob_shape": [4, 3, 3, 3],
        "variables": ["k/w"],
        "variable_shapes": [[3, 3, 3, 4]],
        "minus": None,
        "constant": None,
        "fits": True,
        "transform": "HWIO → OIHW",
    }
    save(desk.folder / "vars.npz", rng, extra=(2,))
    desk.write("map.yaml", MAPPING.replace(", bias: k/b", ""))
    said = desk(f"{CHECK} --json")
    found = json.loads(said.out)
    assert said.code == 1 and not found["fits"] and found["problems"]
    assert found["unmatched_blobs"] == ["conv.bias"]
    assert found["unmatched_variables"] == ["k/b", "extra"]


def test_pairs_that_do_not_fit_stand_in_the_table(desk: Desk, rng: np.random.Generator) -> None:
    """With the shape that the variable has, at the blob's place in the net."""
    save(desk.folder / "vars.npz", rng, **{"k/w": (3, 3, 4, 4), "bn/var": None, "bn/x": (4,)})
    said = desk(CHECK)
    assert said.code == 1
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[1] == ["conv.weights", "4×3×3×3", "k/w", "3×3×4×4", "does", "not", "fit"]
    assert rows[3] == ["bn.mean", "4", "bn/mean", "4", "as", "it", "is"]
    assert rows[4] == ["bn.variance", "4", "bn/var", "?", "is", "not", "there"]
    assert "there is no variable bn/var; the nearest names are bn/x\n" in said.out
    pairs = json.loads(desk(f"{CHECK} --json").out)["pairs"]
    assert [pair["fits"] for pair in pairs] == [False, True, True, False, *[True] * 5]
    assert pairs[0]["variable_shapes"] == [[3, 3, 4, 4]] and pairs[0]["transform"] is None
    assert pairs[3]["variable_shapes"] == [None] and pairs[3]["transform"] is None


def test_check_of_weights(desk: Desk) -> None:
    """A constant is looked up in the weights."""
    assert desk(FILL).code == 0
    desk.write("map.yaml", MAPPING.replace("bias: fc/b", "bias: {constant: 0}"))
    said = desk("mapping check map.yaml net.prototxt --weights net.caffemodel")
    assert said.code == 1
    assert "map.yaml:8:29: the blob fc.bias is not 0 everywhere" in said.out


def test_names_below_one_scope_more(desk: Desk) -> None:
    """As Keras's Sequential has it."""
    found = open_variables(desk.folder / "vars.npz").entries
    np.savez(desk.folder / "deep.npz", **{f"net/a/{n}": v.read() for n, v in found.items()})
    command = "mapping check map.yaml net.prototxt --checkpoint deep.npz"
    said = desk(command)
    assert said.code == 1
    assert "they are all there below net/a/: give --prefix net/a\n" in said.out
    assert desk(f"{command} --prefix net/a").code == 0
    np.savez(desk.folder / "deep.npz", **{"net/a/k/w": np.zeros(3)})
    assert "--prefix" not in desk(command).out


def test_set(desk: Desk) -> None:
    desk.write("map.yaml", MAPPING.replace("fc/b", "fc/wrong"))
    said = desk("mapping set map.yaml fc.bias fc/b --net net.prototxt --checkpoint vars.npz")
    assert said.code == 0
    assert said.out.endswith("map.yaml: fits net.prototxt\n")
    assert said.err == "tf2caffe: note: map.yaml: fc.bias set\n"
    assert desk.files["map.yaml"].decode() == MAPPING
    said = desk("mapping set map.yaml fc.bias fc/x conv.bias fc/y")
    assert said.code == 0 and said.out == ""
    changed = MAPPING.replace("fc/b", "fc/x").replace("k/b", "fc/y")
    assert desk.files["map.yaml"].decode() == changed


def test_set_to_a_value(desk: Desk) -> None:
    said = desk("mapping set map.yaml fc.bias", "{constant: 0.5}", "--net", "net.prototxt")
    assert said.code == 0 and "constant 0.5" in said.out
    wrong = desk("mapping set map.yaml fc.bias", "{constnt: 1}")
    assert wrong.code == 2 and "did you mean 'constant'?" in wrong.err
    assert desk.files["map.yaml"].decode() == MAPPING.replace("fc/b", "{constant: 0.5}")


def test_set_rechecks(desk: Desk) -> None:
    said = desk("mapping set map.yaml fc.bais fc/b --net net.prototxt")
    assert said.code == 1
    assert "the layer fc (InnerProduct) has no blob 'bais'; it has weights, bias" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("map.yaml fc.bias", "which variable"),
        ("map.yaml fc.bias a fc.bias b", "given twice"),
        ("map.yaml fcbias a", "write LAYER.ROLE"),
        ("map.yaml .bias a", "write LAYER.ROLE"),
        ("none.yaml fc.bias a", "no such mapping file"),
        ("vgg16_slim fc6.bias a", "mapping show vgg16_slim > mine.yaml"),
        ("map.yaml fc.bias a --checkpoint vars.npz", "--checkpoint goes with --net"),
        ("map.yaml fc.bias a --net none.prototxt", "none.prototxt"),
        ("map.yaml fc.bias a --net net.prototxt --checkpoint none", "none"),
    ],
)
def test_careless_set(desk: Desk, arguments: str, words: str) -> None:
    before = desk.files
    said = desk(f"mapping set {arguments}")
    assert said.code == 2 and words in said.err
    assert desk.files == before


def test_ignore(desk: Desk, rng: np.random.Generator) -> None:
    save(desk.folder / "vars.npz", rng, **{"aux/w": (2,), "aux/deep/w": (2,)})
    recheck = "--net net.prototxt --checkpoint vars.npz"
    said = desk(f"mapping ignore map.yaml aux/* {recheck}")
    assert said.code == 1 and "aux/deep/w [2] goes nowhere" in said.out
    said = desk(f"mapping ignore map.yaml aux/** {recheck} -q")
    assert said.code == 0 and said.out == "map.yaml: fits net.prototxt\n"
    expected = MAPPING + "ignore:\n  variables: ['aux/*', 'aux/**']\n"
    assert desk.files["map.yaml"].decode() == expected


def test_list_and_show(desk: Desk) -> None:
    listed = desk("mapping list").out
    found = json.loads(desk("mapping list --json").out)
    assert [entry["name"] for entry in found] == shipped.names()
    for entry in found:
        assert re.search(rf"^{entry['name']} +{re.escape(entry['net'])}$", listed, re.M)
    name = found[0]["name"]
    text = (shipped.folder() / f"{name}.yaml").read_text(encoding="utf-8")
    assert desk(f"mapping show {name}").out == text
    said = desk(f"mapping show {name}x")
    assert said.code == 2 and f"did you mean {name}" in said.err


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


def test_set_on_a_pattern(desk: Desk) -> None:
    """What is a key of the file is not taken for a layer of that very name."""
    desk.write("map.yaml", "mapping: 1\nlayers:\n  'c{n}': {weights: 'k{n}/w', bias: 'k{n}'}\n")
    before = desk.files
    said = desk("mapping set map.yaml c{n}.weights other")
    assert said.code == 2 and "c{n}: is a pattern" in said.err
    assert desk.files == before
    assert desk("mapping set map.yaml c{x}.weights other").code == 0
    assert b"'c{{x}}': {weights: other, bias: 'k{{x}}'}" in desk.files["map.yaml"]


def test_ignoring_nothing(desk: Desk) -> None:
    before = desk.files
    assert "an empty pattern" in desk("mapping ignore map.yaml", "").err
    assert desk.files == before


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


def test_blobs_left_out(desk: Desk, rng: np.random.Generator) -> None:
    """They are no obstacle but where a caffemodel is made of variables alone."""
    assert desk(FILL.replace("net.caffemodel", "old.caffemodel")).code == 0
    save(desk.folder / "vars.npz", rng, **{"fc/w": None, "fc/b": None})
    entry = "  fc: {weights: fc/w, bias: fc/b}\n"
    assert entry in MAPPING
    desk.write("map.yaml", MAPPING.replace(entry, "") + "ignore: {blobs: [fc.*]}\n")
    said = desk(CHECK)
    assert said.code == 0
    assert "note: fc.weights, fc.bias: left out by name" in said.err and "--base OLD" in said.err
    said = desk(FILL)
    assert said.code == 2 and "map.yaml: fc.weights, fc.bias: left out by name" in said.err
    assert "net.caffemodel" not in desk.files
    assert desk(f"{FILL} --base old.caffemodel").code == 0
    said = desk.back("--mapping map.yaml -o back.npz")
    assert said.code == 0, said.err
    wanted, found = (
        open_variables(desk.folder / name).entries for name in ("vars.npz", "back.npz")
    )
    assert found.keys() == wanted.keys()
    for name, variable in wanted.items():
        np.testing.assert_array_equal(found[name].read(), variable.read())


def test_check_with_a_base(desk: Desk, rng: np.random.Generator) -> None:
    """What the mapping leaves out, by name or without a word, has its place in the old file."""
    assert desk(FILL.replace("net.caffemodel", "old.caffemodel")).code == 0
    save(desk.folder / "vars.npz", rng, **{"fc/w": None, "fc/b": None})
    entry = "  fc: {weights: fc/w, bias: fc/b}\n"
    for rest in ("", "ignore: {blobs: [fc.bias]}\n"):
        desk.write("map.yaml", MAPPING.replace(entry, "") + rest)
        without = desk(CHECK)
        assert without.code == 1 and "no entry for fc.weights [5, 200]" in without.out
        said = desk(f"{CHECK} --base old.caffemodel")
        assert said.code == 0, said.out
        kept = "tf2caffe: note: 2 blobs keep what old.caffemodel has: fc.weights, fc.bias\n"
        assert said.err == kept
        rows = [line.split() for line in said.out.splitlines()]
        assert ["fc.weights", "5×200", "kept", "from", "old.caffemodel"] in rows
        found = json.loads(desk(f"{CHECK} --base old.caffemodel --json").out)
        assert found["kept_blobs"] == ["fc.weights", "fc.bias"]
        assert found["fits"] and found["unmatched_blobs"] == []
        filled = desk(f"{FILL} --base old.caffemodel --overwrite")
        assert filled.code == 0 and filled.err.startswith(kept)
    desk.write("map.yaml", MAPPING.replace("conv:", "wrong:").replace(entry, ""))
    said = desk(f"{CHECK} --base old.caffemodel")
    assert said.code == 1 and "no layer with weights is called 'wrong'" in said.out
    assert "no entry for" not in said.out


def test_a_base_needs_what_is_kept_alone(desk: Desk, rng: np.random.Generator) -> None:
    """A new head: the old one may be of another size; but what is kept has to be there."""
    desk.write("new.prototxt", NET)
    desk.write("net.prototxt", NET.replace("num_output: 5", "num_output: 7"))
    save(desk.folder / "vars.npz", rng, **{"fc/w": (200, 7), "fc/b": (7,)})
    assert desk(FILL.replace("net.caffemodel", "old.caffemodel")).code == 0
    save(desk.folder / "vars.npz", rng, **dict.fromkeys(set(SHAPES) - {"fc/w", "fc/b"}))
    desk.write("map.yaml", "mapping: 1\nlayers:\n  fc: {weights: fc/w, bias: fc/b}\n")
    fill = FILL.replace("net.prototxt", "new.prototxt")
    said = desk(f"{fill} --base old.caffemodel")
    assert said.code == 0, said.err
    assert "7 blobs keep what old.caffemodel has: conv.weights, conv.bias, bn.mean and" in said.err
    desk.write("map.yaml", "mapping: 1\nlayers:\n  fc: {bias: fc/b}\nignore: {variables: [fc/w]}\n")
    for command in (fill, CHECK.replace("net.prototxt", "new.prototxt")):
        said = desk(
            f"{command} --base old.caffemodel", *(["--overwrite"] if command == fill else [])
        )
        assert said.code == 2 and "blob 'weights' of layer 'fc'" in said.err


def test_a_base_that_nothing_needs(desk: Desk) -> None:
    assert desk(FILL).code == 0
    said = desk(f"{CHECK} --base net.caffemodel")
    assert said.code == 0
    assert "the mapping fills every blob: --base net.caffemodel is idle" in said.err


def test_unknown_layer_types(desk: Desk) -> None:
    """The way out is one that these commands have."""
    desk.write("net.prototxt", NET + 'layer { name: "odd" type: "Odd" bottom: "fc" top: "odd" }\n')
    for command in (CHECK, FILL, "mapping init net.prototxt vars.npz -o new.yaml"):
        said = desk(command)
        assert said.code == 2
        assert "net.prototxt: these layer types are not supported; a plugin says" in said.err
        assert "--plugin FILE.py" in said.err and "Odd: 'odd'" in said.err
        assert "--outputs" not in said.err
        assert desk(f"{command} --outputs fc").code == 2


def test_a_run_needs_a_model(desk: Desk) -> None:
    said = desk(f"{CHECK} --run")
    assert said.code == 2 and "verify" not in said.err
    assert "vars.npz: is a NumPy archive, which holds numbers but no model that --run" in said.err
    assert "give the model as a .keras file or a SavedModel" in said.err


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


BAD_FILES = {
    "unknown key": (("net: ours", "nett: ours"), 2, "'nett' is no key.*did you mean 'net'"),
    "unknown word of a role": (("fc/b}", "{varable: a}}"), 8, "did you mean 'variable'"),
    "unknown role": (("bias: fc/b", "bais: fc/b"), 8, "no blob 'bais'; it has weights, bias"),
    "unknown layer": (("  fc:", "  fcc:"), 8, "no layer with weights is called 'fcc'.*fc"),
    "a variable used twice": (("bias: fc/b", "bias: k/b"), 8, "k/b stands for conv.bias"),
    "wrong rank": (("weights: fc/w", "weights: d/w"), 8, r"\[3, 2, 4, 2\], wanted is \[200, 5\]"),
    "wrong shape": (("bias: fc/b", "bias: bn/beta"), 8, r"\[4\], wanted is \[5\]"),
    "alias": (("net: ours", "net: &a ours"), 2, "anchors and aliases"),
    "bomb": (("net: ours", "x: &a [1, 1]\ny: [*a, *a]"), 2, "anchors and aliases"),
    "tag": (("net: ours", "net: !!python/object/apply:os.system [x]"), 2, "tag"),
    "duplicate key": (("layers:", "net: again\nlayers:"), 3, "line 2 already"),
    "layout": (("bias: fc/b", "bias: {variable: fc/b, layout: HWIO}"), 8, "layout 'HWIO'"),
    "layout of a kernel": (("k/w", "{variable: k/w, layout: HWIX}"), 4, "layout 'HWIX'"),
    "deep": (("net: ours", "net: " + "[" * 50 + "]" * 50), 2, "nested deeper"),
    "recurrent": (("k/w", "{variable: k/w, part: input}"), 4, "recurrent layers"),
    "no version": (("mapping: 1", "mapping: 2"), 1, "mapping: 1"),
}


@pytest.mark.parametrize(("change", "line", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_mapping(desk: Desk, change: tuple[str, str], line: int, words: str) -> None:
    """One message with file and line; nothing is written."""
    assert change[0] in MAPPING
    desk.write("map.yaml", MAPPING.replace(*change, 1))
    before = desk.files
    said = desk(FILL)
    assert said.code == 2 and said.err.count("error:") == 1
    assert re.search(rf"map\.yaml:{line}:\d+: .*{words}", said.err), said.err
    assert desk.files == before
    assert desk(CHECK).code in (1, 2)


def test_a_mapping_for_another_net(desk: Desk) -> None:
    said = desk(FILL.replace("map.yaml", "lenet_caffe_tensorflow"))
    assert said.code == 2
    assert "lenet_caffe_tensorflow.yaml: does not fit net.prototxt" in said.err
    assert "no entry for bn.mean [4]" in said.err
    assert "net.caffemodel" not in desk.files


def test_broken_checkpoints(desk: Desk) -> None:
    assert desk(FILL).code == 0
    assert desk.back("--mapping map.yaml -o vars.ckpt").code == 0
    (desk.folder / "net.caffemodel").unlink()
    fill = FILL.replace("vars.npz", "vars.ckpt")
    assert desk(fill.replace("net.caffemodel", "good.caffemodel")).code == 0
    index, shard = desk.folder / "vars.ckpt.index", desk.folder / "vars.ckpt.data-00000-of-00001"
    whole = index.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:40] + b"\xff" * 8 + whole[48:], b""):
        index.write_bytes(broken)
        said = desk(fill)
        assert said.code == 2 and "vars.ckpt" in said.err and said.err.count("error:") == 1
        assert "internal error" not in said.err
    index.write_bytes(whole)
    shard.unlink()
    said = desk(fill)
    assert said.code == 2 and "vars.ckpt" in said.err and "internal error" not in said.err
    assert "net.caffemodel" not in desk.files


def test_a_hostile_pickle(desk: Desk) -> None:
    """It is told what it would have run, and nothing is run."""
    code = b"\x80\x02cos\nsystem\nX\x0a\x00\x00\x00touch deed\x85R."
    header = np.lib.format
    with (desk.folder / "vars.npy").open("wb") as file:
        about = {"descr": "|O", "fortran_order": False, "shape": ()}
        header.write_array_header_1_0(file, about)
        file.write(code)
    said = desk(FILL.replace("vars.npz", "vars.npy"))
    assert said.code == 2 and "vars.npy" in said.err and "system" in said.err
    assert not {"deed", "net.caffemodel"} & desk.files.keys()


def test_averages_below_a_scope(desk: Desk) -> None:
    """`--prefix` and `--ema` adapt a file without editing it."""
    found = open_variables(desk.folder / "vars.npz").entries
    arrays = {f"model/{name}": 2 * v.read() for name, v in found.items()}
    arrays |= {f"model/{n}/ExponentialMovingAverage": v.read() for n, v in found.items()}
    np.savez(desk.folder / "deep.npz", **arrays, **{"model/k/w/Momentum": np.zeros((3, 3, 3, 4))})
    assert desk(FILL).code == 0
    wanted = desk.files["net.caffemodel"]
    fill = FILL.replace("vars.npz", "deep.npz") + " --overwrite --prefix model"
    assert desk(fill).code == 0 and desk.files["net.caffemodel"] != wanted
    assert desk(f"{fill} --ema").code == 0 and desk.files["net.caffemodel"] == wanted


def test_other_types_are_said(desk: Desk) -> None:
    found = open_variables(desk.folder / "vars.npz").entries
    arrays = {name: v.read().copy() for name, v in found.items()}  # the file is written over
    np.savez(desk.folder / "vars.npz", **arrays | {"k/b": np.ones(4, np.float16)})
    said = desk(FILL)
    assert said.code == 0 and "k/b: float16, converted to float32" in said.err
    np.savez(desk.folder / "vars.npz", **arrays | {"k/b": np.ones(4, np.int8)})
    said = desk(f"{FILL} --overwrite")
    assert said.code == 2 and "'k/b': holds int8, no floats" in said.err


def test_a_like_that_is_not_needed(desk: Desk) -> None:
    shutil.copy(desk.folder / "vars.npz", desk.folder / "other.npz")
    said = desk(f"{FILL} --like other.npz")
    assert said.code == 0
    assert "note: --like other.npz is idle: vars.npz is a NumPy archive" in said.err
