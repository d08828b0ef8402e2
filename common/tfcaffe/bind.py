"""Which numbers of a weights file fill which blobs of a net: Caffe's own rule, by layer name.

Source: Net::CopyTrainedLayersFrom, filler.hpp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfcaffe.errors import WeightsError
from tfcaffe.files import pairing
from tfcaffe.files.weights import LayerBlobs, Weights
from tfcaffe.infer import PlannedLayer
from tfcaffe.layers.base import Param
from tfcaffe.layout import Shape
from tfcaffe.plan import Plan

Array = NDArray[np.float32]
_Read = Callable[[], Array]


class BlobShapeError(WeightsError):
    """A blob of another shape than the net wants."""


@dataclass(frozen=True)
class Binding:
    """The numbers of every layer of a plan, read when they are asked for.

    Args:
        notes: what was filled by a filler, and layers of the file that the net lacks.
    """

    plan: Plan
    notes: tuple[str, ...]
    _reads: dict[tuple[int, int], _Read]

    def values(self, layer: int) -> dict[str, Array]:
        """By role, in Caffe's layout: float32, often a read-only view of the file."""
        entry = self.plan.layers[layer]
        blobs = [
            self._reads[owner]().reshape(param.shape)
            for owner, param in zip(entry.owners, entry.params, strict=True)
        ]
        return entry.family.values(entry.params, blobs)


def bind(plan: Plan, weights: Weights) -> Binding:
    """Match every blob of the net with the file.

    A blob that several layers share gets the numbers of the last one in the file, as in Caffe.
    A layer that the file lacks is filled only where the net names a filler that leaves nothing to
    chance: Caffe's unspoken one (mostly zeros) would hide that these are weights of another net.

    Raises:
        WeightsError: other counts or shapes than the net's; layers that the file lacks, all of
            them at once.
    """
    first = {entry.layer.name: i for i, entry in reversed(list(enumerate(plan.layers)))}
    reads: dict[tuple[int, int], _Read] = {}
    unused = []
    for found in weights.layers.values():
        index = first.get(found.name)
        if index is None:
            unused += [found.name] if len(found.blobs) else []
            continue
        entry = plan.layers[index]
        shared = {j for j, owner in enumerate(entry.owners) if owner != (index, j)}
        _check_count(entry, found, shared, weights)
        for j, param in enumerate(entry.params[: len(found.blobs)]):
            if j not in found.absent:
                _check_shape(entry, found, j, weights)
                reads[entry.owners[j]] = _reader(found, j, param.shape)
    if unused and not reads and any(entry.params for entry in plan.layers):
        raise WeightsError(
            f"{weights.path}: none of its layers is in the net {plan.net.path}; these are weights "
            f"of another net (its first layer is {unused[0]!r})"
        )
    notes = []
    if unused:
        shown = ", ".join(unused[:5]) + (" …" if len(unused) > 5 else "")
        notes.append(f"layers of the weights file that the net lacks ({len(unused)}): {shown}")
    notes += _fill(plan, reads, weights)
    notes += pairing.mixed(Path(plan.net.path), weights.path)
    return Binding(plan, tuple(notes), reads)


def _check_count(
    entry: PlannedLayer, found: LayerBlobs, shared: set[int], weights: Weights
) -> None:
    """HDF5 leaves out what another layer owns. Source: Net::ToHDF5."""
    left_out = set(range(len(found.blobs), len(entry.params)))
    if len(found.blobs) > len(entry.params) or not left_out <= shared:
        roles = ", ".join(p.role or "factor" for p in entry.params) or "none"
        raise WeightsError(
            f"{weights.path}: has {len(found.blobs)} blobs for {entry.layer}, the net wants "
            f"{len(entry.params)} ({roles})"
        )


def _check_shape(entry: PlannedLayer, found: LayerBlobs, j: int, weights: Weights) -> None:
    param = entry.params[j]
    if not found.blobs.items[j].fits(param.shape):
        raise BlobShapeError(
            f"{weights.path}: blob {param.role or 'factor'!r} of {entry.layer} has the shape "
            f"{list(found.blobs.items[j].shape)}, the net wants {list(param.shape)}; are these "
            "weights of another net?"
        )


def _reader(found: LayerBlobs, j: int, shape: Shape) -> _Read:
    return lambda: np.asarray(found.fitted(j, shape), np.float32)


def _fill(plan: Plan, reads: dict[tuple[int, int], _Read], weights: Weights) -> list[str]:
    """Use fillers for what the file lacks.

    Raises:
        WeightsError: some blob has no filler, or one that draws random numbers.
    """
    lacking: dict[str, list[str]] = {}
    filled: dict[str, None] = {}
    for i, entry in enumerate(plan.layers):
        for j, param in enumerate(entry.params):
            if entry.owners[j] != (i, j) or (i, j) in reads:
                continue
            read = _filler(_said_filler(entry, param), param.shape)
            if read is None or entry.layer.name in {la.layer.name for la in plan.layers[:i]}:
                lacking.setdefault(str(entry.layer), []).append(param.role or "factor")
            else:
                reads[i, j] = read
                filled[entry.layer.name] = None
    if lacking:
        listed = "\n".join(f"  {layer}: {', '.join(roles)}" for layer, roles in lacking.items())
        raise WeightsError(f"{weights.path}: lacks these layers of the net:\n{listed}")
    return [f"layer {name!r} is not in the weights file: its fillers give it" for name in filled]


def _said_filler(entry: PlannedLayer, param: Param) -> object | None:
    """The filler that the net names for a blob."""
    if not param.filler:
        return None
    options = entry.family.options(entry.layer)
    return getattr(options, param.filler) if options.HasField(param.filler) else None


def _filler(filler: object, shape: Shape) -> _Read | None:
    """What a filler that leaves nothing to chance writes; None for the others."""
    if filler is None:
        return None
    kind = filler.type  # type: ignore[attr-defined]
    if kind == "constant":
        value = filler.value  # type: ignore[attr-defined]
        return lambda: np.full(shape, value, np.float32)
    if kind == "bilinear" and len(shape) == 4 and shape[2] == shape[3]:
        return lambda: bilinear(shape)
    return None


def bilinear(shape: Shape) -> Array:
    """A kernel for upsampling, the same in every slice. Source: BilinearFiller."""
    size = shape[-1]
    factor = -(-size // 2)
    centre = (size - 1) / (2 * factor)
    ramp = 1 - np.abs(np.arange(size, dtype=np.float32) / factor - np.float32(centre))
    return np.broadcast_to(np.outer(ramp, ramp).astype(np.float32), shape)
