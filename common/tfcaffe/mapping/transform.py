"""The numbers of one pair: variables as TensorFlow holds them, a blob as Caffe does.

The layer's family says how both lie (`Param.layout`); a mapping adds only what is unusual. Every
step reads both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfcaffe.layers.base import Param
from tfcaffe.layout import Pattern, Shape
from tfcaffe.memory_order import rows

Floats = NDArray[np.float32]
KERAS_GATES = "ifco"
_CANDIDATES = ("HWIO", "HWOI", "OIHW", "IOHW", "OHWI", "HWIM", "DHWIO", "OIDHW", "WIO", "IO", "OI")


class LayoutError(ValueError):
    """What this layer's blob cannot lie like; says why."""


@dataclass(frozen=True)
class Part:
    """Where the numbers lie in a larger variable.

    Args:
        axis: the variable's dimension of which it is a part.
        first: where it begins along that.
        whole: the variable's size along it.
    """

    axis: int
    first: int
    whole: int


@dataclass(frozen=True)
class Transform:
    """From variables to one blob, and back.

    Args:
        pattern: the joined variable's axes and the blob's, with all their sizes.
        shape: the blob's.
        flips: axes of the pattern along which the variable is turned round.
        along: the variable's dimension along which several are joined; None for one alone.
        parts: their sizes along it.
        part: if the variable holds another blob's numbers, too.
        gates: for each gate along the blob's first axis its number in the variable; empty if they
            are in the same order.
        delta: what is added on the way to Caffe (a difference of epsilons, a forget gate's bias).
        among: first and end of the rows that it is added to; None for all.
    """

    pattern: Pattern
    shape: Shape
    flips: tuple[str, ...] = ()
    along: int | None = None
    parts: tuple[int, ...] = ()
    part: Part | None = None
    gates: tuple[int, ...] = ()
    delta: float = 0.0
    among: tuple[int, int] | None = None

    @property
    def joined(self) -> Shape:
        """TensorFlow's shape of the whole."""
        return self.pattern.tf_shape(self.shape)

    @property
    def variable_shapes(self) -> tuple[Shape, ...]:
        """TensorFlow's shape of each variable."""
        whole, at = self.joined, self.along
        if (part := self.part) is not None:
            return ((*whole[: part.axis], part.whole, *whole[part.axis + 1 :]),)
        if at is None:
            return (whole,)
        return tuple((*whole[:at], size, *whole[at + 1 :]) for size in self.parts)

    def to_caffe(self, variables: Sequence[Floats]) -> Floats:
        """The blob; a view of a single variable where nothing moves."""
        from einops import rearrange

        whole = variables[0] if self.along is None else np.concatenate(variables, self.along)
        if (part := self.part) is not None:
            ends = [part.first, part.first + self.joined[part.axis]]
            whole = np.split(whole, ends, part.axis)[1]
        tf, split, caffe = self._sides()
        if self.flips:
            whole = self._turned(rearrange(whole, f"{tf} -> {split}", **self.pattern.sizes), split)
            blob = Pattern(f"{split} -> {caffe}", self.pattern.sizes).to_caffe(whole)
        else:
            blob = self.pattern.to_caffe(whole)
        return self._plus(_ordered(blob.reshape(self.shape), self.gates), self.delta)

    def caffe_rows(self, variable: Floats) -> Iterator[Floats]:
        """The blob of a single variable in pieces, in C order; for transforms that only move."""
        return rows(self.pattern.to_caffe_apart(variable))

    @property
    def only_moves(self) -> bool:
        """Whether it takes one variable as it is, and adds nothing."""
        plain = self.along is None and self.part is None and not self.gates
        return plain and not self.flips and not self.delta

    def to_tf(self, blob: Floats) -> list[Floats]:
        """The variables; of one that holds another blob's numbers, too, its part."""
        from einops import rearrange

        blob = _ordered(self._plus(blob, -self.delta), np.argsort(self.gates))
        tf, split, caffe = self._sides()
        if self.flips:
            apart = Pattern(f"{split} -> {caffe}", self.pattern.sizes).to_tf(blob)
            apart = np.ascontiguousarray(self._turned(apart, split))
            whole = rearrange(apart, f"{split} -> {tf}", **self.pattern.sizes)
        else:
            whole = self.pattern.to_tf(blob)
        if self.along is None:
            return [whole]
        return np.split(whole, np.cumsum(self.parts)[:-1], self.along)

    def _plus(self, blob: Floats, delta: float) -> Floats:
        if not delta:
            return blob
        total = blob.astype(np.float64)
        total[slice(*self.among or (None,))] += delta
        return np.asarray(total, np.float32)

    def _turned(self, apart: Floats, axes: str) -> Floats:
        names = axes.split()
        return np.flip(apart, tuple(names.index(axis) for axis in self.flips))

    def _sides(self) -> tuple[str, str, str]:
        """TensorFlow's axes as they are, one by one, and Caffe's."""
        tf, caffe = (side.strip() for side in self.pattern.text.split("->"))
        return tf, tf.replace("(", "").replace(")", ""), caffe


