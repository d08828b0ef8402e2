"""`--base`: blobs that a mapping leaves out keep what an older caffemodel has."""

from __future__ import annotations

import json

import numpy as np

from desk import CHECK, FILL, MAPPING, Desk, save
from mapped import NET, SHAPES
from tfcaffe.variables.files import open_variables


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
