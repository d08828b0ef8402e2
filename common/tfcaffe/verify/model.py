"""A TensorFlow model as `verify` sees it: named inputs, and tensors that can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile, ZipFile, is_zipfile

from tfcaffe.errors import ConversionError, FileFormatError, UsageError
from tfcaffe.files.file_kind import is_hdf5
from tfcaffe.twin import MEMBER, Twin
from tfcaffe.verify.compare import Array

Place = tuple[str, int]  # a node's name, and which of its outputs
Visit = Callable[[Place, Array], "Array | None"]
_MODELS = "a .keras file, a SavedModel directory, a frozen .pb or a Keras model's .h5"
_NO_MODELS = {
    ".npz": "a file of NumPy arrays",
    ".tflite": "a TensorFlow Lite model",
    ".weights.h5": "a file of Keras weights without their model",
    ".ckpt": "a TensorFlow checkpoint",
    ".ckpt.index": "a part of a TensorFlow checkpoint",
}
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
        UsageError: there is no such model, or it is of a kind that cannot be run.
        FileFormatError: the record is damaged.
    """
    if kind := _no_model(path):
        raise UsageError(
            f"{path}: is {kind}, which verify cannot run; it takes {_MODELS}. Convert to .keras "
            "as well (-o net.keras), and verify that"
        )
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
    raise UsageError(f"{path}: is no model that can be run: verify takes {_MODELS}")


def first_line(error: Exception) -> str:
    """The first line of what an error of a framework says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _no_model(path: Path) -> str:
    """What an output of `convert` is that is no model; empty for anything else."""
    for suffix, kind in _NO_MODELS.items():
        if path.name.endswith(suffix) and not path.is_dir():
            return kind
    if not path.exists() and path.with_name(f"{path.name}.index").is_file():
        return _NO_MODELS[".ckpt"]
    if path.suffix in (".h5", ".hdf5") and path.is_file() and is_hdf5(path):
        import h5py

        try:
            with h5py.File(path, "r") as file:
                return "" if "model_config" in file.attrs else "an HDF5 file of arrays"
        except OSError:  # damaged, which Keras says in its own words
            return ""
    return ""


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: its record {MEMBER} is damaged: {error}") from error
