"""The numbers of one pair: variables as TensorFlow holds them, a blob as Caffe does.

Every step reads both ways. `layouts` says which transform a pair has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfcaffe.layers.base import Param
from tfcaffe.layout import Pattern, Shape
from tfcaffe.memory_order import Apart, rows

Floats = NDArray[np.float32]


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
class Move:
    """Numbers along one of the blob's axes that lie in another order in the variable.

    Args:
        places: for each of the variable's its place in the blob.
        what: "inputs" or "outputs" of a kernel, or "numbers" of what is flat.
    """

    axis: int
    places: tuple[int, ...]
    what: str


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
        moves: what moves along the blob's axes beyond the pattern.
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
    moves: tuple[Move, ...] = ()

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
        blob = self._plus(_ordered(blob.reshape(self.shape), self.gates), self.delta)
        for move in self.moves:
            blob = np.take(blob, np.argsort(move.places), move.axis)
        return blob

    def caffe_rows(self, variable: Floats) -> Iterator[Floats]:
        """The blob of a single variable in pieces, in C order; for transforms that only move."""
        return rows(self.pattern.to_caffe_apart(variable))

    def tf_apart(self, blob: Floats) -> Floats | Apart:
        """The single variable, of which nothing is copied yet; for transforms that only move."""
        view = self.pattern.to_tf_apart(blob)
        return view if view.shape == self.joined else Apart(view, self.joined)

    @property
    def only_moves(self) -> bool:
        """Whether it takes one variable as it is, and adds nothing."""
        plain = self.along is None and self.part is None and not self.gates
        return plain and not self.flips and not self.delta and not self.moves

    def to_tf(self, blob: Floats) -> list[Floats]:
        """The variables; of one that holds another blob's numbers, too, its part."""
        from einops import rearrange

        for move in self.moves:
            blob = np.take(blob, move.places, move.axis)
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


def words(transform: Transform, param: Param) -> str:
    """The transform for people: `HWIO → OIHW`, `fc after 7×7×512 flatten`."""
    tf, caffe = (side.strip() for side in transform.pattern.text.split("->"))
    kernel = bool({"o", "m"} & set(re.findall(r"\w+", tf)))
    mine, theirs = (_letters(side, kernel) for side in (tf, caffe))
    said = [] if mine == theirs else [f"{mine} → {theirs}"]
    inputs = re.findall(r"\w+", inputs_of(tf))
    if len(inputs) > 1:
        sizes = "×".join(str(transform.pattern.sizes.get(axis, "?")) for axis in inputs)
        said.append(f"fc after {sizes} flatten")
    if transform.along is not None:
        said.append(f"{len(transform.parts) or 'several'} joined along {mine[transform.along]}")
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
    said += [f"{move.what} in TensorFlow's order" for move in transform.moves]
    return ", ".join(said) or "as it is"


def inputs_of(tf: str) -> str:
    """A fully connected kernel's inputs: the group that its pattern begins with."""
    found = re.match(r"\([^()]*\)", tf)
    return found.group() if found else ""


def _letters(side: str, kernel: bool) -> str:
    dims: list[str] = re.findall(r"\([^()]*\)|\w+", side)
    told = any(dim != "1" and _letter(dim, kernel) == "I" for dim in dims)
    return "".join("1" if told and dim == "1" else _letter(dim, kernel) for dim in dims)


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
