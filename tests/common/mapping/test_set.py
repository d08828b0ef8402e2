"""`mapping set`, `ignore`, `list` and `show`: a mapping is changed and looked at."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from desk import MAPPING, Desk, save
from tfcaffe.mapping import shipped


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
