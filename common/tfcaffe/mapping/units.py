"""What belongs together in a Caffe net: the blobs of a layer, and of the layers right behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tfcaffe.mapping.likeness import Name
from tfcaffe.mapping.resolve import Blob
from tfcaffe.mapping.scopes import DEPTHWISE, KERNELS, Scope
from tfcaffe.plan import Plan

_MERGES = ("Convolution", "Deconvolution", "InnerProduct")


@dataclass(frozen=True, eq=False)
class CaffeUnit:
    """Blobs that belong together.

    Args:
        at: its first layer's number.
        parts: the units that it is made of, if there are several.
        folds: whether nothing but the BatchNorm reads the layer in front of it.
    """

    name: Name
    at: int
    blobs: Mapping[str, Blob]
    parts: tuple[CaffeUnit, ...] = ()
    folds: bool = False


def caffe_units(plan: Plan, blobs: Iterable[Blob], scopes: Iterable[Scope] = ()) -> list[CaffeUnit]:
    """The units of a net, in its order.

    BatchNorm and its Scale are always one. A layer and the BatchNorm behind it, and a depthwise
    convolution and the one behind it, are if any of the scopes is such a one.
    """
    scopes = list(scopes)
    normed = any(scope.parts and "mean" in scope.roles for scope in scopes)
    separable = any(DEPTHWISE in scope.roles for scope in scopes)
    layers: dict[int, dict[str, Blob]] = defaultdict(dict)
    for blob in blobs:
        layers[blob.layer][blob.role] = blob
    readers = plan.net.consumers()
    units: dict[int, CaffeUnit] = {}  # by the layer that they end with
    for i, mine in layers.items():
        layer, sources = plan.net.layers[i], plan.net.sources[i]
        unit = CaffeUnit(Name(layer.name), i, mine)
        above = sources[0].layer if sources else -1
        found = units.get(above)
        if found is not None:
            alone = len(readers[sources[0]]) == 1
            kind = plan.net.layers[above].type
            if layer.type == "Scale" and kind == "BatchNorm":
                unit = _scaled(units.pop(above), mine)
            elif normed and layer.type == "BatchNorm" and kind in _MERGES:
                unit = _joined(units.pop(above), unit, folds=alone)
            elif separable and alone and _depthwise(found) and unit.blobs.keys() & set(KERNELS):
                unit = _joined(_as_depthwise(units.pop(above)), unit)
        units[i] = unit
    return sorted(units.values(), key=lambda unit: unit.at)


def _scaled(norm: CaffeUnit, scale: Mapping[str, Blob]) -> CaffeUnit:
    """A unit that ends with a BatchNorm, and the Scale behind it."""
    parts = norm.parts and (*norm.parts[:-1], _scaled(norm.parts[-1], scale))
    return replace(norm, blobs={**norm.blobs, **scale}, parts=parts)


def _joined(front: CaffeUnit, back: CaffeUnit, *, folds: bool = False) -> CaffeUnit:
    parts = (*(front.parts or (front,)), back)
    return CaffeUnit(front.name, front.at, {**front.blobs, **back.blobs}, parts, folds)


def _depthwise(unit: CaffeUnit) -> bool:
    kernel = unit.blobs.get("weights")
    return (
        unit.blobs.keys() == {"weights"} and kernel is not None and "m" in kernel.param.layout.text
    )


def _as_depthwise(unit: CaffeUnit) -> CaffeUnit:
    return replace(unit, blobs={DEPTHWISE: unit.blobs["weights"]})
