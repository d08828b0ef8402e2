"""A TensorFlow model as `verify` sees it: named inputs, and tensors that can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile, ZipFile, is_zipfile

from tfcaffe.errors import ConversionError, FileFormatError, UsageError
from tfcaffe.twin import MEMBER, Twin
from tfcaffe.verify.compare import Array

Place = tuple[str, int]  # a node's name, and which of its outputs
Visit = Callable[[Place, Array], "Array | None"]
_ASSETS = "assets.extra"
_MOST_RECORD = 64 << 20  # bytes; the largest net's record is far below one MiB


class ModelError(ConversionError):
    """A model that cannot run on what it is fed; carries TensorFlow's own words."""


class Model(Protocol):
    """What is needed of a model.

    Attributes:
        name: what messages call it.
        inputs: the names of its inputs, in order.
        outputs: its outputs, in order.
        sees_inside: whether tensors besides the outputs can be looked at and replaced.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[Place, ...]
    sees_inside: bool

    def has(self, place: Place) -> bool:
        """Whether there is such a tensor to look at."""

    def run(self, feeds: Mapping[str, Array], watched: set[Place], visit: Visit) -> None:
        """Run it on these inputs, all as the model lays them.

        Args:
            watched: the tensors to visit; each must be there (`has`).
            visit: is called with each of them as soon as it is computed; what it returns takes
                the tensor's place for all that comes after it (where `sees_inside`).

        Raises:
            ModelError: it cannot run on these inputs.
        """


def read_record(path: Path) -> Twin | None:
    """The record that our converter put into a model, if there is one; needs no TensorFlow.

    Raises:
        UsageError: there is no such model.
        FileFormatError: the record is damaged.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such model")
    if path.is_dir():
        file = path / _ASSETS / MEMBER
        return Twin.from_json(_text(file.read_bytes(), path), str(path)) if file.is_file() else None
    if not is_zipfile(path):
        return None
    try:
        with ZipFile(path) as archive:
            if MEMBER not in archive.namelist():
                return None
            if archive.getinfo(MEMBER).file_size > _MOST_RECORD:
                raise FileFormatError(f"{path}: its record {MEMBER} is too large to be ours")
            return Twin.from_json(_text(archive.read(MEMBER), path), str(path))
    except (BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise FileFormatError(f"{path}: is a damaged .keras file: {error}") from error


def open_model(model: Any) -> Model:
    """A model from its path, or a Keras model in memory. Imports TensorFlow.

    Raises:
        UsageError: no model of a kind that can be verified.
        FileFormatError: it cannot be loaded.
    """
    from tfcaffe.verify import graph_model, keras_model

    if not isinstance(model, str | PathLike):
        return keras_model.KerasModel(model, "the model")
    path = Path(model)
    if path.is_dir():
        return graph_model.load_saved_model(path)
    if path.suffix == ".pb":
        return graph_model.load_frozen(path)
    if path.suffix in (".keras", ".h5", ".hdf5"):
        return keras_model.load(path)
    raise UsageError(
        f"{path}: is no model that can be run: give a .keras file, a SavedModel directory, a "
        "frozen .pb or a Keras model's .h5"
    )


def first_line(error: Exception) -> str:
    """The first line of what an error of a framework says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: its record {MEMBER} is damaged: {error}") from error
