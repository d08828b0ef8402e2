"""In which order TensorFlow's code has the numbers that layers read and make.

Caffe flattens and reshapes C, H, W; TensorFlow's code, with channels last, H, W, C. Where a
prototxt does so, one sample of each blob is followed from layer to layer as an array of the shape
that TensorFlow has, which holds the numbers' places in Caffe's memory. What reads flat numbers lies
in their order; the outputs of an InnerProduct that become a picture lie in the order that makes it
one. It is taken that the code does not transpose by itself: a mapping can say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from tfcaffe.infer import PlannedLayer
from tfcaffe.layers.base import Elementwise, Param
from tfcaffe.layers.inner_product import InnerProduct
from tfcaffe.layers.scale import Bias, Scale
from tfcaffe.layout import Layout, Pattern
from tfcaffe.mapping.transform import Move
from tfcaffe.net import Ref
from tfcaffe.plan import Plan

Places = NDArray[np.int64]
_FREE = 2  # stands for a size that is not 1
_RESHAPING = ("Reshape", "Flatten")
_UNMOVED = ("", "bias", "recurrent_weights")  # blobs that do not meet what the layer reads
_PICTURE = 4  # axes from which on TensorFlow's code has channels last


@dataclass(frozen=True)
class Order:
    """How a blob lies in TensorFlow, where that is not what the plan says.

    Args:
        param: the blob with its inputs as they come.
        inputs: their order, outputs: that of what the layer makes.
        known: whether it follows from the prototxt.
    """

    param: Param
    inputs: tuple[Move, ...] = ()
    outputs: tuple[Move, ...] = ()
    known: bool = True


@dataclass(frozen=True, eq=False)
class _Held:
    """How TensorFlow's code has a blob.

    Args:
        places: Caffe's places in TensorFlow's shape, of one sample; None if nobody can tell.
        free: InnerProducts whose outputs these are, number by number; they may lie in any order.
    """

    places: Places | None
    free: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Flow:
    """All orders of a net.

    Args:
        blobs: by layer and blob (its owner's); what is not there lies as the plan says.
        pictures: tops that TensorFlow's code has in an order that nobody can tell.
    """

    blobs: Mapping[tuple[int, int], Order]
    pictures: frozenset[Ref]


def follow(plan: Plan) -> Flow:
    """Follow the numbers through a net."""
    chosen: dict[int, Places] = {}
    while True:
        walk = _Walk(plan, chosen)
        before = len(chosen)
        for i, entry in enumerate(plan.layers):
            if not entry.family.source:
                walk.layer(i, entry)
        if len(chosen) == before:
            pictures = frozenset(ref for ref, held in walk.held.items() if not walk.is_plain(ref))
            return Flow(_by_owner(plan, walk.orders), pictures)


class _Walk:
    """One way through a net.

    Args:
        chosen: orders of InnerProducts' outputs; those that a picture asks for are added, and hold
            from the next walk on.
    """

    def __init__(self, plan: Plan, chosen: dict[int, Places]) -> None:
        self._plan, self._chosen = plan, chosen
        self.held: dict[Ref, _Held] = {}  # what is not here is held as the plan says
        self.orders: dict[tuple[int, int], Order] = {}

    def is_plain(self, ref: Ref) -> bool:
        """Whether a top is held as a model's border has it."""
        held, shape = self.held.get(ref), self._plan.layout(ref).shape
        return held is None or len(shape) < _PICTURE or _same(held.places, _natural(shape))

    def layer(self, i: int, entry: PlannedLayer) -> None:
        """Go on through a layer."""
        refs = self._plan.net.sources[i]
        plain = all(
            _same(self.held[ref].places, _places(need)) if ref in self.held else _alike(have, need)
            for ref, have, need in zip(refs, entry.have, entry.bottoms, strict=True)
        )
        if isinstance(entry.family, InnerProduct):
            self._inner_product(i, entry, None if plain else self._came(i)[0])
        elif entry.layer.type in _RESHAPING:
            self._reshape(i, entry, plain=plain)
        elif isinstance(entry.family, Elementwise | Scale | Bias):
            if not plain or all(ref in self.held for ref in refs):
                self._each(i, entry, plain=plain)
        elif not plain:
            self._other(i, entry)

    def _came(self, i: int) -> list[_Held]:
        """What a layer reads."""
        both = zip(self._plan.net.sources[i], self._plan.layers[i].have, strict=True)
        return [self.held.get(ref) or _Held(_places(have)) for ref, have in both]

    def _inner_product(self, i: int, entry: PlannedLayer, came: _Held | None) -> None:
        """It takes its inputs in any order, and makes its outputs in any that is asked for.

        Args:
            came: None if it is what the plan says.
        """
        options = entry.family.options(entry.layer)
        weights = entry.params[0]
        order = Order(weights)
        count = weights.shape[0 if options.transpose else 1]
        if came is not None and (came.places is None or came.places.size != count):
            order = replace(order, known=False)
        elif came is not None and came.places is not None:
            caffe = "(c) o" if options.transpose else "o (c)"
            param = replace(weights, layout=Pattern(f"(c) o -> {caffe}", {"c": count}))
            axis = 0 if options.transpose else 1
            order = Order(param, _moves(axis, came.places, "inputs"))
        made = self._chosen.get(i)
        if made is not None:
            axis = 1 if options.transpose else 0
            order = replace(order, outputs=_moves(axis, made, "outputs"))
            for j, param in enumerate(entry.params[1:], 1):
                self.orders[i, j] = Order(param, outputs=_moves(0, made, "outputs"))
        if order != Order(weights):
            self.orders[i, 0] = order
        if len(entry.tops[0].axes) == 2:
            places = np.arange(options.num_output) if made is None else made
            self.held[Ref(i, 0)] = _Held(places, frozenset({i}))

    def _reshape(self, i: int, entry: PlannedLayer, *, plain: bool) -> None:
        """TensorFlow reshapes in its own memory's order."""
        top, shape = entry.tops[0], self._plan.shapes[i][0]
        picture = len(shape) >= _PICTURE
        usual = not picture or _alike(top, Layout.natural(top.shape))
        if plain and usual and self._plan.net.sources[i][0] not in self.held:
            return
        (came,) = self._came(i)
        if not plain and len(shape) == 3 and not came.free:
            self.held[Ref(i, 0)] = _Held(None)  # a code's own choice
            return
        wanted = _natural(top.shape) if picture else _places(Layout.caffe(top.shape))
        if came.places is None or wanted is None or came.places.size != wanted.size:
            self.held[Ref(i, 0)] = _Held(None)
            return
        places = came.places.reshape(wanted.shape)
        if picture and not _same(places, wanted):
            for layer in came.free - self._chosen.keys():
                self._chosen[layer] = wanted.ravel()
        self.held[Ref(i, 0)] = _Held(places, came.free)

    def _each(self, i: int, entry: PlannedLayer, *, plain: bool) -> None:
        """A number is made of a number at its place, whatever the order."""
        came = self._came(i)
        places = came[0].places
        alike = all(_same(held.places, places) for held in came)
        if plain and not alike:
            return
        free = [held.free for held in came]
        kept = frozenset[int]().union(*free) if alike and all(free) else frozenset[int]()
        for top in range(len(entry.tops)):
            self.held[Ref(i, top)] = _Held(places if alike else None, kept)
        if plain:
            return
        for j, param in enumerate(entry.params):
            if param.role and prod(param.shape) > 1:
                if alike and places is not None and param.shape == (places.size,):
                    listed = replace(param, layout=Pattern("c -> c"))
                    self.orders[i, j] = Order(listed, _moves(0, places, "numbers"))
                else:
                    self.orders[i, j] = Order(param, known=False)

    def _other(self, i: int, entry: PlannedLayer) -> None:
        """Concat joins flat numbers; of all others nobody can tell."""
        for j, param in enumerate(entry.params):
            if param.role not in _UNMOVED:
                self.orders[i, j] = Order(param, known=False)
        if entry.layer.type == "Concat":
            parts = [held.places for held in self._came(i)]
            self.held[Ref(i, 0)] = _Held(_joined(parts, self._plan.shapes[i][0]))
        elif not entry.params:
            self.held.update({Ref(i, top): _Held(None) for top in range(len(entry.tops))})


def _joined(parts: Sequence[Places | None], shape: Sequence[int]) -> Places | None:
    """Vectors one behind the other."""
    known = [part for part in parts if part is not None and part.ndim == 1]
    if len(known) < len(parts) or sum(part.size for part in known) != prod(shape[1:]):
        return None
    starts = np.cumsum([0, *(part.size for part in known[:-1])])
    return np.concatenate([part + start for part, start in zip(known, starts, strict=True)])


def _by_owner(plan: Plan, orders: Mapping[tuple[int, int], Order]) -> dict[tuple[int, int], Order]:
    """Layers that share a blob have to have it in one order."""
    found: dict[tuple[int, int], Order] = {}
    seen: set[tuple[int, int]] = set()
    for place, owner, param in _blobs(plan):
        mine = orders.get(place)
        if owner in seen and mine != found.get(owner):
            found[owner] = Order(param, known=False)
        elif mine is not None:
            found[owner] = mine
        seen.add(owner)
    return found


def _blobs(plan: Plan) -> Iterator[tuple[tuple[int, int], tuple[int, int], Param]]:
    for i, entry in enumerate(plan.layers):
        for j, (owner, param) in enumerate(zip(entry.owners, entry.params, strict=True)):
            yield (i, j), owner, param


def _moves(axis: int, places: Places, what: str) -> tuple[Move, ...]:
    flat = tuple(places.ravel().tolist())
    return () if flat == tuple(range(len(flat))) else (Move(axis, flat, what),)


def _places(layout: Layout) -> Places | None:
    """Caffe's places in a tensor of this layout, of one sample; None if a size is free."""
    sizes = layout.factors
    if not layout.axes or len(layout.axes[0]) != 1 or layout.dims[0] != (0,):
        return None
    kept = [size for size in sizes[1:] if size is not None]
    if len(kept) < len(sizes) - 1:
        return None
    order = [factor - 1 for dim in layout.dims[1:] for factor in dim]
    shape = [prod(kept[factor - 1] for factor in dim) for dim in layout.dims[1:]]
    return np.arange(prod(kept)).reshape(kept).transpose(order).reshape(shape)


def _natural(shape: Sequence[int | None]) -> Places | None:
    return _places(Layout.natural(shape))


def _same(one: Places | None, other: Places | None) -> bool:
    """Whether they are in one order; axes of size 1 do not count."""
    if one is None or other is None:
        return False
    return np.array_equal(one.squeeze(), other.squeeze())


def _alike(one: Layout, other: Layout) -> bool:
    return one == other or _order(one) == _order(other)


def _order(layout: Layout) -> object:
    """How the numbers lie; axes of size 1 do not count."""
    text = layout.pattern().text
    names = re.findall(r"\w+", text.split("->")[1])
    sizes = {n: size or _FREE for n, size in zip(names, layout.factors, strict=True)}
    return Pattern(text, sizes).moves
