"""What belongs together in a Caffe net: the blobs of a layer, and of the layers right behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tfcaffe.mapping.pairs import Blob
from tfcaffe.mapping.proposal.likeness import Name
from tfcaffe.mapping.proposal.scopes import DEPTHWISE, KERNELS, Scope
from tfcaffe.plan import Plan

_MERGES = ("Convolution", "Deconvolution", "InnerProduct")
_CUTS = ("Slice", "Crop")  # change no number


@dataclass(frozen=True, eq=False)
class CaffeUnit:
    """Blobs that belong together.

    Args:
        at: its first layer's number.
    """

    name: Name
    at: int
    blobs: Mapping[str, Blob]


def caffe_units(plan: Plan, blobs: Iterable[Blob], scopes: Iterable[Scope] = ()) -> list[CaffeUnit]:
    """The units of a net, in its order.

    BatchNorm and its Scale are always one. A layer and the BatchNorm behind it, and a depthwise
    convolution and the one behind it, are if any of the scopes is such a one.
    """
    kinds = [scope.roles.keys() for scope in scopes]
    normed = any({"weights", "mean"} <= kind for kind in kinds)
    separable = any(DEPTHWISE in kind for kind in kinds)
    layers: dict[int, dict[str, Blob]] = defaultdict(dict)
    for blob in blobs:
        layers[blob.layer][blob.role] = blob
    units: dict[int, CaffeUnit] = {}  # by the layer that they end with
    for i, mine in layers.items():
        layer = plan.net.layers[i]
        unit = CaffeUnit(Name(layer.name), i, mine)
        above = _above(plan, i)
        found = units.get(above)
        if found is not None:
            kind = plan.net.layers[above].type
            scaled = layer.type == "Scale" and kind == "BatchNorm"
            if scaled or (normed and layer.type == "BatchNorm" and kind in _MERGES):
                unit = _joined(units.pop(above), unit)
            elif separable and _depthwise(found) and unit.blobs.keys() & set(KERNELS):
                unit = _joined(_as_depthwise(units.pop(above)), unit)
        units[i] = unit
    return sorted(units.values(), key=lambda unit: unit.at)


def _above(plan: Plan, layer: int) -> int:
    """The layer whose numbers a layer reads; -1 if there is none."""
    sources = plan.net.sources[layer]
    if not sources:
        return -1
    above = sources[0].layer
    return _above(plan, above) if plan.net.layers[above].type in _CUTS else above


def _joined(front: CaffeUnit, back: CaffeUnit) -> CaffeUnit:
    return CaffeUnit(front.name, front.at, {**front.blobs, **back.blobs})


def _depthwise(unit: CaffeUnit) -> bool:
    kernel = unit.blobs.get("weights")
    return (
        unit.blobs.keys() == {"weights"} and kernel is not None and "m" in kernel.param.layout.text
    )


def _as_depthwise(unit: CaffeUnit) -> CaffeUnit:
    return replace(unit, blobs={DEPTHWISE: unit.blobs["weights"]})
