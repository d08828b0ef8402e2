"""A net seen as far as its rules are known: layers that nobody can convert leave gaps.

What stands behind a gap has unknown shapes; everything else is planned as for a conversion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.infer import PlannedLayer, infer_layer, infer_source, spatial_inputs
from tfcaffe.layers import registry
from tfcaffe.layers.base import Family, check_layer
from tfcaffe.layout import Layout
from tfcaffe.net import Layer, Net, Ref
from tfcaffe.plan import Given, Plan, check_given, make_plan, sized, source_shapes


@dataclass(frozen=True)
class Survey:
    """A net, and the plan of that part of it whose shapes are known.

    Args:
        plan: of the known layers alone; a net with gaps has fewer of them.
        known: the number of each known layer in `plan`, by its number in `net`.
        unsupported: why a layer cannot be converted, by its number in `net`; one that only
            mappings know is known as well.
        unsaid: input layers that do not say their shapes. A layer that only stands behind one of
            these or of the unsupported ones is in none of the three.
    """

    net: Net
    plan: Plan
    known: Mapping[int, int]
    unsupported: Mapping[int, str]
    unsaid: Mapping[int, str]


def survey(net: Net, given: Given | None = None) -> Survey:
    """Plan what can be planned.

    Args:
        given: Caffe's shape of input blobs, over what the prototxt says.

    Raises:
        NetError: what Caffe would refuse, too.
        UsageError: a shape for no input.
    """
    found = _Found(net, given or {})
    known = sorted(found.planned)
    part = net.with_layers(net.layers[i] for i in known)
    tops = {top for layer in part.layers for top in layer.tops}
    plan = make_plan(part, {name: shape for name, shape in found.given.items() if name in tops})
    numbers = {layer: at for at, layer in enumerate(known)}
    return Survey(net, plan, numbers, found.unsupported, found.unsaid)


class _Found:
    """One pass over the layers that leaves out what it cannot plan."""

    def __init__(self, net: Net, given: Given) -> None:
        self.given = given
        self.planned: dict[int, PlannedLayer] = {}
        self.unsupported: dict[int, str] = {}
        self.unsaid: dict[int, str] = {}
        kinds = [registry().get(layer.type) for layer in net.layers]
        check_given(net, kinds, given)
        self.spatial = spatial_inputs(net, kinds)
        self.read = set(net.consumers())
        for i, (layer, kind) in enumerate(zip(net.layers, kinds, strict=True)):
            try:
                self._visit(i, layer, kind, net.sources[i])
            except UnsupportedError as error:
                self.unsupported[i] = str(error)
            except NetError as error:
                raise NetError(f"{net.path}: {error}") from error

    def _visit(self, i: int, layer: Layer, kind: Family | None, refs: tuple[Ref, ...]) -> None:
        if kind is None:
            self.unsupported[i] = f"{layer}: the type is not supported"
            return
        check_layer(kind, layer)
        if kind.source:
            self._source(i, layer, kind)
        elif all(ref.layer in self.planned for ref in refs):
            have: tuple[Layout, ...] = tuple(self.planned[ref.layer].tops[ref.top] for ref in refs)
            self.planned[i] = infer_layer(layer, kind, have)
        if kind.mapped_only:
            self.unsupported[i] = f"{layer}: its numbers go by a mapping; it becomes no model"

    def _source(self, i: int, layer: Layer, kind: Family) -> None:
        shapes = source_shapes(layer, kind, self.given)
        unsaid = [
            top
            for t, (top, shape) in enumerate(shapes.items())
            if shape is None and Ref(i, t) in self.read
        ]
        if unsaid:
            self.unsaid[i] = (
                f"{layer} does not say the shape of {', '.join(map(repr, unsaid))}; give it with "
                f"--input-shape {unsaid[0]}=N,C,H,W"
            )
            return
        said = kind.source_shapes(layer)
        inputs = {
            top: sized(shape or (), usual or ())
            for (top, shape), usual in zip(shapes.items(), said, strict=True)
        }
        self.planned[i] = infer_source(layer, kind, inputs, self.spatial)
