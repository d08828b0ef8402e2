"""An HDF5 file as plain groups, attributes and data sets; numbers are read when they are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError
from tfcaffe.files.hdf5 import check_dataset, is_hard_link, opened
from tfcaffe.input import map_file
from tfcaffe.variables.base import Array, Shape, Variable
from tfcaffe.variables.zipped import Member, Span

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NUMBERS = "fiub"
_MAX_DEPTH = 64
_BFLOAT16 = "bfloat16"  # Keras stores two bytes of no type, and says so in an attribute


@dataclass(frozen=True)
class Source:
    """Where the HDF5 file's bytes are: a file of its own, or a member of an archive."""

    path: Path
    span: Span
    member: Member | None = None

    @classmethod
    def of(cls, path: Path) -> Source:
        """A file of its own.

        Raises:
            UsageError, FileFormatError: it cannot be mapped.
        """
        identity, buffer = map_file(path)
        return cls(path, Span(buffer, 0, identity.size))

    def stream(self) -> Span:
        """Its bytes as a stream from the beginning."""
        return Span(self.span.buffer, self.span.start, self.span.size)


@dataclass(frozen=True)
class Data:
    """One data set of numbers, as a variable without a name but its place."""

    source: Source
    place: str
    shape: Shape
    dtype: str
    offset: int | None
    stored: np.dtype[Any]

    def read(self) -> Array:
        """The numbers: a view of the file where they lie in one piece."""
        if self.source.member:
            self.source.member.check()
        if self.offset is None:
            with opened(self.source.path, self.source.stream()) as file:
                values: Array = file[self.place][()]
        else:
            span = self.source.span
            values = np.ndarray(self.shape, self.stored, span.buffer, span.start + self.offset)
        return self._typed(values)

    def _typed(self, values: Array) -> Array:
        if self.dtype != _BFLOAT16:
            return values
        import ml_dtypes

        return values.view(ml_dtypes.bfloat16)

    def variable(self, name: str, **about: Any) -> Variable:
        """It under a name."""
        return Variable(name, self.shape, self.dtype, self.read, key=self.place, **about)


@dataclass
class Group:
    """A group: its attributes, data sets and groups, in the file's order."""

    place: str
    attributes: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Data] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)  # data sets of no numbers

    def names(self, attribute: str) -> list[str]:
        """An attribute that is a list of names; Keras cuts long ones in pieces (`…0`, `…1`).

        Raises:
            FileFormatError: it holds no text.
        """
        found: list[Any] = []
        keys = [attribute] if attribute in self.attributes else []
        while not keys or f"{attribute}{len(keys) - 1}" in self.attributes:
            if keys and keys[0] == attribute:
                break
            key = f"{attribute}{len(keys)}"
            if key not in self.attributes:
                break
            keys.append(key)
        for key in keys:
            found += np.ravel(self.attributes[key]).tolist()
        return [text(value) for value in found]

    def find(self, place: str) -> Group | Data | None:
        """What is at a path below."""
        at: Group | None = self
        *parts, last = [part for part in place.split("/") if part] or [""]
        for part in parts:
            at = at.groups.get(part) if at else None
        return (at.data.get(last) or at.groups.get(last)) if at else None

    def all_data(self) -> Iterator[Data]:
        """All data sets here and below."""
        waiting = [self]
        while waiting:
            group = waiting.pop()
            yield from group.data.values()
            waiting += reversed(group.groups.values())

    def all_other(self) -> list[str]:
        """All data sets here and below that hold no numbers."""
        return [*self.other, *(name for g in self.groups.values() for name in g.all_other())]


def text(value: Any) -> str:
    """An attribute's text, stored as bytes or as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def tree(source: Source) -> Group:
    """All of a file's groups.

    Raises:
        FileFormatError: it is damaged, has links, or lies partly in other files.
    """
    import h5py

    path = source.path
    root = Group("")
    seen = set()
    with opened(path, source.stream()) as file:
        waiting = [(root, file["/"])]
        while waiting:
            group, handle = waiting.pop()
            address = h5py.h5o.get_info(handle.id).addr
            if address in seen or group.place.count("/") > _MAX_DEPTH:
                raise FileFormatError(f"{path}: group {group.place} comes twice or lies too deep")
            seen.add(address)
            group.attributes = dict(handle.attrs)
            for key in handle:
                place = f"{group.place}/{key}"
                if not is_hard_link(handle, key):
                    raise FileFormatError(f"{path}: {place} is a link; give a file without links")
                child = handle[key]
                if isinstance(child, h5py.Group):
                    group.groups[key] = Group(place)
                    waiting.append((group.groups[key], child))
                elif isinstance(child, h5py.Dataset):
                    _add(group, key, _data(source, place, child))
    return root


def _add(group: Group, key: str, data: Data | None) -> None:
    if data is None:
        group.other.append(f"{group.place}/{key}")
    else:
        group.data[key] = data


def _data(source: Source, place: str, dataset: Any) -> Data | None:
    where = f"{source.path}: {place}"
    stored, shape = dataset.dtype, dataset.shape
    half = text(dataset.attrs.get("dtype", "")) == _BFLOAT16 and stored.itemsize == 2
    if shape is None or not (half or stored.kind in _NUMBERS):
        return None
    check_dataset(where, dataset)
    offset = dataset.id.get_offset()
    if dataset.chunks or dataset.file.userblock_size:
        offset = None
    if offset is not None and offset + dataset.nbytes > source.span.size:
        raise FileFormatError(f"{where}: lies beyond the end of the file")
    name = _BFLOAT16 if half else stored.name
    return Data(source, place, shape, name, offset, stored)
