"""What `verify` found: one record per blob, and the verdict over all of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tfcaffe.layout import Shape

Status = Literal["equal", "different", "unproven"]


@dataclass(frozen=True)
class BlobReport:
    """One blob as both sides have it, in Caffe's layout.

    Args:
        layer, blob, type: Caffe's names of the layer and of its top, and the layer's type.
        shape: Caffe's.
        max, mean: the largest and the mean difference, divided by `scale`; infinite where only
            one side has a number.
        scale: the largest absolute value on Caffe's side.
        status: "unproven" where Caffe's numbers are all the same, which proves nothing.
        note: what else is to be said.
    """

    layer: str
    blob: str
    type: str
    shape: Shape
    max: float
    mean: float
    scale: float
    status: Status
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; an infinite difference is null."""
        return {
            "layer": self.layer,
            "blob": self.blob,
            "type": self.type,
            "shape": list(self.shape),
            "max": _finite(self.max),
            "mean": _finite(self.mean),
            "scale": _finite(self.scale),
            "status": self.status,
            "note": self.note,
        }


@dataclass(frozen=True)
class Skipped:
    """A blob of Caffe's that was not compared, and why."""

    layer: str
    blob: str
    type: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return {
            "layer": self.layer,
            "blob": self.blob,
            "type": self.type,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Report:
    """The answer of `verify`.

    Args:
        mode: "chained" or "isolated".
        backend: who ran Caffe's side, with its version.
        rtol: the largest difference, relative to a blob's scale, that counts as equal.
        inputs: shape of each input blob that was fed, in Caffe's layout.
        blobs: every blob that both sides have, in the net's order.
        outputs: the model's outputs, as the model hands them out.
        not_compared: Caffe's blobs that were not compared.
        notes: what was decided on the way.
    """

    mode: str
    backend: str
    rtol: float
    inputs: Mapping[str, Shape]
    blobs: tuple[BlobReport, ...]
    outputs: tuple[BlobReport, ...]
    not_compared: tuple[Skipped, ...]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> Status:
        """ "equal" only if nothing differs and every output is proven."""
        if self.first_difference is not None:
            return "different"
        proven = self.outputs and all(output.status == "equal" for output in self.outputs)
        return "equal" if proven else "unproven"

    @property
    def first_difference(self) -> BlobReport | None:
        """The first blob in the net's order that departs; outputs come last."""
        return next((b for b in (*self.blobs, *self.outputs) if b.status == "different"), None)

    @property
    def worst(self) -> BlobReport | None:
        """The blob with the largest difference relative to its scale."""
        return max((*self.blobs, *self.outputs), key=lambda b: b.max, default=None)

    @property
    def unproven(self) -> tuple[BlobReport, ...]:
        """Blobs and outputs that prove nothing, each once."""
        found = [b for b in (*self.blobs, *self.outputs) if b.status == "unproven"]
        return tuple({(b.layer, b.blob): b for b in found}.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many of the blobs have which status, and how many were not compared."""
        found = Counter(blob.status for blob in self.blobs)
        counts = {status: found[status] for status in ("equal", "different", "unproven")}
        return {**counts, "not_compared": len(self.not_compared)}

    def to_json(self) -> dict[str, Any]:
        """Plain data: what `--json` prints. The keys stay as they are."""
        first, worst = self.first_difference, self.worst
        return {
            "verdict": self.verdict,
            "mode": self.mode,
            "backend": self.backend,
            "rtol": self.rtol,
            "inputs": {name: list(shape) for name, shape in self.inputs.items()},
            "counts": self.counts,
            "first_difference": None if first is None else first.to_json(),
            "worst": None if worst is None else worst.to_json(),
            "blobs": [blob.to_json() for blob in self.blobs],
            "outputs": [output.to_json() for output in self.outputs],
            "unproven": [{"layer": b.layer, "blob": b.blob} for b in self.unproven],
            "not_compared": [skipped.to_json() for skipped in self.not_compared],
            "notes": list(self.notes),
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
