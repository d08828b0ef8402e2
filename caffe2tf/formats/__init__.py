"""Output formats: one file each, found by their registration."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tfcaffe.errors import UsageError

if TYPE_CHECKING:
    from caffe2tf.convert import Source


@dataclass(frozen=True)
class Format:
    """One way to write a converted net.

    Args:
        name: what `--to` calls it.
        suffix: which outputs are taken for it; empty for a path without a suffix.
        write: writes to a path at which nothing is yet.
        directory: whether the output is a directory.
    """

    name: str
    suffix: str
    write: Callable[[Source, Path], None]
    directory: bool = False


@cache
def registry() -> dict[str, Format]:
    """Formats by name: each module of this folder has one as FORMAT."""
    found = [
        importlib.import_module(f"{__name__}.{module.name}").FORMAT
        for module in pkgutil.iter_modules(__path__)
    ]
    return {entry.name: entry for entry in found}


def find(path: Path, name: str | None) -> Format:
    """The format that `--to` names, or that the path's suffix stands for.

    Raises:
        UsageError: unknown; all that there are are listed.
    """
    known = registry()
    listed = ", ".join(f"{f.name} ({f.suffix or 'a directory'})" for f in known.values())
    if name is not None:
        if name not in known:
            raise UsageError(f"--to {name}: not a format; there are {listed}")
        return known[name]
    for entry in known.values():
        if path.suffix == entry.suffix:
            return entry
    raise UsageError(
        f"{path}: the suffix {path.suffix!r} stands for no format; there are {listed}, and --to "
        "says it for any name"
    )


def write(source: Source, outputs: Sequence[tuple[Path, Format]]) -> None:
    """Write all outputs of one run."""
    for path, entry in outputs:
        entry.write(source, path)
