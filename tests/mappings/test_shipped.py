"""The shipped mappings: each is right in form, fits its net, and gives every number back.

What real models and real Caffe say of them all is measured by `make mappings`.
"""

import json
from pathlib import Path

import jsonschema
import pytest

from mapped import strings
from mapping_sweep import LIMIT, one
from shipped_models import MODELS
from shipped_nets import SHIPPED, smaller
from shipped_numbers import plain, unequal_blobs, unequal_variables
from tfcaffe.errors import UsageError
from tfcaffe.mapping import shipped
from tfcaffe.mapping.check import check
from tfcaffe.mapping.mapping_file import load_mapping
from tfcaffe.mapping.resolve import Resolved, resolve
from tfcaffe.mapping.sides import read_net
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.variables.files import open_variables, write_variables

_CONDITION = "# CONDITION: "
_UNFIT = {"mobilenet_v2_keras"}  # as published, the net has layers that Keras's has not


def _resolved(name: str, corpus: Path, folder: Path) -> Resolved:
    """Held against its net, whose fully connected layers are made small."""
    net = SHIPPED[name].write(corpus, folder / "net.prototxt", also=(smaller,))
    return resolve(load_mapping(name), read_net(net))


def test_there_are_nets_for_all() -> None:
    assert sorted(SHIPPED) == shipped.names()
    assert len(SHIPPED) >= 20
    assert MODELS.keys() == SHIPPED.keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_form(name: str) -> None:
    path = shipped.find(name)
    text = path.read_text(encoding="utf-8")
    schema = json.loads((shipped.folder() / "mapping.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(strings(text))
    caffe, tensorflow = load_mapping(name).net.split(" <-> ")
    assert caffe and tensorflow
    assert (_CONDITION in text) == bool(SHIPPED[name].conditions)
    said = shipped.conditions(path)
    assert len(said) == bool(SHIPPED[name].conditions)
    assert all(name in note and "#" not in note for note in said)
    assert f"`{name}`" in (shipped.folder() / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_fits_and_gives_back(name: str, corpus: Path, tmp_path: Path) -> None:
    resolved = _resolved(name, corpus, tmp_path)
    assert not resolved.problems
    assert resolved.pairs
    exact = plain(resolved)
    assert unequal_variables(exact) == []
    assert unequal_blobs(exact) == []


@pytest.mark.parametrize("name", [name for name, side in SHIPPED.items() if side.conditions])
def test_the_published_net_does_not_fit(name: str, corpus: Path, tmp_path: Path) -> None:
    """Each condition is data that is checked, with its reason; stock Caffe lacks `ceil_mode`."""
    assert load_mapping(name).requires
    net = SHIPPED[name].write(corpus, tmp_path / "net.prototxt", changed=False)
    if name == "densenet121_keras":
        text = net.read_text(encoding="utf-8")
        net.write_text(text.replace("ceil_mode: false", ""), encoding="utf-8")
    found = check(name, net)
    asked = [text for text in found.problems if "this mapping requires" in text]
    assert asked and all(f"{name}.yaml:" in text and "change it there" in text for text in asked)
    assert len(asked) == len(found.problems) or name in _UNFIT


@pytest.mark.parametrize("name", sorted(_UNFIT))
def test_layers_that_the_other_side_lacks(name: str, corpus: Path, tmp_path: Path) -> None:
    net = SHIPPED[name].write(corpus, tmp_path / "net.prototxt", changed=False)
    assert "no entry for conv2_1/expand.weights" in check(name, net).to_text()


@pytest.mark.parametrize("name", ["lenet_caffe_tensorflow", "mobilenet_v1_keras"])
def test_computes_the_same(name: str, corpus: Path, tmp_path: Path, caffe: Caffe) -> None:
    """`lenet` is a TF1 graph; MobileNet has conditions, channels and another epsilon."""
    found = one(name, tmp_path)
    assert found["status"] == "equal", found
    assert found["output"] <= LIMIT
    assert found["unequal"] == []
    assert found["text"].startswith("run: both sides agree")
    assert ("differ" in found.get("without", "")) == bool(SHIPPED[name].conditions)


def test_a_known_net_runs_from_bare_variables(corpus: Path, tmp_path: Path) -> None:
    name = "mobilenet_v1_keras"
    net = SHIPPED[name].write(corpus, tmp_path / "net.prototxt")
    entries = open_variables(MODELS[name](tmp_path)).entries
    bare, other = tmp_path / "bare.npz", tmp_path / "other.npz"
    write_variables(bare, ((v.name, v.read()) for v in entries.values()))
    found = check(name, net, checkpoint=bare, run=True)
    assert found.good and found.ran is not None and found.ran.agrees
    few = {
        n: v.read()[..., :10] if n.startswith("conv_preds") else v.read()
        for n, v in entries.items()
    }
    write_variables(other, few.items())
    text = net.read_text(encoding="utf-8").replace("num_output: 1000", "num_output: 10")
    net.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"with 1000 classes.*conv_preds"):
        check(name, net, checkpoint=other, run=True)
