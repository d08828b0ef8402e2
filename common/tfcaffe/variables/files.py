"""The way to a file of variables, whatever its kind."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tfcaffe.errors import ConversionError, FileFormatError, UsageError
from tfcaffe.variables.base import Variables, some
from tfcaffe.variables.kinds import Items, Kind, Place, registry

_READABLE = (
    "a TensorFlow checkpoint (its prefix), a SavedModel, .keras, .weights.h5, Keras's .h5, "
    ".npz, or an .npy of the older converters"
)


def open_variables(path: str | PathLike[str], like: str | PathLike[str] | None = None) -> Variables:
    """The variables of a file, told by its content; no numbers are read yet.

    Args:
        path: a file, a checkpoint's prefix, its `.index`, or a folder with a `checkpoint` or a
            SavedModel in it.
        like: a `.keras` of the same model, which names the variables of a bare `.weights.h5`.

    Raises:
        UsageError: there is nothing.
        FileFormatError: it is no file of variables, or a damaged one.
    """
    path = Path(path)
    place = Place.of(path)
    for kind in registry():
        if kind.takes(place):
            return kind.read(path, None if like is None else Path(like))
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or checkpoint{_neighbours(path)}")
    if path.suffix == ".pb":
        raise FileFormatError(f"{path}: is a graph; name the SavedModel's folder or a checkpoint")
    raise FileFormatError(f"{path}: holds no variables that can be read; give {_READABLE}")


def refused_like(like: Path, wanted: str) -> UsageError:
    """A `--like` of another kind than is wanted, with what it is."""
    try:
        found = f"is {open_variables(like).kind}"
    except UsageError as error:  # there is nothing, or too much
        return UsageError(f"--like {error}")
    except ConversionError:
        found = "is no file of variables"
    return UsageError(f"--like {like}: {found}; {wanted}")


def needs_tensorflow(path: str | PathLike[str]) -> bool:
    """Whether TensorFlow reads what is there: commands import it in their own quiet way.

    Raises:
        FileFormatError: what is there is damaged.
        UsageError: it is a folder with several checkpoints.
    """
    place = Place.of(Path(path))
    return any(kind.takes(place) and kind.tensorflow(place) for kind in registry())


def _neighbours(path: Path) -> str:
    """The checkpoints beside a path that is not there."""
    try:
        found = sorted(p.name.removesuffix(".index") for p in path.parent.glob("*.index"))
    except OSError:
        return ""
    return f"; the checkpoints in its folder are {some(found)}" if found else ""


def write_variables(
    path: str | PathLike[str],
    items: Items,
    like: str | PathLike[str] | None = None,
    *,
    keep: bool = False,
) -> tuple[str, ...]:
    """Write variables one by one, as they come; the suffix says the kind.

    The caller makes it whole or not at all: `tfcaffe.output.replacing_all(files_of(path))`.

    Args:
        path: `.ckpt`, `.npz` or `.weights.h5`, at which nothing is yet.
        items: names and numbers.
        like: a file whose structure is taken over: names, shapes and types must be its own.
            A `.weights.h5` needs one (a `.keras` or a `.weights.h5` of the same model), and so
            does a checkpoint that TF2 objects restore (that of those objects).
        keep: variables of `like` that are not given keep its numbers; otherwise an error.

    Returns:
        What was decided, for people.

    Raises:
        UsageError: the suffix, the names or the shapes do not fit; `like` is missing.
        FileFormatError: `like` cannot be read.
    """
    path = Path(path)
    write = _writer(path).write
    assert write is not None
    return tuple(write(path, items, None if like is None else Path(like), keep))


def files_of(path: str | PathLike[str]) -> list[Path]:
    """The files that `write_variables` makes for a path.

    Raises:
        UsageError: nothing is written under such a suffix.
    """
    path = Path(path)
    return _writer(path).files(path)


def _writer(path: Path) -> Kind:
    written = [kind for kind in registry() if kind.suffix]
    for kind in written:
        if path.name.endswith(kind.suffix):
            return kind
    suffixes = ", ".join(sorted(kind.suffix for kind in written))
    raise UsageError(f"{path}: variables are written as {suffixes}")
