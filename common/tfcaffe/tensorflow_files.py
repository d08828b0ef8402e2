"""What `inspect` says of TensorFlow's files: their variables, or a frozen graph's constants."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from tfcaffe.errors import FileFormatError, UnsupportedError, UsageError
from tfcaffe.files import frozen_graph
from tfcaffe.files.file_kind import is_hdf5
from tfcaffe.variables.base import Variables
from tfcaffe.variables.files import open_variables
from tfcaffe.variables.h5tree import Source, tree
from tfcaffe.variables.kinds import Place, registry

_CAFFES_GROUPS = {"data", "diff"}  # all that Caffe writes into HDF5


def is_tensorflows(path: Path) -> bool:
    """Whether the content is TensorFlow's, where the path does not tell.

    Raises:
        FileFormatError: it cannot be read.
    """
    if path.is_file() and is_hdf5(path):  # a kind takes all HDF5
        return not set(tree(Source.of(path)).groups) <= _CAFFES_GROUPS
    place = Place.of(path)
    return any(kind.takes(place) for kind in registry())


def describe_file(path: Path, like: Path | None = None) -> tuple[dict[str, Any], list[str]]:
    """Variables or constants as plain data, which `--json` prints, and notes.

    Args:
        like: a `.keras` of the same model, which names the variables of a bare `.weights.h5`.

    Raises:
        UsageError: `like` does not fit.
        FileFormatError: it is damaged, or holds nothing that can be listed.
    """
    if path.suffix == ".pb" and not any(kind.takes(Place.of(path)) for kind in registry()):
        if like is not None:
            raise UsageError("--like is for a .weights.h5, whose variables have no names")
        return _constants(path)
    if path.suffix == ".tflite":
        raise UnsupportedError(
            f"{path}: is a TensorFlow Lite model, which is not read; inspect the model that it "
            "was made of (.keras, SavedModel, checkpoint)"
        )
    found = open_variables(path, like)
    return describe_variables(found), [f"{found.path}: {found.kind}", *found.notes]


def describe_variables(found: Variables) -> dict[str, Any]:
    """A file's variables; `parameters` are the model's own, `training` all the other numbers."""
    variables: list[dict[str, Any]] = [
        {
            "name": variable.name,
            "shape": list(variable.shape),
            "dtype": variable.dtype,
            "role": variable.role,
            "of": variable.base,
            "parameters": prod(variable.shape),
        }
        for variable in found.entries.values()
    ]
    return {
        "kind": found.kind,
        "variables": variables,
        "parameters": sum(v["parameters"] for v in variables if not v["role"]),
        "training": sum(v["parameters"] for v in variables if v["role"]),
    }


def _constants(path: Path) -> tuple[dict[str, Any], list[str]]:
    constants = frozen_graph.read(path)
    floats = [constant for constant in constants if constant.dtype]
    if not floats:
        raise FileFormatError(
            f"{path}: is a graph without weights; inspect the checkpoint or the SavedModel that "
            "holds its variables"
        )
    listed: list[dict[str, Any]] = [
        {
            "name": constant.name,
            "shape": list(constant.shape),
            "dtype": constant.dtype,
            "parameters": prod(constant.shape),
        }
        for constant in floats
    ]
    facts = {
        "kind": "a frozen graph",
        "constants": listed,
        "parameters": sum(constant["parameters"] for constant in listed),
    }
    notes = [f"{path}: a frozen graph: its weights are constants, not variables"]
    if other := len(constants) - len(floats):
        notes.append(f"{other} constants that hold no floats (sizes, axes) are left out")
    return facts, notes
