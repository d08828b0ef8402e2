"""A Caffe net as a list of layers whose bottoms know which layer made them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tfcaffe.errors import NetError, UsageError


class Ref(NamedTuple):
    """One version of a blob: the `top`-th top of the `layer`-th layer."""

    layer: int
    top: int


@dataclass(frozen=True)
class Layer:
    """One layer of the net, as its prototxt says it in V2 terms.

    Args:
        message: its LayerParameter.
        line: where it begins in its prototxt, if known.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Any = field(repr=False, compare=False)
    line: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return f"layer {self.name!r} ({self.type}{where})"


@dataclass(frozen=True)
class Net:
    """Layers in order, wired: a blob's name always means its latest writer.

    Args:
        sources: for every layer, who made each of its bottoms.
        outputs: the blobs that the net answers with, by name, in order.
        notes: what was decided on the way, for the user.
    """

    name: str
    layers: tuple[Layer, ...]
    sources: tuple[tuple[Ref, ...], ...]
    outputs: tuple[tuple[str, Ref], ...]
    path: str = "<net>"
    notes: tuple[str, ...] = ()

    def with_layers(self, layers: Iterable[Layer], *notes: str) -> Net:
        """The same net with other layers, wired anew, and these notes added."""
        return wire(layers, name=self.name, path=self.path, notes=(*self.notes, *notes))

    def with_outputs(self, names: Sequence[str]) -> Net:
        """The net cut at these blobs: only what they need is kept, and they are its outputs.

        Raises:
            UsageError: no such blob; the nearest names are shown.
        """
        versions = {
            top: Ref(i, t) for i, la in enumerate(self.layers) for t, top in enumerate(la.tops)
        }
        for name in names:
            if name not in versions:
                raise UsageError(f"{self.path} has no blob {name!r} ({self._hint(name)})")
        needed = self._ancestors(versions[name].layer for name in names)
        cut = self.with_layers(la for i, la in enumerate(self.layers) if i in needed)
        moved = {old: new for new, old in enumerate(sorted(needed))}
        wanted = {n: Ref(moved[versions[n].layer], versions[n].top) for n in names}
        return replace(cut, outputs=tuple(wanted.items()))

    def _hint(self, name: str) -> str:
        """Which blobs may be meant by the name of none."""
        tops = {la.name: ", ".join(map(repr, la.tops)) for la in self.layers}
        if tops.get(name):
            return f"this is a layer, whose top is {tops[name]}"
        blobs = {top for la in self.layers for top in la.tops}
        near = difflib.get_close_matches(name, blobs, n=3) or sorted(blobs)[:5]
        return f"near: {', '.join(near)}"

    def consumers(self) -> dict[Ref, list[int]]:
        """Which layers read each version of a blob."""
        readers: dict[Ref, list[int]] = {}
        for i, refs in enumerate(self.sources):
            for ref in refs:
                readers.setdefault(ref, []).append(i)
        return readers

    def _ancestors(self, roots: Iterable[int]) -> set[int]:
        needed: set[int] = set()
        stack = list(roots)
        while stack:
            layer = stack.pop()
            if layer not in needed:
                needed.add(layer)
                stack += [ref.layer for ref in self.sources[layer]]
        return needed


_NET_FIELDS = frozenset(
    {"name", "layer", "layers", "input", "input_dim", "input_shape", "state"}
    | {"force_backward", "debug_info"}  # of training only
)


def from_message(
    message: Any,
    lines: Sequence[int | None] = (),
    path: str = "<net>",
    notes: Sequence[str] = (),
    left_out: Sequence[Layer] = (),
) -> Net:
    """A net of a V2 NetParameter that has been filtered for its phase.

    Args:
        lines: the line of each layer, where known.
        left_out: layers that the filter took away, for messages.

    Raises:
        NetError: unknown bottoms, or a top that is already there.
    """
    layers = map(layer_of, message.layer, lines or [None] * len(message.layer))
    foreign = [field.name for field, _ in message.ListFields() if field.name not in _NET_FIELDS]
    if foreign:
        notes = [
            *notes,
            f"the net's own fields {', '.join(foreign)} are a fork's and have no say here: all is "
            "computed in float32, layer by layer",
        ]
    return wire(layers, name=message.name, path=path, notes=tuple(notes), left_out=left_out)


