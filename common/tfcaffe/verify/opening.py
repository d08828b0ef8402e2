"""Models as files: which kind one is, the record in it, and how it is opened."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.files import wire
from tfcaffe.files.file_kind import is_hdf5
from tfcaffe.input import map_file
from tfcaffe.twin import ASSETS, FIELD, MEMBER, Twin
from tfcaffe.verify import graph_model, keras_model
from tfcaffe.verify.model import Model

_MODELS = "a .keras file, a SavedModel directory, a frozen .pb or a Keras model's .h5"
_NO_MODELS = {
    ".npz": "a file of NumPy arrays",
    ".tflite": "a TensorFlow Lite model",
    ".weights.h5": "a file of Keras weights without their model",
    ".ckpt": "a TensorFlow checkpoint",
    ".ckpt.index": "a part of a TensorFlow checkpoint",
}
_CAFFES = {".caffemodel": "Caffe's weights", ".prototxt": "a Caffe net"}
_MOST_RECORD = 64 << 20  # bytes; the largest net's record is far below one MiB


def read_record(path: Path) -> Twin | None:
    """The record that our converter put into a model, if there is one; needs no TensorFlow.

    Raises:
        UsageError: there is no such model, or it is of a kind that cannot be run.
        FileFormatError: the record is damaged.
    """
    if path.suffix in _CAFFES:
        raise UsageError(
            f"{path}: is {_CAFFES[path.suffix]}, not the TensorFlow model, which comes last: name "
            "the net, its weights (if it has any) and the model, in this order"
        )
    if kind := _no_model(path):
        raise UsageError(
            f"{path}: is {kind}, which verify cannot run; it takes {_MODELS}. Convert to .keras "
            "as well (-o net.keras), and verify that"
        )
    if not path.exists():
        raise UsageError(f"{path}: there is no such model")
    if path.is_dir():
        file = path / ASSETS / MEMBER
        return _record(file.read_bytes(), path) if file.is_file() else None
    if path.suffix == ".pb":
        return _record_in_message(path)
    if not is_zipfile(path):
        return None
    try:
        with ZipFile(path) as archive:
            if MEMBER not in archive.namelist():
                return None
            if archive.getinfo(MEMBER).file_size > _MOST_RECORD:
                raise FileFormatError(f"{path}: its record {MEMBER} is too large to be ours")
            return _record(archive.read(MEMBER), path)
    except (BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise FileFormatError(f"{path}: is a damaged .keras file: {error}") from error


def record_beside(weights: Path) -> Twin | None:
    """What a caffemodel says of the model that it was made of, if anything."""
    return _record_in_message(weights) if weights.suffix == ".caffemodel" else None


def open_model(model: Any, *, recorded: bool, trust: bool = False) -> Model:
    """A model from its path, or a Keras model in memory. Imports TensorFlow.

    Args:
        recorded: whether a record says where blobs are in it.
        trust: whether code in it may run (Lambda layers).

    Raises:
        UsageError: no model of a kind that can be verified.
        FileFormatError: it cannot be loaded.
    """
    if not isinstance(model, str | PathLike):
        return keras_model.KerasModel(model, "the model")
    path = Path(model)
    if path.is_dir():
        return graph_model.load_saved_model(path, inside=recorded)
    if path.suffix == ".pb":
        return graph_model.load_frozen(path)
    if path.suffix in (".keras", ".h5", ".hdf5"):
        return keras_model.load(path, trust)
    raise UsageError(f"{path}: is no model that can be run: verify takes {_MODELS}")


def is_model(path: Path) -> bool:
    """Whether a file of variables is a model, too, that `open_model` opens."""
    if path.is_dir():
        return any((path / f"saved_model.{end}").is_file() for end in ("pb", "pbtxt"))
    return path.suffix in (".keras", ".h5", ".hdf5") and not _no_model(path)


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


def _record_in_message(path: Path) -> Twin | None:
    """What stands in a frozen graph's file, or a caffemodel, besides what others read."""
    if not path.is_file() or not path.stat().st_size:
        return None
    _, data = map_file(path)
    try:
        for field in wire.fields(data, 0, len(data)):
            if field.number == FIELD and field.end - field.start <= _MOST_RECORD:
                return _record(bytes(data[field.start : field.end]), path)
    except wire.WireError:  # damaged, which TensorFlow says in its own words
        return None
    return None


def _record(data: bytes, path: Path) -> Twin:
    try:
        return Twin.from_json(data.decode(), str(path))
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: its record {MEMBER} is damaged: {error}") from error
