"""Caffe's schema: BVLC's messages, the forks' additions and a user's own `--proto` files."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tfcaffe.errors import UsageError
from tfcaffe.schema import build, proto
from tfcaffe.schema.merge import merge

_HERE = Path(__file__).parent


class Schema:
    """Message classes made at run time from `.proto` declarations."""

    def __init__(self, root: proto.Message) -> None:
        self._classes = build.classes(root)

    def message(self, name: str) -> Any:
        """The class of a message, e.g. `message("NetParameter")`.

        Raises:
            UsageError: there is no message of that name.
        """
        try:
            return self._classes[name]
        except KeyError:
            raise UsageError(f"the schema has no message called {name}") from None


@cache
def bvlc() -> Schema:
    """BVLC's schema alone: what binary files are read and written with."""
    return Schema(proto.read(_HERE / "bvlc.proto"))


def load(extra: Sequence[Path] = ()) -> Schema:
    """BVLC's schema, the known forks' and the user's own files, which win on a conflict.

    Raises:
        FileFormatError: a file of `extra` cannot be read or contradicts the rest.
    """
    return _load(tuple(Path(path) for path in extra))


@cache
def _load(extra: tuple[Path, ...]) -> Schema:
    root = proto.read(_HERE / "bvlc.proto")
    for name in ("forks.proto", "fork_messages.proto"):
        merge(root, proto.read(_HERE / name), wins=False)
    for path in extra:
        merge(root, proto.read(path), wins=True)
    return Schema(root)