def default(param: Param) -> Transform:
    """What the layer's family says."""
    return _transform(param, param.layout.text, param.layout.sizes)


def relaid(param: Param, layout: str) -> Transform:
    """With the variable's axes in the order of these letters.

    Letters: O outputs, I inputs, H, W, D the kernel's axes, M a depthwise kernel's multiplier.

    Raises:
        LayoutError: the blob has no such axes.
    """
    tf, caffe = sides(param)
    axes = set(re.findall(r"[a-z]\w*", caffe))
    names = {axis.upper(): axis for axis in axes}
    if {"c", "m"} <= axes:  # a depthwise kernel
        names |= {"I": "c"} if "M" in layout else {"I": "1", "O": "(c m)"}
    elif inputs := _inputs(tf):
        spatial = set(layout) & set("DHW")
        names["I"] = "c" if spatial else inputs
        if axes == {"c", "o"}:  # the input is flat: a convolution of kernel 1 is meant
            names |= dict.fromkeys(spatial, "1")
    text = " ".join(names.get(letter, "?") for letter in layout)
    if "?" in text or sorted(re.findall(r"[a-z]\w*", text)) != sorted(axes):
        raise LayoutError(f"the layout {layout!r} does not name each axis of this blob once")
    return _transform(param, f"{text} -> {caffe}", param.layout.sizes)


def flattened(param: Param, order: Sequence[tuple[str, int]]) -> Transform:
    """With a fully connected layer's input flattened in this order (letter, size or 0).

    Raises:
        LayoutError: it is no such layer; letters or sizes that are not its input's.
    """
    tf, caffe = sides(param)
    inputs = _inputs(tf)
    if not inputs:
        raise LayoutError("`flatten` is for the weights of fully connected layers")
    said = {letter.lower(): size for letter, size in order if size}
    known = dict(param.layout.sizes)
    mine = " ".join(letter.lower() for letter, _ in order)
    theirs = " ".join(axis for axis in ("c", "d", "h", "w") if axis in mine.split())
    if len(set(mine.split())) < len(order) or len(theirs.split()) < len(order):
        raise LayoutError("`flatten` names C, H and W (and D) once each")
    old = re.findall(r"\w+", inputs)
    if len(old) > 1 and sorted(old) != sorted(mine.split()):
        raise LayoutError(f"`flatten`: the layer's input has the axes {', '.join(old).upper()}")
    if len(old) > 1 and any(known.get(axis, size) != size for axis, size in said.items()):
        raise LayoutError(f"`flatten`: the layer's input is {known}")
    if len(old) == 1 and len(said) < len(order):
        raise LayoutError(
            "`flatten`: the prototxt does not tell the sizes; write them: [C=512, H=7, W=7]"
        )
    group = re.compile(r"\([^()]*\)")
    text = f"{group.sub(f'({mine})', tf)} -> {group.sub(f'({theirs})', caffe)}"
    return _transform(param, text, known if len(old) > 1 else said)


