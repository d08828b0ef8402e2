"""Dialects: what they have, and how what they do not have is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tf2caffe import dialect
from tfcaffe.errors import MappingError, UnsupportedError, UsageError
from tfcaffe.oracle.pycaffe import Caffe
from whole import written


def write(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def model() -> Any:
    import keras

    x = keras.Input((8, 6, 3), name="x")
    y = keras.layers.Conv2D(4, 3, name="conv")(x)
    y = keras.layers.BatchNormalization(epsilon=1e-3, name="bn")(y)
    return keras.Model(x, keras.layers.Activation("sigmoid", name="out")(y))


def test_types_are_real_ones(caffe: Caffe) -> None:
    for name in dialect.names():
        types = dialect.load(name).types - {"Permute"}  # the SSD fork's
        assert types <= set(caffe.layer_types)


def test_forms_are_asked_for() -> None:
    portable = dialect.load("portable")
    assert portable.allows("Eltwise", 2, coeff=[1.0, -1.0])
    assert portable.allows("Eltwise", 2)
    assert not portable.allows("Eltwise", 2, coeff=[0.5, 2.0])
    assert not portable.allows("Eltwise", 3)
    assert not portable.allows("Scale", axis=2)
    assert not portable.allows("Tile")
    assert dialect.load("caffe-1.0").allows("Scale", 2, axis=0)
    assert not dialect.load("caffe-1.0").allows("Pooling", round_mode="FLOOR")
    assert dialect.load("caffe-master").allows("Pooling", round_mode="FLOOR")


def test_own_file(tmp_path: Path) -> None:
    own = write(tmp_path, "dialect: 1\nextends: portable\nwithout: [Sigmoid]\n")
    with pytest.raises(UnsupportedError, match=r"layer 'out'.* Sigmoid, which the dialect own "):
        written(model(), tmp_path, dialect=own)


def test_style_of_inputs(tmp_path: Path) -> None:
    import tf2caffe

    own = write(tmp_path, "dialect: 1\nextends: caffe-1.0\nheader: input_dim\n")
    tf2caffe.convert(model(), tmp_path / "net", dialect=own)
    text = (tmp_path / "net.prototxt").read_text(encoding="utf-8")
    assert 'input: "x"' in text and "input_dim: 8" in text and '"Input"' not in text


def test_long_names(tmp_path: Path) -> None:
    own = write(tmp_path, "dialect: 1\nextends: caffe-1.0\nlimits: {name: 3}\n")
    with pytest.raises(UnsupportedError, match=r"layer 'conv': its name has 4 characters"):
        written(model(), tmp_path, dialect=own)
    own = write(tmp_path, "dialect: 1\nextends: caffe-1.0\nlimits: {name: 1}\n")
    with pytest.raises(UnsupportedError, match=r"4 names are too long:(?s:.*)'conv'.*\n.*'bn'"):
        written(model(), tmp_path, dialect=own)


def test_not_portable_layers_are_noted(tmp_path: Path) -> None:
    (note,) = written(model(), tmp_path).network.notes
    assert "(BatchNorm with eps 0.001: bn)" in note
    assert not written(model(), tmp_path, dialect="portable").network.notes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\n", "is no dialect"),
        ("dialect: 1\ntype: [ReLU]\n", r"own.yaml:2:1: a dialect has no key 'type'"),
        ("dialect: 1\ntypes: ReLU\n", "brackets"),
        ("dialect: 1\nextends: own.yaml\n", "in a circle"),
        ("dialect: 1\nextends: caffe-1.0\nheader: none\n", "header 'none'"),
        ("dialect: 1\nextends: caffe-1.0\neps: small\n", "'small' is no number"),
        ("dialect: 1\nextends: caffe-1.0\nlimits: {names: 3}\n", "no such limit 'names'"),
        ("dialect: 1\nextends: caffe-1.0\nforms: [Scale]\n", "forms are layer types"),
        ("dialect: 1\nextends: caffe-1.0\nwithout: [Relu]\n", "without: there is no type 'Relu'"),
        ("dialect: 1\nextends: caffe-1.0\nforms: {Pool: {a: [1]}}\n", "no layer type 'Pool'"),
        ("dialect: 1\nextends: ssd\nforms: {Pooling: {pol: [MAX]}}\n", "has no field 'pol'"),
    ],
)
def test_bad_files(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=told):
        dialect.load(write(tmp_path, text))


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match="caffe-master"):
        dialect.load("tengine")
