"""One layer after the other: shapes, layouts and blobs at known sizes, by the families' rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.layers import registry
from tfcaffe.layers.base import Family, Layouts, Param
from tfcaffe.layout import Layout, Shape
from tfcaffe.net import Layer, Net

_LISTED = 8  # layers of one unsupported type that an error names
_MAX_AXES, _MAX_COUNT = 32, 2**31 - 1  # of a blob


@dataclass(frozen=True)
class PlannedLayer:
    """A layer with all that the rules say of it.

    Args:
        have: how each bottom lies where it was made.
        bottoms: how the layer needs each bottom to lie.
        tops: how its tops lie.
        params: its blobs in Caffe's order.
        macs: multiply-adds of one pass at the sizes of the prototxt.
        owners: for each blob the (layer, blob) numbers of the one that holds its numbers:
            itself, or an earlier one that shares it by `param { name }`.
    """

    layer: Layer
    family: Family
    have: tuple[Layout, ...]
    bottoms: tuple[Layout, ...]
    tops: tuple[Layout, ...]
    params: tuple[Param, ...]
    macs: int = 0
    owners: tuple[tuple[int, int], ...] = ()

    @property
    def top_shapes(self) -> tuple[Shape, ...]:
        """Caffe's shapes of the tops, all of them known."""
        return tuple(_known(top) for top in self.tops)


def find_families(net: Net) -> list[Family]:
    """The family of each layer.

    Raises:
        UnsupportedError: the types that have none, all at once, each with its layers.
    """
    check_types(net, "cut them off with --outputs or add them with a plugin (docs/layers.md)")
    return [registry()[layer.type] for layer in net.layers]


def check_types(net: Net, way_out: str) -> None:
    """Raises:
    UnsupportedError: layers of types that have no family, all of them, and the way out.
    """
    if missing := unknown_types(net):
        lines = "".join(f"\n  {kind}: {listed(layers)}" for kind, layers in missing.items())
        raise UnsupportedError(f"these layer types are not supported; {way_out}:{lines}")


def unknown_types(net: Net) -> dict[str, list[Layer]]:
    """The types of the net that have no family, each with its layers."""
    missing: dict[str, list[Layer]] = {}
    for layer in net.layers:
        if layer.type not in registry():
            missing.setdefault(layer.type, []).append(layer)
    return missing


def listed(layers: Sequence[Layer]) -> str:
    """Names and lines of some layers, for a message."""
    names = ", ".join(
        f"{la.name!r}" + (f" (line {la.line})" if la.line else "") for la in layers[:_LISTED]
    )
    more = f" and {len(layers) - _LISTED} more" if len(layers) > _LISTED else ""
    return names + more


def infer(net: Net, kinds: Sequence[Family], inputs: Mapping[str, Shape]) -> list[PlannedLayer]:
    """All layers of a net.

    Raises:
        NetError, UnsupportedError: see `infer_layer`.
    """
    planned: list[PlannedLayer] = []
    spatial = spatial_inputs(net, kinds)
    for kind, layer, refs in zip(kinds, net.layers, net.sources, strict=True):
        if kind.source:
            planned.append(infer_source(layer, kind, inputs, spatial))
        else:
            have = tuple(planned[ref.layer].tops[ref.top] for ref in refs)
            planned.append(infer_layer(layer, kind, have))
    return planned


def infer_source(
    layer: Layer, kind: Family, inputs: Mapping[str, Shape], spatial: Collection[str]
) -> PlannedLayer:
    """A layer that brings data in.

    Args:
        inputs: the shape of each input blob.
        spatial: see `spatial_inputs`.
    """
    tops = tuple(
        Layout.channels_last(inputs[top]) if top in spatial else Layout.natural(inputs[top])
        for top in layer.tops
    )
    return PlannedLayer(layer, kind, (), (), tops, ())


def infer_layer(layer: Layer, kind: Family, have: tuple[Layout, ...]) -> PlannedLayer:
    """A layer whose bottoms lie as `have` says.

    Raises:
        NetError: shapes that Caffe refuses, too.
        UnsupportedError: shapes that the family's rules do not cover.
    """
    shapes = [_known(layout) for layout in have]
    top_shapes = kind.shapes(layer, shapes)
    if len(top_shapes) != len(layer.tops):
        raise NetError(
            f"{layer}: has {len(layer.tops)} tops, the type makes at most {len(top_shapes)}"
        )
    for name, shape in zip(layer.tops, top_shapes, strict=True):
        if any(size < 1 for size in shape):
            raise NetError(
                f"{layer} makes the top {name!r} with the shape {list(shape)} "
                f"from {', '.join(str(list(s)) for s in shapes)}: nothing is left"
            )
    layouts: Layouts = kind.layouts(layer, have, top_shapes)
    params = tuple(kind.params(layer, layouts.bottoms))
    return PlannedLayer(
        layer,
        kind,
        have,
        layouts.bottoms,
        layouts.tops,
        params,
        kind.macs(layer, shapes, top_shapes),
    )


def check_sizes(entry: PlannedLayer) -> None:
    """Refuse blobs beyond Caffe's own limits.

    For the sizes that a net is to have: those that only show which sizes are free are larger.

    Raises:
        NetError: a top or a blob of weights has too many axes or numbers.
    """
    for top, shape in zip(entry.layer.tops, entry.top_shapes, strict=True):
        check_size(f"{entry.layer}: its top {top!r}", shape)
    for param in entry.params:
        check_size(f"{entry.layer}: its blob {param.role or 'factor'!r}", param.shape)


def check_size(what: str, shape: Shape) -> None:
    """Caffe's own limits of a blob. Source: Blob::Reshape (blob.cpp).

    Raises:
        NetError: it has too many axes or numbers.
    """
    if len(shape) > _MAX_AXES or prod(shape) > _MAX_COUNT:
        raise NetError(
            f"{what} has the shape {list(shape)}; Caffe takes at most {_MAX_AXES} "
            f"axes and {_MAX_COUNT} numbers in a blob"
        )


def spatial_inputs(net: Net, kinds: Sequence[Family | None]) -> set[str]:
    """Inputs that a layer with a kernel reads directly: channels last whatever their rank."""
    return {
        bottom
        for kind, layer in zip(kinds, net.layers, strict=True)
        if kind is not None and kind.spatial
        for bottom in layer.bottoms
    }


def _known(layout: Layout) -> Shape:
    return tuple(int(size or 0) for size in layout.shape)
