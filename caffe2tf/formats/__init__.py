"""Output formats: one file each, found by their registration."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from caffe2tf.source import Source
from tfcaffe.errors import UsageError
from tfcaffe.progress import part
from tfcaffe.tables import modules

log = logging.getLogger("caffe2tf")


def _itself(path: Path) -> list[Path]:
    return [path]


@dataclass(frozen=True)
class Format:
    """One way to write a converted net.

    Args:
        name: what `--to` calls it.
        suffix: which outputs are taken for it; empty for a path without a suffix.
        write: writes to a path at which nothing is yet, and has notes for people.
        directory: whether the output is a directory.
        files: what is written for a path, where that is not the path itself.
        tensorflow: whether writing needs TensorFlow.
    """

    name: str
    suffix: str
    write: Callable[[Source, Path], Sequence[str]]
    directory: bool = False
    files: Callable[[Path], list[Path]] = _itself
    tensorflow: bool = True


@dataclass(frozen=True)
class Target:
    """An output that the user named, and its format."""

    path: Path
    format: Format

    @property
    def files(self) -> list[Path]:
        """What will be written for it."""
        return self.format.files(self.path)


@cache
def registry() -> dict[str, Format]:
    """Formats by name: each module of this folder has one as FORMAT."""
    found = modules(__name__, __path__)
    return {module.FORMAT.name: module.FORMAT for module in found}


def find(path: Path, name: str | None) -> Format:
    """The format that `--to` names, or that the path's suffix stands for.

    Raises:
        UsageError: unknown; all that there are are listed.
    """
    if name == "python" or (name is None and path.suffix == ".py"):
        raise UsageError(
            f"{path}: Python source is not written yet; write a .keras or a SavedModel"
        )
    known = registry()
    listed = ", ".join(f"{f.name} ({f.suffix or 'a directory'})" for f in known.values())
    if name is not None:
        if name not in known:
            raise UsageError(f"--to {name}: not a format; there are {listed}")
        return known[name]
    fitting = [f for f in known.values() if f.suffix and path.name.endswith(f.suffix)]
    if fitting:
        return max(fitting, key=lambda f: len(f.suffix))
    if not path.suffix:
        return next(f for f in known.values() if not f.suffix)
    raise UsageError(
        f"{path}: the suffix {path.suffix!r} stands for no format; there are {listed}, and --to "
        "says it for any name"
    )


def write(source: Source, targets: Sequence[Target], places: Iterable[Path]) -> list[str]:
    """Write all outputs of one run: each file of each target to its temporary place.

    Returns:
        Notes, each once.
    """
    remaining = iter(places)
    notes: list[str] = []
    for i, target in enumerate(targets):
        start = time.perf_counter()
        mine = [next(remaining) for _ in target.files]
        path = mine[0].with_name(target.path.name)
        watch = part(source.watch, target.path.name, i, len(targets))
        notes += target.format.write(replace(source, watch=watch), path)
        seconds = time.perf_counter() - start
        log.debug("%s (%s): made in %.1f s", target.path, target.format.name, seconds)
        for made, place in zip(target.format.files(path), mine, strict=True):
            if made != place:
                made.rename(place)
    return list(dict.fromkeys(notes))
