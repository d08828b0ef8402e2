"""A checkpoint's tensors, and the variables that they are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from glob import escape
from pathlib import Path

import numpy as np

from tfcaffe.errors import FileFormatError, UnsupportedError
from tfcaffe.input import FileIdentity
from tfcaffe.variables import bundle
from tfcaffe.variables.base import Array, Variable, natural
from tfcaffe.variables.bundle_reader import BundleReader, Index
from tfcaffe.variables.object_graph import KEY, Told, told
from tfcaffe.variables.roles import with_roles
from tfcaffe.variables.tensorflow_reader import TensorFlowReader

_SHARDS = ".data-?????-of-?????"
_QUANTISED = ("qint", "quint")
_NO_NUMBERS = ("string", "resource", "variant")


class Tensors:
    """The tensors of a checkpoint, V1 or V2.

    Args:
        prefix: of the files.
        user: as users called it, for messages.

    Raises:
        FileFormatError: it is damaged, or a shard is missing.
    """

    def __init__(self, prefix: Path, user: Path) -> None:
        self._user = user
        index = index_of(prefix, user)
        self.files = _files(prefix, user, index)
        self._identities = [FileIdentity.of(file) for file in self.files]
        self._reader: BundleReader | TensorFlowReader
        if index and index.entries is not None:
            self._reader = BundleReader(index.entries, self.files[1:], user)
        else:
            self._reader = TensorFlowReader(prefix, self.files, user)
        self.types = self._reader.types
        self.shapes = {n: self._reader.shapes[n] for n in sorted(self._reader.shapes, key=natural)}

    def read(self, name: str) -> Array:
        """The numbers of one (texts as objects); they may be a view of the file.

        Raises:
            FileFormatError: they are damaged.
        """
        if not all(identity.unchanged() for identity in self._identities):
            raise FileFormatError(f"{self._user}: was changed while it was being read")
        return self._reader.read(name)

    def variables(self) -> tuple[str, list[Variable], list[str]]:
        """What kind of checkpoint it is, its variables, and notes.

        Raises:
            FileFormatError: it is damaged.
        """
        skipped = [n for n in self.shapes if self.types[n] in _NO_NUMBERS and n != KEY]
        notes = [f"{', '.join(skipped[:3])}: no numbers, left out"] if skipped else []
        if KEY not in self.shapes:
            names = [n for n in self.shapes if self.types[n] not in _NO_NUMBERS]
            found = [self._variable(n, n) for n in names]
            return "a TF1 checkpoint", with_roles(found), notes
        entries, more = told(self._user, bytes(self.read(KEY).item()))
        found = []
        for entry in entries:
            if entry.key not in self.shapes:
                raise FileFormatError(f"{self._user}: lists {entry.name}, which it does not hold")
            if self.types[entry.key] not in _NO_NUMBERS:
                variable = self._variable(entry.name, entry.key)
                read = partial(self._both, entry) if entry.twin in self.shapes else variable.read
                found.append(replace(variable, role=entry.role, base=entry.base, read=read))
        return "a TF2 checkpoint", with_roles(found), notes + more

    def _variable(self, name: str, key: str) -> Variable:
        dtype = self.types[key]
        read = partial(self._refuse, name) if dtype.startswith(_QUANTISED) else None
        return Variable(name, self.shapes[key], dtype, read or partial(self.read, key), key=key)

    def _both(self, entry: Told) -> Array:
        """The numbers of a variable that the file holds twice.

        Raises:
            FileFormatError: its copies differ.
        """
        array = self.read(entry.key)
        one, other = (np.ravel(a).view(np.uint8) for a in (array, self.read(entry.twin)))
        if not np.array_equal(one, other):
            raise FileFormatError(
                f"{self._user}: holds variable {entry.name!r} twice, with different numbers; "
                "export the model again"
            )
        return array

    def _refuse(self, name: str) -> Array:
        raise UnsupportedError(
            f"{self._user}: variable {name!r}: is quantised, and the checkpoint does not say its "
            "range; give the checkpoint of before, or ignore the variable"
        )


def index_of(prefix: Path, user: Path) -> Index | None:
    """What the index of a checkpoint says; None if it has none, as V1.

    Raises:
        FileFormatError: it is damaged.
    """
    path, *_ = bundle.files(prefix)
    return Index.read(path, user) if path.is_file() else None


def needs_tensorflow(prefix: Path) -> bool:
    """Whether only TensorFlow's own reader reads a checkpoint.

    Raises:
        FileFormatError: it is damaged.
    """
    index = index_of(prefix, prefix)
    return index is None or index.entries is None


def _files(prefix: Path, user: Path, index: Index | None) -> list[Path]:
    """All files of a checkpoint, V2's index in front.

    Raises:
        FileFormatError: a shard is missing.
    """
    first, *_ = bundle.files(prefix)
    if index is None:
        return sorted(prefix.parent.glob(prefix.name)) or [prefix]
    if not index.shards:
        return [first, *sorted(prefix.parent.glob(f"{escape(prefix.name)}{_SHARDS}"))]
    found = bundle.files(prefix, index.shards)
    for file in found:
        if not file.is_file():
            raise FileFormatError(
                f"{user}: {file.name} is missing; copy the checkpoint with all its files"
            )
    return found
