"""Shapes, layouts and blobs of a whole net, inferred without any framework.

Sizes that are free (the batch, or what the user leaves open) are found by inferring twice with
two different sizes: what differs between both is free, what does not is a constant. No family's
rule needs to know about unknown sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from tfcaffe.errors import NetError, UnsupportedError, UsageError
from tfcaffe.layers import registry
from tfcaffe.layers.base import Family, Layouts, Param, check_layer
from tfcaffe.layout import Layout, Shape
from tfcaffe.net import Layer, Net, Ref

FreeShape = tuple[int | None, ...]
_PERMISSIVE = 1  # ParamSpec.share_mode
_UNSAID = 224  # what a size that nobody says is inferred with
_OTHER = 33  # how much larger a free size is in the second inference: odd and even both occur


@dataclass(frozen=True)
class PlannedLayer:
    """A layer with all that the rules say of it.

    Args:
        have: how each bottom lies where it was made.
        bottoms: how the layer needs each bottom to lie.
        tops: how its tops lie.
        params: its blobs in Caffe's order.
        owners: for each of them the (layer, blob) numbers of the one that holds its numbers:
            itself, or an earlier one that shares it by `param { name }`.
        macs: multiply-adds of one pass at the sizes of the prototxt.
    """

    layer: Layer
    family: Family
    have: tuple[Layout, ...]
    bottoms: tuple[Layout, ...]
    tops: tuple[Layout, ...]
    params: tuple[Param, ...]
    macs: int = 0
    owners: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Plan:
    """A net with shapes, layouts and blobs.

    Args:
        shapes: Caffe's shape of each top at the sizes of the prototxt, by layer.
        free_batch: whether any batch size runs.
    """

    net: Net
    layers: tuple[PlannedLayer, ...]
    shapes: tuple[tuple[Shape, ...], ...]
    free_batch: bool
    notes: tuple[str, ...] = ()

    def layout(self, ref: Ref) -> Layout:
        """How this version of a blob lies."""
        return self.layers[ref.layer].tops[ref.top]

    def output_layout(self, ref: Ref) -> Layout:
        """How the model hands this blob out: its own layout if a user would expect it."""
        have = self.layout(ref)
        rank = len(have.axes)
        expected = have.simple and (rank == 3 or have == Layout.natural(have.shape))
        return have if expected else Layout.natural(have.shape)


def make_plan(
    net: Net,
    input_shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | str | None = None,
) -> Plan:
    """Infer everything about `net`.

    Args:
        input_shapes: Caffe's shape of an input blob, over what the prototxt says; None is free.
        batch: a fixed batch size, or "any"; None leaves it free where the net allows.

    Raises:
        NetError: shapes that disagree, with the layer and both shapes.
        UnsupportedError: all layers of unsupported types at once, or an unsupported field.
        UsageError: an input whose shape nobody says.
    """
    kinds = find_families(net)
    for kind, layer in zip(kinds, net.layers, strict=True):
        check_layer(kind, layer)
    inputs = _inputs(net, kinds, input_shapes or {})
    if isinstance(batch, int):
        inputs = {name: (batch, *shape[1:]) for name, shape in inputs.items()}
    said = {name: _prototxt_shape(net, kinds, name) for name in inputs}
    sizes = {name: _sized(shape, said[name], 0) for name, shape in inputs.items()}
    other = {name: _sized(shape, said[name], _OTHER) for name, shape in inputs.items()}
    base = _infer(net, kinds, sizes)
    shapes = tuple(tuple(_known(top) for top in p.tops) for p in base)
    notes: tuple[str, ...] = ()
    if not isinstance(batch, int):
        try:
            two, three = (
                _infer(net, kinds, _batched(sizes, 2)),
                _infer(net, kinds, _batched(other, 3)),
            )
            planned = [_merge(a, b, m.macs) for a, b, m in zip(two, three, base, strict=True)]
            return Plan(net, _share_params(planned), shapes, True)
        except NetError as error:
            if batch == "any":
                raise
            notes = (f"the batch size stays as the net fixes it: {error}",)
    final = zip(base, _infer(net, kinds, other), strict=True)
    planned = [_merge(a, b, a.macs) for a, b in final]
    return Plan(net, _share_params(planned), shapes, False, notes)


def find_families(net: Net) -> list[Family]:
    """The family of each layer.

    Raises:
        UnsupportedError: the types that have none, all at once, each with its layers.
    """
    known = registry()
    missing: dict[str, list[Layer]] = {}
    for layer in net.layers:
        if layer.type not in known:
            missing.setdefault(layer.type, []).append(layer)
    if missing:
        lines = []
        for kind, layers in missing.items():
            names = ", ".join(
                f"{la.name!r}" + (f" (line {la.line})" if la.line else "") for la in layers[:8]
            )
            more = f" and {len(layers) - 8} more" if len(layers) > 8 else ""
            lines.append(f"  {kind}: {names}{more}")
        raise UnsupportedError(
            f"{net.path}: these layer types are not supported; cut them off with --outputs or "
            "add them with a plugin (docs/layers.md):\n" + "\n".join(lines)
        )
    return [known[layer.type] for layer in net.layers]


def _inputs(
    net: Net, kinds: Sequence[Family], given: Mapping[str, Sequence[int | None]]
) -> dict[str, FreeShape]:
    """Caffe's shape of every input blob, by name.

    Raises:
        UsageError: a shape for no input, or none for an input that needs one.
    """
    shapes: dict[str, FreeShape] = {}
    read = net.consumers()
    for i, (kind, layer) in enumerate(zip(kinds, net.layers, strict=True)):
        if not kind.source:
            continue
        for t, (top, said) in enumerate(zip(layer.tops, kind.source_shapes(layer), strict=True)):
            shape = tuple(given[top]) if top in given else said
            if shape is None and Ref(i, t) not in read:
                shape = ()
            if shape is None:
                raise UsageError(
                    f"{net.path}: {layer} does not say the shape of its top {top!r}; give it "
                    f"with --input-shape {top}=N,C,H,W"
                )
            if any(size is not None and size < 1 for size in shape):
                raise NetError(f"{net.path}: input {top!r} has the shape {list(shape)}")
            shapes[top] = shape
    unknown = [name for name in given if name not in shapes]
    if unknown:
        raise UsageError(
            f"{net.path} has no input {unknown[0]!r}; its inputs are {', '.join(shapes)}"
        )
    return shapes


def _prototxt_shape(net: Net, kinds: Sequence[Family], name: str) -> Shape:
    for kind, layer in zip(kinds, net.layers, strict=True):
        if kind.source and name in layer.tops:
            return kind.source_shapes(layer)[layer.tops.index(name)] or ()
    return ()


def _sized(shape: FreeShape, said: Shape, more: int) -> Shape:
    """Sizes to infer with: free ones as the prototxt has them (if it does), and `more`."""
    usual = said if len(said) == len(shape) else (1,) + (_UNSAID,) * (len(shape) - 1)
    return tuple(u + more if s is None else s for s, u in zip(shape, usual, strict=True))


def _batched(shapes: Mapping[str, Shape], times: int) -> dict[str, Shape]:
    return {name: (s[0] * times, *s[1:]) if s else s for name, s in shapes.items()}


def _infer(net: Net, kinds: Sequence[Family], inputs: Mapping[str, Shape]) -> list[PlannedLayer]:
    """One pass over the layers at known sizes."""
    planned: list[PlannedLayer] = []
    spatial = _spatial_inputs(net, kinds)
    for kind, layer, refs in zip(kinds, net.layers, net.sources, strict=True):
        if kind.source:
            tops = tuple(
                Layout.channels_last(inputs[t]) if t in spatial else Layout.natural(inputs[t])
                for t in layer.tops
            )
            planned.append(PlannedLayer(layer, kind, (), (), tops, ()))
            continue
        have = tuple(planned[ref.layer].tops[ref.top] for ref in refs)
        shapes = [_known(layout) for layout in have]
        top_shapes = kind.shapes(layer, shapes)
        for name, shape in zip(layer.tops, top_shapes, strict=True):
            if any(size < 1 for size in shape):
                raise NetError(
                    f"{net.path}: {layer} makes the top {name!r} with the shape {list(shape)} "
                    f"from {', '.join(str(list(s)) for s in shapes)}: nothing is left"
                )
        layouts: Layouts = kind.layouts(layer, have, top_shapes)
        planned.append(
            PlannedLayer(
                layer,
                kind,
                have,
                layouts.bottoms,
                layouts.tops,
                tuple(kind.params(layer, layouts.bottoms)),
                kind.macs(layer, shapes, top_shapes),
            )
        )
    return planned


def _spatial_inputs(net: Net, kinds: Sequence[Family]) -> set[str]:
    """Inputs that a layer with a kernel reads directly: channels last whatever their rank."""
    return {
        bottom
        for kind, layer in zip(kinds, net.layers, strict=True)
        if kind.spatial
        for bottom in layer.bottoms
    }


def _merge(a: PlannedLayer, b: PlannedLayer, macs: int) -> PlannedLayer:
    """Both inferences of a layer as one: sizes that differ are free.

    Raises:
        NetError: they differ in more than sizes of activations.
    """
    for p, q in zip(a.params, b.params, strict=True):
        if p.shape != q.shape:
            raise NetError(
                f"{a.layer}: its {p.role or 'factor'} would be {list(p.shape)} or "
                f"{list(q.shape)}, depending on a size that is left free"
            )

    def both(x: Sequence[Layout], y: Sequence[Layout]) -> tuple[Layout, ...]:
        return tuple(_merge_layout(a.layer, m, n) for m, n in zip(x, y, strict=True))

    return replace(
        a,
        have=both(a.have, b.have),
        bottoms=both(a.bottoms, b.bottoms),
        tops=both(a.tops, b.tops),
        macs=macs,
    )


def _merge_layout(layer: Layer, a: Layout, b: Layout) -> Layout:
    same = a.dims == b.dims and [len(x) for x in a.axes] == [len(x) for x in b.axes]
    if not same:
        raise NetError(f"{layer}: how its blobs lie depends on a size that is left free")
    axes = tuple(
        tuple(m if m == n else None for m, n in zip(x, y, strict=True))
        for x, y in zip(a.axes, b.axes, strict=True)
    )
    return Layout(axes, a.dims)


def _known(layout: Layout) -> Shape:
    return tuple(int(size or 0) for size in layout.shape)


def _share_params(planned: Sequence[PlannedLayer]) -> tuple[PlannedLayer, ...]:
    """Say who owns each blob, by the names in `param { name }`. Source: Net::AppendParam.

    Raises:
        NetError: blobs that share a name but not a shape; two layers of one name that both own
            blobs, so that a weights file cannot tell them apart.
    """
    named: dict[str, tuple[int, int]] = {}
    bearers: dict[str, Layer] = {}
    result = []
    for i, entry in enumerate(planned):
        specs = entry.layer.message.param
        owners = []
        for j, param in enumerate(entry.params):
            name = specs[j].name if j < len(specs) else ""
            owner = named.setdefault(name, (i, j)) if name else (i, j)
            _check_shared(planned[owner[0]], owner[1], entry.layer, param, specs, j)
            owners.append(owner)
        if any(owner[0] == i for owner in owners):
            earlier = bearers.setdefault(entry.layer.name, entry.layer)
            if earlier is not entry.layer:
                raise NetError(
                    f"{entry.layer} and {earlier} both have weights of their own under one name; "
                    "weights are found by name, so rename one of them"
                )
        result.append(replace(entry, owners=tuple(owners)))
    return tuple(result)


def _check_shared(
    owner: PlannedLayer, blob: int, layer: Layer, param: Param, specs: Sequence[Any], j: int
) -> None:
    theirs = owner.params[blob].shape
    permissive = j < len(specs) and specs[j].share_mode == _PERMISSIVE
    if theirs != param.shape and not (permissive and prod(theirs) == prod(param.shape)):
        raise NetError(
            f"{layer}: its {param.role or 'factor'} {list(param.shape)} shares the name "
            f"{specs[j].name!r} with that of {owner.layer}, which is {list(theirs)}"
        )
