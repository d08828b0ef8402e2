"""What a layer family is: the base class of the files in this folder, and their registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.layout import Layout, Pattern, Shape
from tfcaffe.net import Layer
from tfcaffe.tables import add_to, table

_FAMILIES: dict[str, Family] = table()
# LayerParameter's own plain fields. As in Caffe, parameters of other types are not looked at.
_GENERAL = frozenset({"name", "type", "bottom", "top", "loss_weight", "propagate_down"})
_ANY_TYPE = frozenset({"quantization_param"})  # a fork's messages that change any type of layer
_T = TypeVar("_T", bound="type[Family]")


@dataclass(frozen=True)
class Param:
    """One learnable blob of a layer.

    Args:
        role: the name that users see (`weights`, `bias`, `mean` …); empty for a blob that is
            only a means of storing another (BatchNorm's factor).
        shape: Caffe's shape.
        layout: how TensorFlow holds it.
        filler: the field of the layer's parameter message that holds its filler, if any.
        gates: letters of the gates that lie one after the other along Caffe's first axis (i, f,
            c the cell's candidate, o); TensorFlow's order is not the layout's, but a mapping's.
    """

    role: str
    shape: Shape
    layout: Pattern
    filler: str = ""
    gates: str = ""

    def unspoken(self) -> np.ndarray:
        """What a blob without a role is written as: a factor of 1, as all else is divided by it."""
        return np.ones(self.shape, np.float32)


@dataclass(frozen=True)
class Layouts:
    """What a layer needs its bottoms to lie like, and how its tops then lie."""

    bottoms: tuple[Layout, ...]
    tops: tuple[Layout, ...]


class Family:
    """A layer type's knowledge. Subclass it, set the class attributes, override what differs.

    Attributes:
        field: the field of LayerParameter that holds the type's own parameters.
        reads: names of that message's fields that the rules here or the builders honour.
        inert: names of fields that do not change what a trained net computes.
        bottoms, tops: least and largest count; None is no limit.
        source: whether its tops are the net's inputs.
        spatial: whether it slides a kernel over its bottoms, which then lie channels last.
        training_only: whether nothing but training needs it.
        mapped_only: whether only mappings know it, so that no model is made of it.
        in_place: whether Caffe computes the same where a top is its bottom. Most types overwrite
            what they still read; it holds for those that are proven (test_parity_memory.py).
    """

    field: ClassVar[str] = ""
    reads: ClassVar[frozenset[str]] = frozenset()
    inert: ClassVar[frozenset[str]] = frozenset()
    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    source: ClassVar[bool] = False
    spatial: ClassVar[bool] = False
    training_only: ClassVar[bool] = False
    mapped_only: ClassVar[bool] = False
    in_place: ClassVar[bool] = False

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        """For a source: the shape of each top, None where the net does not say it."""
        return [None] * len(layer.tops)

    def source_notes(
        self, layer: Layer, read: Collection[str], given: Collection[str]
    ) -> list[str]:
        """For a source: what is decided about its tops that are `read`.

        Args:
            given: tops whose shape the user says.
        """
        return []

    def options(self, layer: Layer) -> Any:
        """The layer's own parameter message (an empty one where the net says nothing)."""
        return getattr(layer.message, self.field)

    def check(self, layer: Layer) -> None:
        """Refuse what cannot be converted exactly, whatever the shapes are.

        Raises:
            UnsupportedError: a value that no rule here covers.
            NetError: a layer that Caffe itself refuses.
        """

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        """Caffe's shapes of the tops. Default: each top as the first bottom."""
        return [bottoms[0]] * len(layer.tops)

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        """Layouts at this layer, all sizes known. Default: everything as Caffe has it."""
        return Layouts(
            tuple(Layout.caffe(b.shape) for b in bottoms), tuple(Layout.caffe(t) for t in tops)
        )

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        """The layer's blobs in Caffe's order. Default: none."""
        return []

    def values(self, params: Sequence[Param], blobs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """The numbers behind the blobs by role, in Caffe's layout and the params' shapes."""
        return {p.role: blob for p, blob in zip(params, blobs, strict=True) if p.role}

    def macs(self, layer: Layer, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        """Multiply-adds of one forward pass. Default: 0 (not a matrix product)."""
        return 0


class Elementwise(Family):
    """A family whose tops have the first bottom's shape, in whatever layout that comes."""

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        for i, bottom in enumerate(bottoms[1:], 1):
            if bottom != bottoms[0]:
                raise NetError(
                    f"{layer}: bottom {layer.bottoms[i]!r} has shape {list(bottom)}, bottom "
                    f"{layer.bottoms[0]!r} {list(bottoms[0])}; they must agree"
                )
        return [bottoms[0]] * len(layer.tops)

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        return same(bottoms, len(layer.tops))


def register(*types: str) -> Callable[[_T], _T]:
    """Class decorator: the family of these Caffe types. Twice the same type is an error."""

    def add(cls: _T) -> _T:
        for name in types:
            add_to(_FAMILIES, [name], "layer type ")(cls())
        return cls

    return add


def families() -> dict[str, Family]:
    """All that has been registered so far."""
    return _FAMILIES


def same(bottoms: Sequence[Layout], tops: int) -> Layouts:
    """All bottoms and tops in one layout: the bottoms' own where they agree."""
    agreed = bottoms[0]
    if any(b != agreed for b in bottoms):
        agreed = Layout.natural(agreed.shape)
    return Layouts((agreed,) * len(bottoms), (agreed,) * tops)


def simple(layout: Layout) -> Layout:
    """The layout itself if each Caffe axis is a dimension of its own, else the natural one."""
    return layout if layout.simple else Layout.natural(layout.shape)


def said(options: Any, name: str) -> bool:
    """Whether the net sets this field; BVLC's own schema does not have every fork's."""
    return name in options.DESCRIPTOR.fields_by_name and bool(options.HasField(name))


def fields(names: str) -> frozenset[str]:
    """Field names, written with spaces between them."""
    return frozenset(names.split())


def vector(size: int) -> tuple[Shape, Pattern]:
    """Shape and layout of a blob with one number per channel."""
    return (size,), Pattern("c -> c")


def canonical_axis(layer: Layer, axis: int, rank: int, what: str = "axis") -> int:
    """`axis` from the front; negative ones count from the end. Source: Blob::CanonicalAxisIndex.

    Raises:
        NetError: outside the blob.
    """
    if not -rank <= axis < rank:
        raise NetError(f"{layer}: {what} {axis} is outside a blob of {rank} axes")
    return axis % rank


def check_layer(family: Family, layer: Layer) -> None:
    """The rules that hold for every type: counts, no field set that nobody reads, in place.

    Raises:
        NetError, UnsupportedError
    """
    for what, names, (least, most) in (
        ("bottom", layer.bottoms, family.bottoms),
        ("top", layer.tops, family.tops),
    ):
        if len(names) < least or (most is not None and len(names) > most):
            wanted = f"{least}" if least == most else f"{least} to {most or 'any number'}"
            raise NetError(f"{layer}: has {len(names)} {what}s, the type takes {wanted}")
    message = layer.message
    tops = max(len(layer.tops), 1 if layer.type.endswith("Loss") else 0)
    for what, said_count, count in (
        ("propagate_down", len(message.propagate_down), len(layer.bottoms)),
        ("loss_weight", len(message.loss_weight), tops),
    ):
        if said_count not in (0, count):
            raise NetError(f"{layer}: has {said_count} {what}; Caffe takes none or {count}")
    if message.HasField("phase"):
        raise UnsupportedError(
            f"{layer}: its own field phase is not the phase that the net is converted for, so it "
            "works otherwise than its neighbours; remove the field, or write "
            "include { phase: ... } if the layer is for that phase alone"
        )
    for descriptor, _ in layer.message.ListFields():
        own = descriptor.message_type is None or descriptor.name in _ANY_TYPE
        if own and descriptor.name not in _GENERAL:
            raise UnsupportedError(
                f"{layer}: its field {descriptor.name} is a fork's and not supported; remove it "
                "if it does not matter"
            )
    if family.field:
        for descriptor, _ in family.options(layer).ListFields():
            if descriptor.name not in family.reads and descriptor.name not in family.inert:
                raise UnsupportedError(
                    f"{layer}: field {family.field}.{descriptor.name} is not supported; "
                    "remove it if it does not matter, or write a plugin for this layer"
                )
    family.check(layer)
    if not family.in_place and set(layer.bottoms) & set(layer.tops):
        raise UnsupportedError(
            f"{layer}: in place Caffe may overwrite what the type still reads, so that no "
            "conversion is exact; give the top another name"
        )


__all__ = [
    "Elementwise",
    "Family",
    "Layer",
    "Layout",
    "Layouts",
    "Param",
    "Pattern",
    "Shape",
    "canonical_axis",
    "check_layer",
    "families",
    "fields",
    "register",
    "said",
    "same",
    "simple",
    "vector",
]
