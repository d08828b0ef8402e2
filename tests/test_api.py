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

import pytest

import caffe2tf
import tf2caffe
from caffe2tf import command
from prototxts import data, layer
from tfcaffe.commands import SHARED
from tfcaffe.commands import verify as verify_command
from tfcaffe.verify import Options as VerifyOptions

NET = data(1, 3, 4, 4) + layer("ReLU", "data", "y")
COMMANDS = [
    *((caffe2tf, name) for name in ("convert", "load", "verify", "inspect")),
    *((tf2caffe, name) for name in ("verify", "inspect")),
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
            (path,) = re.findall(r"`([\w.]+\.Options)`", function.__doc__ or "")
            assert pydoc.locate(path) is options
    assert {"phase", "stage", "input_shape", "proto"} <= names
    assert "Raises:" in (function.__doc__ or "")


@pytest.mark.parametrize("options", [caffe2tf.Options, VerifyOptions], ids=["convert", "verify"])
def test_every_option_is_documented(options: type[Any]) -> None:
    words = set(re.findall(r"\w+", (options.__doc__ or "")))
    assert words >= options.__annotations__.keys()


def test_every_option_is_a_flag() -> None:
    """And the other way round."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = caffe2tf.Options.__annotations__.keys()
    assert flags(parser) == options | {"output", "to", "overwrite"}


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
