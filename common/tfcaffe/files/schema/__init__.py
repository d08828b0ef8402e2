"""Caffe's schema: BVLC's messages, the forks' additions and a user's own `--proto` files."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tfcaffe.errors import UsageError
from tfcaffe.files.schema import build, proto
from tfcaffe.files.schema.merge import merge

_HERE = Path(__file__).parent
_BVLC = ("bvlc.proto", "bvlc_old.proto")
_FORKS = ("forks.proto", "fork_detection.proto", "fork_layers.proto", "fork_more.proto")


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
    return Schema(_merged(_BVLC))


def load(extra: Sequence[Path] = ()) -> Schema:
    """BVLC's schema, the known forks' and the user's own files, which win on a conflict.

    Raises:
        FileFormatError: a file of `extra` cannot be read or contradicts the rest.
    """
    return _load(tuple(Path(path) for path in extra))


@cache
def _load(extra: tuple[Path, ...]) -> Schema:
    root = _merged(_BVLC + _FORKS)
    for path in extra:
        merge(root, proto.read(path), wins=True)
    return Schema(root)


def _merged(names: Sequence[str]) -> proto.Message:
    root = proto.Message("")
    for name in names:
        merge(root, proto.read(_HERE / name), wins=False)
    return root


def fork_fields(message: Any) -> tuple[str, ...]:
    """The set fields of a message, at any depth, that BVLC's schema does not have.

    Dotted names, e.g. ("pooling_param.ceil_mode",): what no rule of BVLC's layers accounts for.
    """
    known = bvlc().message(message.DESCRIPTOR.name).DESCRIPTOR.fields_by_name
    found: list[str] = []
    for field, value in message.ListFields():
        if field.name not in known:
            found.append(field.name)
        elif field.message_type is not None:
            for item in [value] if hasattr(value, "ListFields") else value:
                found += (f"{field.name}.{name}" for name in fork_fields(item))
    return tuple(dict.fromkeys(found))