def rearranged(param: Param, text: str) -> Transform:
    """By an einops pattern, TensorFlow's side first.

    Raises:
        LayoutError: it is none, or does not fit the blob.
    """
    if text.count("->") != 1 or not re.fullmatch(r"[a-z0-9_ ()]*->[a-z0-9_ ()]*", text):
        raise LayoutError(f"{text!r} is no pattern like h w i o -> o i h w")
    known = re.findall(r"\w+", text)
    return _transform(param, text, {a: n for a, n in param.layout.sizes.items() if a in known})


def gate_order(param: Param, letters: str) -> tuple[int, ...]:
    """For each of the blob's gates its number in a variable that orders them like `letters`.

    `c`, the cell's candidate, is also called g or j.

    Raises:
        LayoutError: letters that are not the blob's gates.
    """
    if not param.gates:
        return ()
    said = letters.replace("g", "c").replace("j", "c")
    if sorted(said) != sorted(param.gates):
        raise LayoutError(f"`gates` names i, f, c (or g, or j) and o once each, not {letters!r}")
    return () if said == param.gates else tuple(said.index(gate) for gate in param.gates)


def part_of(transform: Transform, first: int, whole: int) -> Part:
    """The rows of a kernel from `first` on, of `whole` rows; one row for each input.

    Raises:
        LayoutError: the variable's inputs are no dimension of their own.
    """
    outputs = dimension(transform, "o")
    if len(transform.joined) != 2:
        raise LayoutError("`part` is for a kernel with one axis of inputs and one of outputs")
    return Part(1 - outputs, first, whole)


def fitting(param: Param, shape: Shape) -> Iterator[str]:
    """Layouts that a variable of this shape can have, where the usual one does not fit."""
    for layout in _CANDIDATES:
        try:
            if relaid(param, layout).joined == shape:
                yield f"layout: {layout}"
        except LayoutError:
            continue
    if [size for size in shape if size > 1] == [n for n in default(param).joined if n > 1]:
        yield from _with_ones(param, shape)


def _with_ones(param: Param, shape: Shape) -> Iterator[str]:
    """The usual order, with axes of size 1 more or fewer."""
    tf, caffe = sides(param)
    sizes = Pattern(param.layout.text, param.layout.sizes).axis_sizes(param.shape)
    groups = [re.findall(r"[a-z]\w*", group) for group in re.findall(r"\([^()]*\)|\w+", tf)]
    long = [[axis for axis in group if sizes[axis] > 1] for group in groups]
    if any(len(group) > 1 for group in long):
        return
    axes = iter([group[0] for group in long if group])
    text = " ".join("1" if size == 1 else next(axes) for size in shape)
    kept = re.sub(r"[a-z]\w*", lambda axis: axis[0] if sizes[axis[0]] > 1 else "1", caffe)
    pattern = f"{text} -> {re.sub(r'[()]', '', kept)}"
    yield f'rearrange: "{pattern.replace("a0", "c")}"'


