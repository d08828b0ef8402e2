"""TensorFlow's own reader of checkpoints, with its errors in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError, UnsupportedError
from tfcaffe.input import FileIdentity
from tfcaffe.variables.base import Array, Shape, Variable, natural
from tfcaffe.variables.object_graph import KEY, Told, told
from tfcaffe.variables.roles import with_roles

_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")
_MOST_PACKED = 64  # V1 packs its tables, at the very best so much
_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # of a table, at its end: table's format.h
_QUANTISED = ("qint", "quint")
_NO_NUMBERS = ("string", "resource", "variant")


def is_table(tail: bytes) -> bool:
    """Whether a file ends as a checkpoint's index does (and as V1's only file)."""
    return tail.endswith(_MAGIC)


class Tensors:
    """The tensors of a checkpoint, V1 or V2.

    Args:
        prefix: of the files.
        user: as users called it, for messages.
    """

    def __init__(self, prefix: Path, user: Path) -> None:
        self._prefix, self._user = prefix, user
        self.files = _files(prefix, user)
        self._identities = [FileIdentity.of(file) for file in self.files]
        import tensorflow as tf

        with self._told(f"{user}: cannot be read as a checkpoint"):
            self._reader = tf.train.load_checkpoint(str(prefix))
            shapes = self._reader.get_variable_to_shape_map()
            self._types = self._reader.get_variable_to_dtype_map()
        self.shapes: dict[str, Shape] = {
            name: tuple(int(size) for size in shapes[name]) for name in sorted(shapes, key=natural)
        }
        self.types = {name: self._types[name].name.removesuffix("_ref") for name in shapes}
        self._check_sizes(prefix)

    def read(self, name: str) -> Array:
        """The numbers of one (texts as objects).

        Raises:
            FileFormatError: they are damaged.
        """
        if not all(identity.unchanged() for identity in self._identities):
            raise FileFormatError(f"{self._user}: was changed while it was being read")
        with self._told(f"{self._user}: variable {name!r}: cannot be read"):
            value = self._value(name)
        return np.asarray(value, object) if self.types[name] == "string" else np.asarray(value)

    def _value(self, name: str) -> Any:
        import tensorflow as tf

        try:
            return self._reader.get_tensor(name)
        except tf.errors.UnimplementedError:  # V1, a variable in parts
            dtype = self._types[name]
            return tf.raw_ops.RestoreV2(
                prefix=str(self._prefix), tensor_names=[name], shape_and_slices=[""], dtypes=[dtype]
            )[0].numpy()

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

    def _check_sizes(self, prefix: Path) -> None:
        """Refuse a tensor that is larger than the files, before any memory is taken for it."""
        index = self._identities[0].path == _index(prefix)
        held = sum(identity.size for identity in self._identities[index:])
        most = held if index else held * _MOST_PACKED
        for name, shape in self.shapes.items():
            if self.types[name] in _NO_NUMBERS:
                continue
            size = int(np.prod(shape, dtype=object)) * self._types[name].size
            if size < 0 or size > most:
                raise FileFormatError(
                    f"{self._user}: variable {name!r}: claims the shape {shape}, more than the "
                    "files hold; fetch or save it again"
                )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        import tensorflow as tf

        try:
            yield
        except (
            tf.errors.OpError,
            RuntimeError,
            ValueError,
            TypeError,
            KeyError,
            MemoryError,
        ) as error:
            reason = str(getattr(error, "message", error)).strip().splitlines() or [""]
            raise FileFormatError(f"{what}: {reason[0]}; fetch or save it again") from error


def _index(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def _files(prefix: Path, user: Path) -> list[Path]:
    """All files of a checkpoint.

    Raises:
        FileFormatError: a shard is missing.
    """
    if not _index(prefix).is_file():
        return sorted(prefix.parent.glob(prefix.name)) or [prefix]
    shards = {}
    for file in prefix.parent.iterdir():
        match = _SHARD.search(file.name)
        if match and file.name[: match.start()] == prefix.name:
            shards[int(match[1]), int(match[2])] = file
    if not shards:
        raise FileFormatError(
            f"{user}: has an index, but {prefix.name}.data-00000-of-00001 is missing; copy the "
            "checkpoint with all its files"
        )
    counts = {count for _, count in shards}
    for count in counts if len(counts) == 1 else ():
        for index in range(count):
            if (index, count) not in shards:
                raise FileFormatError(
                    f"{user}: {prefix.name}.data-{index:05}-of-{count:05} is missing; copy the "
                    "checkpoint with all its files"
                )
    return [_index(prefix), *(shards[key] for key in sorted(shards))]
