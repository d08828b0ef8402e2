"""Shapes, layouts and blobs of a whole net, inferred without any framework.

Sizes that are free (the batch, or what the user leaves open) are found by inferring twice with
two different sizes: what differs between both is free, what does not is a constant. No family's
rule needs to know about unknown sizes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tfcaffe.errors import NetError, UnsupportedError, UsageError, naming
from tfcaffe.infer import PlannedLayer, check_sizes, find_families, infer
from tfcaffe.layers.base import Family, check_layer
from tfcaffe.layout import Layout, Shape
from tfcaffe.memory import check_memory
from tfcaffe.net import Layer, Net, Ref
from tfcaffe.sharing import share_params

FreeShape = tuple[int | None, ...]
Given = Mapping[str, Sequence[int | None]]
_UNSAID = 224  # what a size that nobody says is inferred with
_OTHER = 33  # how much larger a free size is in the second inference: odd and even both occur


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
        UsageError: an input whose shape nobody says, or a given one of other axes that fails.
    """
    with naming(net.path):
        return _plan(net, input_shapes or {}, batch)


def _plan(net: Net, given: Given, batch: int | str | None) -> Plan:
    kinds = find_families(net)
    check_memory(net)
    for kind, layer in zip(kinds, net.layers, strict=True):
        check_layer(kind, layer)
    inputs = _inputs(net, kinds, given)
    if isinstance(batch, int):
        inputs = {name: (batch, *shape[1:]) for name, shape in inputs.items()}
    said = {name: _prototxt_shape(net, kinds, name) for name in inputs}
    sizes = {name: sized(shape, said[name]) for name, shape in inputs.items()}
    other = {name: sized(shape, said[name], _OTHER) for name, shape in inputs.items()}
    with _blaming(given, said):
        base = infer(net, kinds, sizes)
        for entry in base:
            check_sizes(entry)
    shapes = tuple(entry.top_shapes for entry in base)
    notes = tuple(_source_notes(net, kinds, given))
    if not isinstance(batch, int):
        try:
            two = infer(net, kinds, _batched(sizes, 2))
            three = infer(net, kinds, _batched(other, 3))
            planned = [_merge(a, b, m.macs) for a, b, m in zip(two, three, base, strict=True)]
            return Plan(net, share_params(planned), shapes, True, notes)
        except NetError as error:
            if batch == "any":
                raise NetError(f"{error}; leave out --batch any") from error
            notes += (f"the batch size stays as the net fixes it: {error}",)
    try:
        final = zip(base, infer(net, kinds, other), strict=True)
        planned = [_merge(a, b, a.macs) for a, b in final]
    except (NetError, UnsupportedError) as error:  # at the net's own sizes it is sound
        raise type(error)(
            f"{error}; so not every size will do: fix what is left free with --input-shape"
        ) from error
    return Plan(net, share_params(planned), shapes, False, notes)


@contextmanager
def _blaming(given: Given, said: Mapping[str, Shape]) -> Iterator[None]:
    """What fails with another count of axes than the net's own fails because of --input-shape."""
    try:
        yield
    except (NetError, UnsupportedError) as error:
        for name, shape in given.items():
            if said[name] and len(shape) != len(said[name]):
                sizes = ",".join("any" if size is None else str(size) for size in shape)
                raise UsageError(
                    f"--input-shape {name}={sizes}: has {len(shape)} of the {len(said[name])} axes "
                    f"that the net gives it, {list(said[name])}; so {error}"
                ) from error
        raise


def _inputs(
    net: Net, kinds: Sequence[Family], given: Mapping[str, Sequence[int | None]]
) -> dict[str, FreeShape]:
    """Caffe's shape of every input blob, by name.

    Raises:
        UsageError: a shape for no input, or none for an input that needs one.
    """
    check_given(net, kinds, given)
    shapes: dict[str, FreeShape] = {}
    read = set(net.consumers())
    for i, (kind, layer) in enumerate(zip(kinds, net.layers, strict=True)):
        if not kind.source:
            continue
        for t, (top, shape) in enumerate(source_shapes(layer, kind, given).items()):
            if shape is None and Ref(i, t) in read:
                raise UsageError(
                    f"{net.path}: {layer} does not say the shape of its top {top!r}; give it "
                    f"with --input-shape {top}=N,C,H,W"
                )
            shapes[top] = shape or ()
    return shapes


def _source_notes(net: Net, kinds: Sequence[Family], given: Given) -> Iterator[str]:
    """What the sources that are read have to say."""
    consumers = net.consumers()
    for i, (kind, layer) in enumerate(zip(kinds, net.layers, strict=True)):
        if kind.source:
            read = {top for t, top in enumerate(layer.tops) if Ref(i, t) in consumers}
            yield from kind.source_notes(layer, read, given)


def check_given(net: Net, kinds: Sequence[Family | None], given: Collection[str]) -> None:
    """Refuse a shape for what is no input.

    Raises:
        UsageError: the net's inputs are listed.
    """
    inputs = [
        top
        for kind, layer in zip(kinds, net.layers, strict=True)
        if kind is not None and kind.source
        for top in layer.tops
    ]
    for name in given:
        if name not in inputs:
            raise UsageError(
                f"{net.path} has no input {name!r}; its inputs are "
                f"{', '.join(map(repr, inputs)) or 'none'}"
            )


def source_shapes(layer: Layer, kind: Family, given: Given) -> dict[str, FreeShape | None]:
    """Caffe's shape of each top of a source: the user's, else the net's; None if nobody says it.

    Raises:
        UnsupportedError: more tops than the type makes (some forks' data layers have more).
        NetError: a size below 1.
    """
    said = kind.source_shapes(layer)
    if len(said) != len(layer.tops):
        raise UnsupportedError(f"{layer}: has {len(layer.tops)} tops, Caffe's makes {len(said)}")
    shapes: dict[str, FreeShape | None] = {}
    for top, usual in zip(layer.tops, said, strict=True):
        shape = tuple(given[top]) if top in given else usual
        if any(size is not None and size < 1 for size in shape or ()):
            raise NetError(f"{layer}: the input {top!r} has the shape {list(shape or ())}")
        shapes[top] = shape
    return shapes


def _prototxt_shape(net: Net, kinds: Sequence[Family], name: str) -> Shape:
    for kind, layer in zip(kinds, net.layers, strict=True):
        if kind.source and name in layer.tops:
            return kind.source_shapes(layer)[layer.tops.index(name)] or ()
    return ()


def sized(shape: FreeShape, said: Shape, more: int = 0) -> Shape:
    """Sizes to infer with: free ones as the prototxt has them (if it does), and `more`."""
    usual = said if len(said) == len(shape) else (1,) + (_UNSAID,) * (len(shape) - 1)
    return tuple(u + more if s is None else s for s, u in zip(shape, usual, strict=True))


def _batched(shapes: Mapping[str, Shape], times: int) -> dict[str, Shape]:
    return {name: (s[0] * times, *s[1:]) if s else s for name, s in shapes.items()}


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
