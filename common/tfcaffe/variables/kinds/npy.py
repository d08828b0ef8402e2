"""`.npy` of older converters: pickled dictionaries (caffe-tensorflow) or lists (tflearn)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError
from tfcaffe.input import map_file
from tfcaffe.variables.base import Array, Variable, Variables, gathered, some
from tfcaffe.variables.kinds import Kind, Place
from tfcaffe.variables.kinds.npz import header
from tfcaffe.variables.pickled import flattened, load
from tfcaffe.variables.roles import with_roles


def _takes(place: Place) -> bool:
    return place.head.startswith(b"\x93NUMPY")


def read(path: Path, like: Path | None = None) -> Variables:
    """`{layer: {weights, biases}}` as `layer/weights`, lists by their positions: `layer/0`, `0/1`.

    Raises:
        FileFormatError: it holds one plain array, or other things than arrays and containers.
    """
    identity, buffer = map_file(path)
    with path.open("rb") as stream:
        _, _, dtype = header(str(path), stream)
        start = stream.tell()
    if dtype != np.dtype("O"):
        raise FileFormatError(
            f"{path}: holds one array without a name; put all variables into one .npz "
            "(np.savez(FILE, **{name: array}))"
        )
    variables, skipped = [], []
    for name, array in flattened(path, load(path, buffer, start)):
        if array.dtype.kind in "fiub" and name:
            variables.append(Variable(name, array.shape, array.dtype.name, partial(_same, array)))
        else:
            skipped.append(name)
    notes = [f"{some(skipped)}: no numbers, left out"] if skipped else []
    if any(v.name.rpartition("/")[2].isdecimal() for v in variables):
        notes.append("lists hold the arrays: these are named by their positions, from 0")
    return gathered(path, "pickled arrays", with_roles(variables), notes, [identity.path])


def _same(array: Any) -> Array:
    value: Array = array
    return value


KIND = Kind(_takes, read)