def layer_of(message: Any, line: int | None) -> Layer:
    """The layer of a LayerParameter that begins at `line`."""
    return Layer(
        message.name, message.type, tuple(message.bottom), tuple(message.top), message, line
    )


def wire(
    layers: Iterable[Layer],
    *,
    name: str = "",
    path: str = "<net>",
    notes: tuple[str, ...] = (),
    left_out: Sequence[Layer] = (),
) -> Net:
    """Connect layers by blob names, under Caffe's rules.

    A top may repeat a name only in place: the same index among its own bottoms, on a blob that
    nothing else has read. What no layer reads is an output. Source: Net::AppendTop,
    Net::AppendBottom; InsertSplits gives each of several readers a blob of its own, so that one
    of them is in place no more.

    Raises:
        NetError: a bottom that nobody made before, a top that is already there.
    """
    layers = tuple(layers)
    latest: dict[str, Ref] = {}
    unread: dict[Ref, str] = {}
    read: dict[Ref, Layer] = {}
    sources: list[tuple[Ref, ...]] = []
    for i, layer in enumerate(layers):
        refs = []
        for bottom in layer.bottoms:
            if bottom not in latest:
                raise NetError(
                    _unknown_bottom(path, layer, bottom, layers[i + 1 :], left_out, latest)
                )
            refs.append(latest[bottom])
            unread.pop(latest[bottom], None)
        for t, top in enumerate(layer.tops):
            in_place = t < len(layer.bottoms) and layer.bottoms[t] == top
            if top in latest and not in_place:
                first = layers[latest[top].layer]
                raise NetError(
                    f"{path}: top {top!r} of {layer} is already made by {first}; only an in-place "
                    "layer (the same name as bottom and top) may write a blob again"
                )
            if in_place and (refs.count(refs[t]) > 1 or refs[t] in read):
                other = read.get(refs[t], layer)
                raise NetError(
                    f"{path}: {layer} works in place on {top!r}, which {other} reads, too; Caffe "
                    "refuses that, so give its top a name of its own"
                )
            latest[top] = Ref(i, t)
            unread[latest[top]] = top
        read.update(dict.fromkeys(refs, layer))
        sources.append(tuple(refs))
    outputs = tuple((top, ref) for ref, top in unread.items())
    return Net(name, layers, tuple(sources), outputs, path, notes)


def _unknown_bottom(
    path: str,
    layer: Layer,
    bottom: str,
    later: Sequence[Layer],
    left_out: Sequence[Layer],
    known: Iterable[str],
) -> str:
    maker = next((la for la in later if bottom in la.tops), None)
    if maker is not None:
        return (
            f"{path}: bottom {bottom!r} of {layer} is only made by the later {maker}; Caffe runs "
            "layers in order, so move it up (a cycle cannot be converted)"
        )
    maker = next((la for la in left_out if bottom in la.tops), None)
    if maker is not None:
        message = maker.message
        rules = [f"include {{ {_line(rule)} }}" for rule in message.include]
        rules += [f"exclude {{ {_line(rule)} }}" for rule in message.exclude]
        return (
            f"{path}: {layer} reads the blob {bottom!r}, which only {maker} makes, and that is "
            f"left out here: {' '.join(rules)}; choose with --phase, --level and --stage"
        )
    near = difflib.get_close_matches(bottom, known, n=3)
    hint = f"; near: {', '.join(near)}" if near else ""
    return f"{path}: {layer} reads the blob {bottom!r}, which no layer makes{hint}"


def _line(message: Any) -> str:
    return " ".join(str(message).split())
