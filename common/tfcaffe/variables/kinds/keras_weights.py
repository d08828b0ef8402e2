"""Keras 3's `.weights.h5` and `.keras`, without Keras."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.files.hdf5 import opened
from tfcaffe.variables.base import Array, Variable, Variables, gathered, some
from tfcaffe.variables.h5tree import SIGNATURE, Group, Source, tree
from tfcaffe.variables.keras_config import epsilons, ordering
from tfcaffe.variables.keras_names import named
from tfcaffe.variables.kinds import Items, Kind, Place
from tfcaffe.variables.template import Template
from tfcaffe.variables.zipped import Member, is_zip, members

_WEIGHTS = "model.weights.h5"
_CONFIG = "config.json"
_METADATA = "metadata.json"
_ROOT = {"vars", "layers", "_layer_checkpoint_dependencies"}
_MOST_CONFIG = 1 << 28
_NAMES = "the variables of a .weights.h5 are named by a .keras (of Keras 3) of the same model"


def _takes(place: Place) -> bool:
    if is_zip(place.head):
        return _WEIGHTS in members(place.path)[1]
    return place.head.startswith(SIGNATURE) and bool(
        _ROOT & tree(Source.of(place.path)).groups.keys()
    )


def read(path: Path, like: Path | None = None) -> Variables:
    """The variables under Keras's paths; of a bare weights file, those need `like`.

    Raises:
        UsageError: `like` is no `.keras`, or of another model.
        FileFormatError: it is damaged.
    """
    source, model = _open(path)
    root = tree(source)
    kind = "a Keras model" if source.member else "a Keras weights file"
    files, notes = [path], []
    if model:
        found = named(root, model.config, model.version)
    elif like is not None:
        found = _named_like(path, root, like)
        files.append(like)
    else:
        found = named(root, None)
        notes.append(
            "keyed by structure: variables are numbered in each layer; --like MODEL.keras has names"
        )
    if other := root.all_other():
        notes.append(f"{some(other)}: no numbers, left out")
    read = gathered(path, kind, found, notes, files)
    if model is None:
        return read
    return replace(read, epsilons=epsilons(model.config), ordering=ordering(model.config))


@dataclass(frozen=True)
class _Model:
    """What a `.keras` says of its model."""

    config: Mapping[str, Any]
    version: str


def _open(path: Path) -> tuple[Source, _Model | None]:
    """The HDF5 file that holds the weights, and of a `.keras` the model."""
    with path.open("rb") as file:
        if not is_zip(file.read(4)):
            return Source.of(path), None
    _, found = members(path)
    if _CONFIG not in found:
        raise FileFormatError(f"{path}: has no {_CONFIG}; save the model again")
    about = _parsed(found[_METADATA]) if _METADATA in found else {}
    model = _Model(_parsed(found[_CONFIG]), str(about.get("keras_version", "3")))
    member = found[_WEIGHTS]
    return Source(path, member.span(), member), model


def _parsed(member: Member) -> Mapping[str, Any]:
    if member.size > _MOST_CONFIG:
        raise FileFormatError(f"{member.where}: is far too long")
    try:
        with member.stream() as stream:
            config = json.loads(stream.read())
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{member.where}: is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise FileFormatError(f"{member.where}: is not what Keras writes")
    return config


def _named_like(path: Path, root: Group, like: Path) -> list[Variable]:
    """The variables of a bare weights file by the names of those at their places in `like`.

    The file's own names of layers do not count: automatic ones differ from run to run.

    Raises:
        UsageError: `like` is no `.keras`, or of another structure.
    """
    from tfcaffe.variables.files import refused_like

    if not _takes(Place.of(like)):
        raise refused_like(like, _NAMES)
    source, model = _open(like)
    if model is None:
        raise refused_like(like, _NAMES)
    mine = {v.key: v for v in named(root, None)}
    theirs = {v.key: v for v in named(tree(source), model.config, model.version)}
    own = [key for found in (theirs, mine) for key, v in found.items() if not v.role]
    for key in own:
        here, there = (found[key].shape if key in found else None for found in (mine, theirs))
        if here != there:
            raise UsageError(
                f"--like {like}: is of another model than {path}: {key} has shape {there} there "
                f"and {here} here"
            )
    names = {key: theirs[key].name for key in own}
    ordered = [mine[key] for key in names] + [v for v in mine.values() if v.key not in names]
    return [replace(v, name=names.get(v.key, v.name)) for v in ordered]


def write(path: Path, items: Items, like: Path | None = None, keep: bool = False) -> list[str]:
    """A weights file of the structure of `like`, with other numbers.

    Raises:
        UsageError: there is no `like`, or a name or shape is not one of its own.
    """
    if like is None:
        raise UsageError(
            f"{path}: is keyed by structure; give --like MODEL.keras or OLD.weights.h5"
        )
    if not _takes(Place.of(like)):
        from tfcaffe.variables.files import refused_like

        raise refused_like(
            like, f"{path.name} takes over the structure of a .keras or .weights.h5 of Keras 3"
        )
    template = Template(read(like))
    import h5py

    source, _ = _open(like)
    with h5py.File(path, "w") as file, opened(like, source.stream()) as old:
        _structure(file, tree(source), old)
        for name, array in items:
            _store(file, *template.fit(name, array))
        kept, notes = template.rest(keep)
        for variable in kept:
            _store(file, variable, variable.read())
    return notes


def _structure(file: Any, root: Group, old: Any) -> None:
    """All groups with their attributes, and what holds no numbers."""
    waiting = [root]
    while waiting:
        group = waiting.pop()
        handle = file.require_group(group.place or "/")
        for key, value in group.attributes.items():
            handle.attrs[key] = value
        for place in group.other:
            file[place] = old[place][()]
        waiting += group.groups.values()


def _store(file: Any, variable: Variable, array: Array) -> None:
    dataset = file.create_dataset(variable.key, data=array)
    if variable.dtype == "bfloat16":
        dataset.attrs["dtype"] = "bfloat16"


KIND = Kind(_takes, read, ".weights.h5", write)
