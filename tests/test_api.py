"""The Python API: each command is a documented function with options that can be looked up."""

from __future__ import annotations

import argparse
import inspect
import pydoc
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack, get_args, get_origin

import numpy as np
import pytest

import caffe2tf
import tf2caffe
from caffe2tf import command
from prototxts import data, layer
from tf2caffe import command as fill_command
from tf2caffe.options import AllOptions
from tfcaffe.commands import SHARED
from tfcaffe.commands import verify as verify_command
from tfcaffe.commands.mapping import COMMANDS as MAPPING_COMMANDS
from tfcaffe.commands.mapping import check, ignore, init, set_
from tfcaffe.mapping.sides import SideOptions
from tfcaffe.verify import Options as VerifyOptions

NET = data(1, 3, 4, 4) + layer("ReLU", "data", "y")
COMMANDS = [
    *((caffe2tf, name) for name in ("convert", "load", "verify", "inspect")),
    *((tf2caffe, name) for name in ("convert", "verify", "inspect")),
    *((tf2caffe.mapping, name) for name in ("init", "check")),
]
FUNCTIONS = {f"{package.__name__}.{name}": getattr(package, name) for package, name in COMMANDS}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_options_can_be_looked_up(function: Callable[..., Any]) -> None:
    """In the signature, or in the TypedDict that it names and `help` leads to."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    names = {p.name for p in parameters}
    for p in parameters:
        assert p.kind is not p.VAR_POSITIONAL
        if p.kind is p.VAR_KEYWORD:
            assert get_origin(p.annotation) is Unpack
            (options,) = get_args(p.annotation)
            names |= options.__annotations__.keys()
            (path,) = re.findall(r"`([\w.]+\.\w*Options)`", function.__doc__ or "")
            assert pydoc.locate(path) is options
    assert {"phase", "stage", "proto"} <= names
    assert "Raises:" in (function.__doc__ or "")


@pytest.mark.parametrize(
    "options", [caffe2tf.Options, tf2caffe.Options, VerifyOptions, SideOptions]
)
def test_every_option_is_documented(options: type[Any]) -> None:
    words = set(re.findall(r"\w+", (options.__doc__ or "")))
    assert words >= options.__annotations__.keys()


def test_every_option_is_a_flag() -> None:
    """And the other way round."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = caffe2tf.Options.__annotations__.keys()
    assert flags(parser) == options | {"output", "to", "overwrite", "mapping", "like"}


@pytest.mark.parametrize(
    ("module", "others"),
    [
        (init, {"output", "overwrite", "json"}),
        (check, {"weights", "checkpoint", "base", "run", "json"}),
        (set_, {"net", "checkpoint"}),
        (ignore, {"net", "checkpoint"}),
    ],
    ids=["init", "check", "set", "ignore"],
)
def test_every_option_of_mappings_is_a_flag(module: Any, others: set[str]) -> None:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert flags(parser) == SideOptions.__annotations__.keys() | others


def test_every_option_of_tf2caffe_is_a_flag() -> None:
    parser = argparse.ArgumentParser()
    fill_command.add_arguments(parser)
    own = {"output", "overwrite", "prototxt", "mapping", "base"}
    assert flags(parser) == AllOptions.__annotations__.keys() | own


def test_every_option_of_verify_is_a_flag() -> None:
    parser = argparse.ArgumentParser()
    verify_command.add_arguments(parser)
    options = VerifyOptions.__annotations__.keys() - {"record"}
    assert flags(parser) == options | {"dump", "report", "overwrite", "json"}


def flags(parser: argparse.ArgumentParser) -> set[str]:
    """The long names of a command's options, as Python's keywords."""
    found = {o[2:].replace("-", "_") for a in parser._actions for o in a.option_strings[-1:]}
    return found - {"help"}


@pytest.mark.parametrize("name", ["convert", "load"])
def test_no_such_option(name: str, tmp_path: Path) -> None:
    net, out = tmp_path / "net.prototxt", [tmp_path / "m.npz"] if name == "convert" else []
    net.write_text(NET, encoding="utf-8")
    with pytest.raises(TypeError, match="'fase'"):
        FUNCTIONS[f"caffe2tf.{name}"](net, None, *out, fase="TEST")


