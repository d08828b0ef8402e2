"""A SavedModel's variables: a checkpoint in its folder; the graph is not loaded."""

from __future__ import annotations

from pathlib import Path

from tfcaffe.errors import FileFormatError
from tfcaffe.variables.base import Variables, gathered
from tfcaffe.variables.kinds import Kind, Place
from tfcaffe.variables.tensors import Tensors, needs_tensorflow

_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")


def _folder(path: Path) -> Path:
    return path.parent if path.name in _GRAPHS else path


def _takes(place: Place) -> bool:
    return any((_folder(place.path) / name).is_file() for name in _GRAPHS)


def _checkpoint(path: Path) -> Path:
    return _folder(path) / "variables" / "variables"


def _needs_tensorflow(place: Place) -> bool:
    return needs_tensorflow(_checkpoint(place.path))


def read(path: Path, like: Path | None = None) -> Variables:
    """The variables of the folder, or of the `saved_model.pb` in it.

    Raises:
        FileFormatError: it has none, or they are damaged.
    """
    folder, prefix = _folder(path), _checkpoint(path)
    if not prefix.with_name("variables.index").is_file():
        raise FileFormatError(
            f"{folder}: is a SavedModel without variables (no {prefix}.index): it is frozen, or "
            "was copied without that folder"
        )
    tensors = Tensors(prefix, folder)
    _, found, notes = tensors.variables()
    return gathered(folder, "a SavedModel", found, notes, tensors.files)


KIND = Kind(_takes, read, tensorflow=_needs_tensorflow)
