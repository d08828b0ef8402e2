"""The Python API: each command is a documented function with options that can be looked up."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import caffe2tf
import tf2caffe
from prototxts import data, layer
from tfcaffe.commands import SHARED

NET = data(1, 3, 4, 4) + layer("ReLU", "data", "y")
COMMANDS = [
    *((caffe2tf, name) for name in ("convert", "load", "verify", "inspect")),
    *((tf2caffe, name) for name in ("verify", "inspect")),
]
FUNCTIONS = {f"{package.__name__}.{name}": getattr(package, name) for package, name in COMMANDS}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_options_are_in_the_signature(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters.values()
    assert not [p.name for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert {"phase", "stage", "input_shape", "proto"} <= {p.name for p in parameters}
    assert "Raises:" in (function.__doc__ or "")


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


@pytest.mark.parametrize("package", ["caffe2tf", "tf2caffe"])
def test_mypy_knows_the_options(package: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import {package}\n{package}.inspect('net', fase='TEST')\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert 'Unexpected keyword argument "fase"' in done.stdout