def words(transform: Transform, param: Param) -> str:
    """The transform for people: `HWIO → OIHW`, `fc after 7×7×512 flatten`."""
    tf, caffe = (side.strip() for side in transform.pattern.text.split("->"))
    kernel = bool({"o", "m"} & set(re.findall(r"\w+", tf)))
    mine, theirs = (_letters(side, kernel) for side in (tf, caffe))
    said = [] if mine == theirs else [f"{mine} → {theirs}"]
    inputs = re.findall(r"\w+", _inputs(tf))
    if len(inputs) > 1:
        sizes = "×".join(str(transform.pattern.sizes.get(axis, "?")) for axis in inputs)
        said.append(f"fc after {sizes} flatten")
    if transform.along is not None:
        said.append(f"{len(transform.parts)} joined along {mine[transform.along]}")
    if transform.flips:
        said.append(f"{', '.join(_letter(a, kernel) for a in transform.flips)} turned round")
    if (part := transform.part) is not None:
        end = part.first + transform.joined[part.axis]
        said.append(f"{part.first} to {end - 1} of {part.whole} inputs")
    if transform.gates:
        theirs = "".join(param.gates[i] for i in np.argsort(transform.gates))
        said.append(f"gates {theirs} → {param.gates}")
    if transform.delta:
        what = "epsilon" if transform.among is None else "forget_bias"
        said.append(f"{transform.delta:+g} for {what}")
    return ", ".join(said) or "as it is"


def axis_of(transform: Transform, letter: str) -> str:
    """The pattern's axis that a letter means (`H` is h, `I` the inputs).

    Raises:
        LayoutError: the variable has none of that name that lies alone.
    """
    tf = transform.pattern.text.split("->")[0]
    axes: list[str] = re.findall(r"[a-z]\w*", tf)
    if letter.lower() in axes:
        return letter.lower()
    if letter == "I" and "c" in axes:
        return "c"
    if letter == "O" and len(axes) == 1:  # a bias has the outputs alone
        return axes[0]
    raise LayoutError(f"the variable has no axis {letter}: it has {tf.strip()}")


def dimension(transform: Transform, axis: str) -> int:
    """The variable's dimension that is this axis.

    Raises:
        LayoutError: it is merged with others.
    """
    dims = re.findall(r"\([^()]*\)|\w+", transform.pattern.text.split("->")[0])
    if axis not in dims:
        whole = next((i for i, dim in enumerate(dims) if axis in re.findall(r"\w+", dim)), None)
        if whole is None or len(re.findall(r"\w+", dims[whole])) > 1:
            raise LayoutError(f"the variable's axis {axis.upper()} is merged with others")
        return whole
    return dims.index(axis)


def sides(param: Param) -> tuple[str, str]:
    """TensorFlow's and Caffe's side of the family's own pattern."""
    tf, caffe = (side.strip() for side in param.layout.text.split("->"))
    return tf, caffe


def _transform(param: Param, text: str, sizes: Mapping[str, int]) -> Transform:
    tf, caffe = (sorted(re.findall(r"[a-z]\w*", side)) for side in text.split("->"))
    if tf != caffe or len(set(tf)) < len(tf):
        raise LayoutError(f"{text!r} does not have the same axes, each once, on both sides")
    try:
        full = Pattern(text, Pattern(text, sizes).axis_sizes(param.shape))
        full.tf_shape(param.shape)
    except ValueError as error:
        raise LayoutError(str(error)) from error
    return Transform(full, param.shape, gates=gate_order(param, KERAS_GATES))


def _inputs(tf: str) -> str:
    """A fully connected kernel's inputs: the group that its pattern begins with."""
    found = re.match(r"\([^()]*\)", tf)
    return found.group() if found else ""


def _letters(side: str, kernel: bool) -> str:
    dims: list[str] = re.findall(r"\([^()]*\)|\w+", side)
    return "".join(_letter(str(dim), kernel) for dim in dims)


def _letter(dim: str, kernel: bool) -> str:
    if dim == "(c m)":
        return "O"
    inputs = kernel and (dim in ("c", "1") or dim.startswith("("))
    return "I" if inputs else dim.upper()


def _ordered(blob: Floats, order: Sequence[int] | NDArray[np.intp]) -> Floats:
    """With the equal parts along the first axis in this order."""
    if not len(order):
        return blob
    apart = blob.reshape(len(order), -1, *blob.shape[1:])
    moved: Floats = apart[np.asarray(order)]
    return moved.reshape(blob.shape)
