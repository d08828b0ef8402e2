"""The mappings that come with the package: `mappings/` of the repository, data in the wheel."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from tfcaffe.errors import UsageError

_SUFFIXES = (".yaml", ".yml")
_CONDITION = re.compile(r"^# CONDITION: (.*?\.)[ \n]", re.M | re.S)


def folder() -> Path:
    """Where they are: beside the package in a wheel, in the repository's root from a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "mappings"
    return inside if inside.is_dir() else package.parent.parent / "mappings"


def names() -> list[str]:
    """All that there are."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def show(name: str) -> str:
    """The text of a shipped mapping.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in names():
        raise _no_such(name, "no shipped mapping is called so")
    return (folder() / f"{name}.yaml").read_text(encoding="utf-8")


def conditions(path: Path) -> tuple[str, ...]:
    """What a shipped mapping's comment asks of the Caffe net, for people: its first sentence."""
    if path.parent != folder():
        return ()
    found = _CONDITION.search(path.read_text(encoding="utf-8"))
    if found is None:
        return ()
    said = found.group(1).replace("\n#", "")
    return (f"{path.stem} has a condition ({path}): {said} `mapping check --run` tells",)


def find(name: str | Path) -> Path:
    """The file of a path, or of a shipped mapping's name.

    Raises:
        UsageError: there is neither.
    """
    path = Path(name)
    if path.suffix in _SUFFIXES or path.is_file():
        if not path.is_file():
            raise UsageError(f"{path}: there is no such mapping file")
        return path
    if str(name) in names():
        return folder() / f"{name}.yaml"
    raise _no_such(name, "no mapping file, nor the name of a shipped mapping")


def _no_such(name: str | Path, what: str) -> UsageError:
    near = get_close_matches(str(name), names(), 3)
    hint = f"did you mean {', '.join(near)}?" if near else "`mapping list` shows the shipped ones"
    return UsageError(f"{name}: {what}; {hint}")
