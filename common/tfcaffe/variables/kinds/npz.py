"""`.npz`: one array per member; NumPy's own format, read without `np.load`."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.memory_order import Apart
from tfcaffe.variables.base import Array, Shape, Variable, Variables, gathered, some
from tfcaffe.variables.kinds import Items, Kind, Place
from tfcaffe.variables.roles import with_roles
from tfcaffe.variables.template import Template
from tfcaffe.variables.zipped import Member, is_zip, members

_SUFFIX = ".npy"
_CHUNK = 1 << 24
_NUMBERS = "fiub"
_HEADER_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    TokenError,
    RecursionError,
    MemoryError,
    EOFError,
)


def _takes(place: Place) -> bool:
    if not is_zip(place.head):
        return False
    names = members(place.path)[1]
    return any(name.endswith(_SUFFIX) for name in names) or place.path.suffix == ".npz"


def read(path: Path, like: Path | None = None) -> Variables:
    """The arrays by member name, mapped where they are not compressed.

    Raises:
        FileFormatError: a member is no array, holds pickled objects, or claims too much.
    """
    identity, found = members(path)
    variables, skipped = [], []
    for name, member in found.items():
        if not name.endswith(_SUFFIX) or name == _SUFFIX:
            raise FileFormatError(
                f"{member.where}: is no array (NAME{_SUFFIX}); write the file with np.savez"
            )
        variable = _variable(name.removesuffix(_SUFFIX), member)
        if variable is None:
            skipped.append(name)
        else:
            variables.append(variable)
    notes = [f"{some(skipped)}: no numbers, left out"] if skipped else []
    return gathered(path, "a NumPy archive", with_roles(variables), notes, [identity.path])


def _variable(name: str, member: Member) -> Variable | None:
    with member.stream() as stream:
        shape, fortran, dtype = header(member.where, stream)
        size = stream.tell()
    if dtype.hasobject:
        raise FileFormatError(
            f"{member.where}: holds pickled objects, which could run code; save plain arrays"
        )
    count = int(np.prod(shape, dtype=object))
    if member.size - size != count * dtype.itemsize:
        raise FileFormatError(
            f"{member.where}: claims {shape} numbers of {dtype}, but holds {member.size - size} "
            "bytes"
        )
    if dtype.kind not in _NUMBERS:
        return None
    order = "F" if fortran else "C"
    read = partial(_view, member, size, shape, dtype, order) if member.stored else None
    return Variable(name, shape, dtype.name, read or partial(_unpacked, member))


def header(where: str, stream: IO[bytes]) -> tuple[Shape, bool, np.dtype[Any]]:
    """What an `.npy` says of itself; the stream is then at its numbers.

    Raises:
        FileFormatError: it is damaged or of a form that holds no plain numbers.
    """
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"format {version[0]}.{version[1]} is for structures")
    except _HEADER_ERRORS as error:
        raise FileFormatError(f"{where}: is no sound .npy: {error}") from error
    if any(size < 0 for size in shape):
        raise FileFormatError(f"{where}: has a shape that cannot be: {shape}")
    return shape, fortran, dtype


def _view(member: Member, skip: int, shape: Shape, dtype: np.dtype[Any], order: Any) -> Array:
    member.check()
    span = member.span()
    return np.ndarray(shape, dtype, span.buffer, span.start + skip, order=order)


def _unpacked(member: Member) -> Array:
    with member.stream() as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # to the end, where the checksum is compared
    return array


def write(path: Path, items: Items, like: Path | None = None, keep: bool = False) -> list[str]:
    """Each array as it comes, not compressed; its name may hold "/".

    Raises:
        UsageError: a name occurs twice, or does not fit `like`.
    """
    template = None
    if like is not None:
        from tfcaffe.variables.files import open_variables

        template = Template(open_variables(like))
    notes: list[str] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in items:
            _write_one(archive, name, template.fit(name, array)[1] if template else array)
        if template:
            kept, notes = template.rest(keep)
            for variable in kept:
                _write_one(archive, variable.name, variable.read())
    return notes


def _write_one(archive: zipfile.ZipFile, name: str, given: Array | Apart) -> None:
    if f"{name}{_SUFFIX}" in archive.NameToInfo:
        raise UsageError(f"variable {name!r}: is given twice")
    array = np.asarray(given, order="C")
    with archive.open(f"{name}{_SUFFIX}", "w", force_zip64=True) as member:
        about = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(member, about)
        flat = array.reshape(-1).view(np.uint8)
        for at in range(0, flat.size, _CHUNK):
            member.write(flat[at : at + _CHUNK].data)


KIND = Kind(_takes, read, ".npz", write)
