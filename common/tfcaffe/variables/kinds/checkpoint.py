"""TensorFlow's checkpoints: by names (TF1) and by objects (TF2), V2 files and V1's single one."""

from __future__ import annotations

import re
from pathlib import Path

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.variables import bundle
from tfcaffe.variables.base import Variables, gathered
from tfcaffe.variables.kinds import Items, Kind, Place
from tfcaffe.variables.table import is_table
from tfcaffe.variables.template import Template
from tfcaffe.variables.tensors import Tensors, needs_tensorflow

_PART = re.compile(r"(\.index|\.meta|\.data-\d{5}-of-\d{5})$")
_STATE = "checkpoint"
_LATEST = re.compile(r'^model_checkpoint_path:\s*"((?:[^"\\]|\\.)*)"', re.M)
_SHARDS_OF_V1 = "-?????-of-?????"


def _takes(place: Place) -> bool:
    if place.path.is_dir():
        return not _saved_model(place.path) and bool(_of_folder(place.path))
    return is_table(place.tail) or _prefix(place.path) is not None


def _saved_model(folder: Path) -> bool:
    return any((folder / f"saved_model.{end}").exists() for end in ("pb", "pbtxt"))


def _of_folder(folder: Path) -> list[Path]:
    """The checkpoint that a folder's `checkpoint` file names, or all that lie there."""
    state = folder / _STATE
    if state.is_file():
        match = _LATEST.search(state.read_text("utf-8", "replace"))
        if match:
            named = Path(re.sub(r"\\(.)", r"\1", match[1]))
            return [named if named.is_absolute() and _is_prefix(named) else folder / named.name]
    return sorted(file.with_suffix("") for file in folder.glob("*.index"))


def _is_prefix(path: Path) -> bool:
    try:
        return path.with_name(f"{path.name}.index").is_file()
    except ValueError:  # no name
        return False


def _prefix(path: Path) -> Path | None:
    """The prefix that a user's path means: itself, or of one of the files."""
    if _is_prefix(path):
        return path
    part = _PART.search(path.name)
    if part and (path.exists() or _is_prefix(path.with_name(path.name[: part.start()]))):
        return path.with_name(path.name[: part.start()])
    if path.name == _STATE and path.is_file():
        return _only(path.parent)
    shards = path.with_name(f"{path.name}{_SHARDS_OF_V1}") if path.name else path
    if not path.exists() and path.name and any(path.parent.glob(shards.name)):
        return shards
    return None


def _only(folder: Path) -> Path:
    found = _of_folder(folder)
    if len(found) != 1:
        names = ", ".join(prefix.name for prefix in found) or "none"
        raise UsageError(f"{folder}: name one checkpoint; there are {names}")
    return found[0]


def _meant(path: Path) -> Path:
    return _only(path) if path.is_dir() else _prefix(path) or path


def _needs_tensorflow(place: Place) -> bool:
    return needs_tensorflow(_meant(place.path))


def read(path: Path, like: Path | None = None) -> Variables:
    """The variables by name; what was taken where the path is no prefix stands in a note.

    Raises:
        UsageError: a folder with several checkpoints.
        FileFormatError: it is damaged or incomplete.
    """
    prefix = _meant(path)
    if prefix != path and not _is_prefix(prefix) and _SHARDS_OF_V1 not in prefix.name:
        raise FileFormatError(
            f"{path}: belongs to the checkpoint {prefix}, of which {prefix.name}.index is missing"
        )
    tensors = Tensors(prefix, prefix)
    kind, found, notes = tensors.variables()
    if prefix != path:
        notes = [f"the checkpoint is {prefix}", *notes]
    return gathered(prefix, kind, found, notes, tensors.files)


def write(path: Path, items: Items, like: Path | None = None, keep: bool = False) -> list[str]:
    """A checkpoint by names, or with `like` one of the same keys, that its reader restores.

    Raises:
        UsageError: a name or shape is not one of `like`, or `like` is no checkpoint.
    """
    if like is None:
        with bundle.BundleWriter(path) as writer:
            for name, array in items:
                writer.add(name, array)
            writer.finish()
        return []
    if not _takes(Place.of(like)):
        from tfcaffe.variables.files import refused_like

        raise refused_like(like, f"{path.name} is a checkpoint, and takes over that of another one")
    variables = read(like)
    template = Template(variables)
    tensors = Tensors(variables.path, like)
    done = set()
    with bundle.BundleWriter(path) as writer:
        for name, array in items:
            variable, numbers = template.fit(name, array)
            writer.add(variable.key, numbers)
            done.add(variable.key)
        _, notes = template.rest(keep)
        for key in tensors.shapes:  # texts, too: the graph of objects is one
            if key not in done:
                writer.add(key, tensors.read(key), tensors.types[key])
        writer.finish()
    return notes


KIND = Kind(_takes, read, ".ckpt", write, bundle.files, tensorflow=_needs_tensorflow)
