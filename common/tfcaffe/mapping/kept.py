"""`--base`: blobs that a mapping leaves out keep the numbers of an old caffemodel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike

from tfcaffe.bind import Binding, bind
from tfcaffe.load import load_weights
from tfcaffe.mapping.pairs import NEAREST, Blob
from tfcaffe.mapping.resolve import Resolved


@dataclass(frozen=True)
class Kept:
    """What an old caffemodel gives.

    Args:
        path: as the user named it.
        blobs: those that the mapping leaves out, by name or without a word.
        numbers: of these; of other layers there are none.
    """

    path: str
    blobs: tuple[Blob, ...]
    numbers: Binding

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided, for people."""
        if not self.blobs:
            return (
                *self.numbers.notes,
                f"the mapping fills every blob: --base {self.path} is idle",
            )
        names = [str(blob) for blob in self.blobs]
        more = f" and {len(names) - NEAREST} more" if len(names) > NEAREST else ""
        count = "1 blob keeps" if len(names) == 1 else f"{len(names)} blobs keep"
        said = f"{count} what {self.path} has: {', '.join(names[:NEAREST])}{more}"
        return (*self.numbers.notes, said)


def keep(resolved: Resolved, base: str | PathLike[str]) -> Kept:
    """The blobs that the mapping leaves out, in the old file; its other layers may be of any size.

    Raises:
        ConversionError: the file cannot be read, or lacks one of these blobs.
    """
    blobs = tuple(sorted((*resolved.lone_blobs, *resolved.left_blobs), key=lambda b: b.layer))
    wanted = {blob.layer for blob in blobs}
    plan = resolved.plan
    layers = tuple(
        entry
        if wanted & {layer for layer, _ in entry.owners}
        else replace(entry, params=(), owners=())
        for entry in plan.layers
    )
    idle = {entry.layer.name for entry in layers if not entry.params}
    weights = load_weights(base)
    used = {name: found for name, found in weights.layers.items() if name not in idle}
    numbers = bind(replace(plan, layers=layers), replace(weights, layers=used))
    return Kept(str(base), blobs, numbers)