@pytest.mark.parametrize("option", ["stage", "outputs", "proto", "plugin"])
def test_one_name_where_many_may_be(option: str, tmp_path: Path) -> None:
    """A string is a sequence, too, but of letters."""
    with pytest.raises(caffe2tf.ConversionError, match=f"{option}='name': give a list"):
        caffe2tf.load(tmp_path / "net.prototxt", **{option: "name"})


@pytest.mark.parametrize("package", [caffe2tf, tf2caffe], ids=lambda package: package.__name__)
def test_shared_commands_are_functions(package: Any) -> None:
    assert {command.NAME for command in SHARED} <= set(package.__all__)


def test_inspect(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(NET, encoding="utf-8")
    facts = caffe2tf.inspect(path, input_shape={"data": (2, 3, 5, 5)})
    assert [entry["tops"] for entry in facts["layers"]] == [
        {"data": [2, 3, 5, 5]},
        {"y": [2, 3, 5, 5]},
    ]


def test_mapping_commands_are_functions() -> None:
    assert {command.NAME for command in MAPPING_COMMANDS} == set(tf2caffe.mapping.__all__)
    for name in tf2caffe.mapping.__all__:
        assert getattr(tf2caffe.mapping, name).__doc__
    assert tf2caffe.mapping is caffe2tf.mapping


def test_mappings_from_python(tmp_path: Path) -> None:
    net, variables, mine = (tmp_path / name for name in ("net.prototxt", "v.npz", "m.yaml"))
    conv = layer(
        "Convolution", "data", "conv", "convolution_param { num_output: 2 kernel_size: 3 }"
    )
    net.write_text(data(1, 3, 5, 4) + conv, encoding="utf-8")
    arrays = {"a/kernel": np.full((3, 3, 3, 2), 2.0), "a/bias": np.ones(2), "a/extra": np.ones(3)}
    np.savez(variables, **{name: array.astype(np.float32) for name, array in arrays.items()})
    mapping = tf2caffe.mapping
    mapping.init(net, variables, mine)
    mapping.set(mine, {"conv.weights": "a/kernel", "conv.bias": "a/bias"})
    assert not mapping.check(mine, net, checkpoint=variables).fits
    mapping.ignore(mine, "a/extra")
    assert mapping.check(mine, net, checkpoint=variables).fits
    weights, back = tmp_path / "net.caffemodel", tmp_path / "back.npz"
    assert tf2caffe.convert(variables, weights, prototxt=net, mapping=mine) == []
    caffe2tf.convert(net, weights, back, mapping=mine)
    with np.load(back) as found:
        assert sorted(found) == ["a/bias", "a/kernel"]
        np.testing.assert_array_equal(found["a/kernel"], arrays["a/kernel"])
    assert all(mapping.show(name).startswith("#") for name in mapping.list()[:3])
    for wrong in (str(mine), "vgg"):
        with pytest.raises(tf2caffe.ConversionError, match="no shipped mapping"):
            mapping.show(wrong)
    with pytest.raises(tf2caffe.ConversionError, match=r"v\.npz: is no network that is known"):
        tf2caffe.convert(variables, tmp_path / "whole")
    with pytest.raises(TypeError, match="'fase'"):
        tf2caffe.convert(variables, weights, prototxt=net, mapping=mine, overwrite=True, fase="x")


def test_both_packages_have_the_same() -> None:
    assert caffe2tf.verify is tf2caffe.verify and caffe2tf.inspect is tf2caffe.inspect


def test_mypy_knows_the_options(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import caffe2tf, tf2caffe
caffe2tf.inspect("net", fase="TEST")
tf2caffe.inspect("net", fase="TEST")
caffe2tf.load("net", fase="TEST")
caffe2tf.convert("net", None, "m.keras", fase="TEST")
caffe2tf.load("net", phase="BOTH")
caffe2tf.load("net", None, phase="TRAIN", input_shape={"data": (1, None)}, mean=[1.0])
"""
    )
    run = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(program)]
    done = subprocess.run(run, capture_output=True, text=True)
    faults = [line.split(":", 2)[1:] for line in done.stdout.splitlines()[:-1]]
    assert [int(line) for line, text in faults if "error" in text] == [3, 4, 5, 6, 7], done.stdout
    assert done.stdout.count('Unexpected keyword argument "fase"') == 4
