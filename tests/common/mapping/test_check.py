"""`mapping check`: what it prints of a mapping that fits, and of one that does not."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np

from desk import CHECK, FILL, MAPPING, Desk, save
from mapped import NET
from tfcaffe.variables.files import open_variables


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
