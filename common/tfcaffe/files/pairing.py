"""A prototxt and the caffemodel that was written with it: a comment in the first tells them apart.

Weights may well be trained further, so that others than these are no error; they are told.
"""

from __future__ import annotations

import re
from pathlib import Path

from google_crc32c import extend

_LINE = re.compile(rb"^# its weights: (\d+) bytes, CRC-32C ([0-9a-f]{8})\r?$", re.M)
_HEAD = 1 << 12  # bytes of a prototxt in which the comment stands
_PIECE = 1 << 24


def comment(weights: Path) -> str:
    """The line, without its `#`, that names a file of weights."""
    size, digest = _digest(weights)
    return f"its weights: {size} bytes, CRC-32C {digest}"


def mixed(net: Path, weights: Path) -> list[str]:
    """A note if a prototxt says that it was written with other weights."""
    said = apart(net, weights)
    return [f"{said}; was it trained further?"] if said else []


def apart(net: Path, weights: Path) -> str:
    """That a prototxt was written with other weights, if it says so; else empty."""
    try:
        with net.open("rb") as file:
            found = _LINE.search(file.read(_HEAD))
        if found is None:
            return ""
        size, digest = int(found[1]), found[2].decode()
        same = weights.stat().st_size == size and _digest(weights)[1] == digest
    except (OSError, ValueError):  # no file of its own: the net that a caffemodel carries
        return ""
    return "" if same else f"{weights} is not the file that {net.name} was written with"


def _digest(path: Path) -> tuple[int, str]:
    size = crc = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            size += len(piece)
            crc = extend(crc, piece)
    return size, f"{crc:08x}"
