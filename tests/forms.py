"""Whether a prototxt is what a person would have written, in forms that please every reader.

What a dialect's file says is asked of `tf2caffe.dialect`; here stands what holds in all of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tf2caffe import dialect
from tf2caffe.net.families import family
from tf2caffe.net.overhang import overhang
from tfcaffe import geometry
from tfcaffe.files import prototxt
from tfcaffe.layers.pooling import AVE
from tfcaffe.layout import Shape
from tfcaffe.net import Layer

_SOURCES = ("Input", "Parameter")
_SPARE = ("Split", "Dropout", "Flatten")  # Caffe's own, of training alone, said by Reshape
_NOT_IN_PLACE = ("Eltwise", "MVN", "Softmax")  # right in Caffe, but not with every reader
_WEIGHTED = (
    *("Convolution", "Deconvolution", "InnerProduct", "Embed", "Parameter", "LSTM", "RNN"),
    *("Scale", "Bias", "PReLU", "BatchNorm"),
)
_SAID = {  # even at its default
    "Concat": ("axis",),
    "Deconvolution": ("stride",),
    "Eltwise": ("operation",),
    "Pooling": ("pool",),
    "Slice": ("axis",),
}


@dataclass(eq=False)
class Blob:
    """What one layer writes into a blob once."""

    name: str
    shape: Shape
    maker: Step
    readers: list[Step] = field(default_factory=list)


@dataclass(eq=False)
class Step:
    """A layer, its own parameters, and the blobs that it reads and makes."""

    layer: Layer
    own: Any
    bottoms: list[Blob]
    tops: list[Blob] = field(default_factory=list)

    @property
    def type(self) -> str:
        return self.layer.type

    @property
    def in_place(self) -> bool:
        return any(top in self.layer.bottoms for top in self.layer.tops)


def faults(text: Path, written_in: str, outputs: Collection[str]) -> list[str]:
    """What should have been said otherwise, with the layer's name.

    Args:
        written_in: a dialect.
        outputs: the blobs that the network was converted for.
    """
    known = dialect.load(written_in)
    steps = _steps(prototxt.read(text).net)
    last = {top.name: top for step in steps for top in step.tops}
    wanted = [last[name] for name in outputs]
    found = [
        f"{step.layer.name}: {told}"
        for step in steps
        for told in (*_alone(step), *_among(step, wanted), *_dialect(step, known))
    ]
    return [*found, *_together(steps)]


def _steps(net: Any) -> list[Step]:
    steps: list[Step] = []
    current: dict[str, Blob] = {}
    for message in net.layer:
        layer = Layer(message.name, message.type, (*message.bottom,), (*message.top,), message)
        kind = family(layer.type)
        bottoms = [current[name] for name in layer.bottoms]
        step = Step(layer, getattr(message, kind.field) if kind.field else None, bottoms)
        for bottom in bottoms:
            bottom.readers.append(step)
        shapes = kind.source_shapes(layer) if kind.source else ()
        shapes = shapes or kind.shapes(layer, [b.shape for b in bottoms])
        for name, shape in zip(layer.tops, shapes, strict=True):
            current[name] = Blob(name, tuple(shape or ()), step)
            step.tops.append(current[name])
        steps.append(step)
    return steps


def _dialect(step: Step, known: dialect.Dialect) -> Iterator[str]:
    more = {}
    if step.type == "Pooling":
        size = step.bottoms[0].shape[2:]
        said = geometry.pooling(step.layer, step.own, size)
        average = step.own.pool == AVE
        more["overhang"] = overhang(average, size, said.kernel, said.stride, said.pad)
    yield from dialect.faults_of(known, step.type, len(step.bottoms), step.own, **more)
    if known.longest and len(step.layer.name) > known.longest:
        yield "its name is too long"


def _alone(step: Step) -> Iterator[str]:
    """What can be told of a layer without the others."""
    kind, own, message = step.type, step.own, step.layer.message
    if kind in _SPARE:
        yield f"is a {kind}"
    general = {"name", "type", "bottom", "top", family(kind).field}
    yield from (f"says {f.name}" for f, _ in message.ListFields() if f.name not in general)
    if own is not None:
        if not own.ListFields() and message.HasField(family(kind).field):
            yield f"an empty {family(kind).field}"
        yield from _fields(own, _SAID.get(kind, ()))
        for name in _SAID.get(kind, ()):
            if not _said(own, name) and not (kind == "Pooling" or _said(own, f"{name}_h")):
                yield f"does not say its {name}"
    if kind in ("Convolution", "Deconvolution", "Pooling"):
        yield from _windows(own, len(step.bottoms[0].shape) - 2)
    if kind == "Pooling":
        yield from _pooling(step)
    if kind == "Reshape":
        yield from _reshape(list(own.shape.dim), step.bottoms[0].shape, step.tops[0].shape)
    if kind == "Slice" and len(own.slice_point) != len(step.tops) - 1:
        yield "has no slice points"
    if _does_nothing(step):
        yield "does nothing"


def _said(own: Any, name: str) -> bool:
    return any(f.name == name for f, _ in own.ListFields())


def _fields(own: Any, usual: Collection[str]) -> Iterator[str]:
    """Nothing is said that holds anyway, and no axis is counted from the end."""
    for descriptor, value in own.ListFields():
        name = descriptor.name
        if descriptor.message_type is not None:
            for inner in value if hasattr(value, "extend") else [value]:
                yield from _fields(inner, ())
        elif not hasattr(value, "extend"):
            paired = name.endswith(("_h", "_w"))
            if value == descriptor.default_value and name not in usual and not paired:
                yield f"says {name}: {value}"
            if "axis" in name and value < 0:
                yield f"counts {name} {value} from the end"


def _windows(own: Any, spatial: int) -> Iterator[str]:
    """One number where both axes agree, `_h` and `_w` where they do not; a list for three."""
    for scalar in ("kernel_size", "stride", "pad", "dilation"):
        if scalar not in own.DESCRIPTOR.fields_by_name:
            continue
        value = getattr(own, scalar)
        listed = [*value] if hasattr(value, "extend") else []
        if len(listed) > 1 and spatial == 2 and (len({*listed}) == 1 or scalar != "dilation"):
            yield f"has a list for {scalar}"
        if listed and spatial == 3 and len(listed) != 3:
            yield f"has no list for {scalar}"
        pair = [f"{scalar.removesuffix('_size')}_{side}" for side in "hw"]
        both = [_said(own, name) for name in pair]
        if any(both) and (not all(both) or _said(own, scalar)):
            yield f"says {pair} and {scalar}"
        if all(both) and getattr(own, pair[0]) == getattr(own, pair[1]):
            yield f"says {pair} alike"


def _pooling(step: Step) -> Iterator[str]:
    own, size = step.own, step.bottoms[0].shape[2:]
    said = geometry.pooling(step.layer, own, size)
    if any(pad >= kernel for pad, kernel in zip(said.pad, said.kernel, strict=True)):
        yield "has pads as large as the kernel"
    if own.global_pooling and {f.name for f, _ in own.ListFields()} > {"global_pooling", "pool"}:
        yield "says more than global_pooling"
    if not own.global_pooling and said.kernel == size and not any(said.pad):
        yield "is global"


def _reshape(dims: Sequence[int], before: Shape, after: Shape) -> Iterator[str]:
    """The batch is never a number, so that any other one runs."""
    wanted = [0 if before[0] == after[0] else -1, *after[1:]]
    if dims != wanted:
        yield f"says {dims} for {wanted}"


def _does_nothing(step: Step) -> bool:
    kind, own = step.type, step.own
    if kind in ("Crop", "Reshape", "Tile"):
        return step.tops[0].shape == step.bottoms[0].shape
    if kind == "Pooling":
        said = geometry.pooling(step.layer, own, step.bottoms[0].shape[2:])
        return {*said.kernel, *said.stride} == {1} and not any(said.pad)
    if kind == "Power" and step.bottoms[0].maker.type != "Slice":  # a copy for readers of outputs
        return (own.power, own.scale, own.shift) == (1, 1, 0)
    return (kind == "Concat" and len(step.bottoms) == 1) or (kind == "Slice" and len(step.tops) < 2)


def _among(step: Step, outputs: Collection[Blob]) -> Iterator[str]:
    """What can be told when it is known who reads what."""
    name, tops = step.layer.name, step.tops
    for i, top in enumerate(tops):
        if not step.in_place and top.name.rstrip("_") != (f"{name}_{i}" if i else name):
            yield f"its blob is called {top.name}"
        if not top.readers and top not in outputs and step.type != "Input":
            yield f"nobody reads {top.name}"
    if len(step.bottoms) != 1 or len(tops) != 1:
        return
    (blob,) = step.bottoms
    free = (
        family(step.type).in_place
        and step.type not in _NOT_IN_PLACE
        and all(len(b.readers) == 1 and b not in outputs for b in _memory(blob))
        and _memory(blob)[-1].maker.type not in _SOURCES
    )
    if free != step.in_place:
        yield "could work in place" if free else "works in place"
    alone = len(blob.readers) == 1 and blob not in outputs and blob.maker.type == step.type
    if alone and (step.type == "Reshape" or (step.type == "Power" and blob.maker.own.power == 1)):
        yield f"is the second {step.type} in a row"


def _memory(blob: Blob) -> list[Blob]:
    """The blob and those before it that lie in the same place."""
    found = [blob]
    while found[-1].maker.type == "Reshape":
        found += found[-1].maker.bottoms
    return found


def _together(steps: Sequence[Step]) -> Iterator[str]:
    """Names, order, and layers that say the same."""
    names = Counter(step.layer.name for step in steps)
    blobs = Counter(top.name for step in steps if not step.in_place for top in step.tops)
    yield from (f"{name}: there are two" for name, n in (names + blobs).items() if n > 2)
    yield from (f"{name}: there are two layers" for name, n in names.items() if n > 1)
    if all(step.type in _SOURCES for step in steps):
        yield "nothing is computed"
    for step, behind in pairwise(steps):
        if step.type == "BatchNorm":
            scales = [r for r in step.tops[0].readers if r.type == "Scale" and r.in_place]
            if scales and behind not in scales:
                yield f"{step.layer.name}: its Scale is not right behind it"
    seen: dict[tuple[object, ...], str] = {}
    for step in steps:
        name = step.layer.name
        own = None if step.own is None else step.own.SerializeToString(deterministic=True)
        # Helpers of one Keras layer; two layers of Keras's that do the same are two in Caffe.
        key = (re.sub(r"(?<=[a-z])[0-9]+$", "", name), step.type, own, *map(id, step.bottoms))
        other = seen.setdefault(key, name)
        if step.type not in (*_SOURCES, *_WEIGHTED) and other != name:
            yield f"{name}: says what {other} says"
