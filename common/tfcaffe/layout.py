"""How arrays lie in Caffe and in TensorFlow: the only place that transposes anything.

Weights are described by an einops pattern, TensorFlow's side first (`h w i o -> o i h w`).
Activations are described by a `Layout`, which also renders as such a pattern. Both read in
either direction, so that no inverse is ever written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from tfcaffe.memory_order import contiguous

Shape = tuple[int, ...]
_LETTERS = {1: "n", 2: "n c", 3: "n c w", 4: "n c h w", 5: "n c d h w"}


@dataclass(frozen=True)
class Pattern:
    """An einops pattern from TensorFlow's layout to Caffe's, with the sizes that it needs.

    Args:
        text: `TensorFlow axes -> Caffe axes`, e.g. `(h w c) o -> o (c h w)`.
        sizes: sizes of the axes that neither side's shape tells alone.
    """

    text: str
    sizes: Mapping[str, int] = field(default_factory=dict)

    def to_caffe(self, array: np.ndarray) -> np.ndarray:
        """`array` in Caffe's layout; a view where no axes are merged that lay apart."""
        tf, caffe = self.text.split("->")
        return self._apply(array, tf, caffe)

    def to_tf(self, array: np.ndarray) -> np.ndarray:
        """`array` in TensorFlow's layout; a view where no axes are merged that lay apart."""
        tf, caffe = self.text.split("->")
        return self._apply(array, caffe, tf)

    def tf_shape(self, shape: Sequence[int]) -> Shape:
        """TensorFlow's shape of an array that has this shape in Caffe.

        Raises:
            ValueError: see `axis_sizes`.
        """
        sizes = {**self.axis_sizes(shape), "1": 1}
        return tuple(prod(sizes[axis] for axis in g) for g in _groups(self.text.split("->")[0]))

    def axis_sizes(self, shape: Sequence[int]) -> dict[str, int]:
        """The size of every axis, from an array's shape in Caffe.

        Raises:
            ValueError: the pattern has other axes, or a size that nobody tells.
        """
        tf, caffe = map(_groups, self.text.split("->"))
        sizes: dict[str, int] = {**self.sizes, "1": 1}
        if len(caffe) != len(shape):
            raise ValueError(f"{self.text!r} has {len(caffe)} axes in Caffe, not {len(shape)}")
        for group, size in zip(caffe, shape, strict=True):
            untold = [axis for axis in group if axis not in sizes]
            known = prod(sizes[axis] for axis in group if axis in sizes)
            if len(untold) > 1:
                raise ValueError(f"{self.text!r} does not tell the sizes of {', '.join(untold)}")
            if not known or size % known or (not untold and size != known):
                raise ValueError(f"{self.text!r}: {size} is not what the axes of {group} hold")
            sizes.update({axis: size // known for axis in untold})
        if {axis for g in tf for axis in g} - sizes.keys():
            raise ValueError(f"{self.text!r} has other axes on either side")
        return {axis: size for axis, size in sizes.items() if axis != "1"}

    def to_caffe_apart(self, array: np.ndarray) -> np.ndarray:
        """As `to_caffe`, but a view: axes that Caffe has as one stay apart."""
        tf, caffe = self.text.split("->")
        return self._apart(array, tf, caffe)

    def to_tf_apart(self, array: np.ndarray) -> np.ndarray:
        """As `to_tf`, but a view: axes that TensorFlow has as one stay apart."""
        tf, caffe = self.text.split("->")
        return self._apart(array, caffe, tf)

    @property
    def moves(self) -> tuple[tuple[int, int | None], ...]:
        """Caffe's axes in TensorFlow's order, as (number, size if known); empty if none moves.

        Equal for patterns that move the same numbers to the same places, whatever their axes are
        called: axes that lie side by side on both sides count as one, those of size 1 as none.
        """
        sides = [re.findall(r"\w+", side) for side in self.text.split("->")]
        tf, caffe = ([a for a in side if a != "1" and self.sizes.get(a) != 1] for side in sides)
        follows = set(pairwise(caffe))
        runs: list[list[str]] = []
        for axis in tf:
            if runs and (runs[-1][-1], axis) in follows:
                runs[-1].append(axis)
            else:
                runs.append([axis])
        if len(runs) < 2:
            return ()
        order = sorted(runs, key=lambda run: caffe.index(run[0]))
        return tuple((order.index(run), _product([self.sizes.get(a) for a in run])) for run in runs)

    def _apply(self, array: np.ndarray, source: str, target: str) -> np.ndarray:
        from einops import rearrange

        moved, split = self._apart(array, source, target), _split(target)
        if split != target:
            moved = rearrange(contiguous(moved), f"{split} -> {target}", **self.sizes)
        return moved

    def _apart(self, array: np.ndarray, source: str, target: str) -> np.ndarray:
        from einops import rearrange

        view: np.ndarray = rearrange(array, f"{source} -> {_split(target)}", **self.sizes)
        return view


@dataclass(frozen=True)
class Layout:
    """How a blob of Caffe lies in a TensorFlow tensor.

    A Caffe axis is one factor, or several where a flatten or reshape merged axes: after a flatten
    of `N,C,H,W` in a channels-last tensor, Caffe's axis 1 is `(c h w)` while TensorFlow's
    dimension 1 holds `(h w c)`. Factors are numbered in Caffe's order.

    Args:
        axes: for each Caffe axis the sizes of its factors; None is a free size.
        dims: for each TensorFlow dimension the numbers of the factors that it holds, in order.
    """

    axes: tuple[tuple[int | None, ...], ...]
    dims: tuple[tuple[int, ...], ...]

    @classmethod
    def caffe(cls, shape: Sequence[int | None]) -> Layout:
        """TensorFlow holds the blob as Caffe does."""
        return cls(tuple((size,) for size in shape), tuple((i,) for i in range(len(shape))))

    @classmethod
    def channels_last(cls, shape: Sequence[int | None]) -> Layout:
        """`N,C,spatial…` is held as `N,spatial…,C`; up to two axes there is nothing to move."""
        order = [0, *range(2, len(shape)), 1] if len(shape) > 2 else range(len(shape))
        return cls(tuple((size,) for size in shape), tuple((i,) for i in order))

    @classmethod
    def of_tensor(cls, shape: Sequence[int]) -> Layout:
        """The blob `N,C,spatial…` of a tensor `N,spatial…,C` of this shape."""
        if len(shape) < 3:
            return cls.caffe(shape)
        return cls.channels_last((shape[0], shape[-1], *shape[1:-1]))

    @classmethod
    def natural(cls, shape: Sequence[int | None]) -> Layout:
        """What a blob has at the model's border: channels last from four axes up, else Caffe's."""
        return cls.channels_last(shape) if len(shape) in (4, 5) else cls.caffe(shape)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Caffe's shape."""
        return tuple(_product(axis) for axis in self.axes)

    @property
    def tf_shape(self) -> tuple[int | None, ...]:
        """The tensor's shape."""
        sizes = self.factors
        return tuple(_product([sizes[i] for i in dim]) for dim in self.dims)

    @property
    def factors(self) -> tuple[int | None, ...]:
        """Sizes of all factors, in Caffe's order."""
        return tuple(size for axis in self.axes for size in axis)

    @property
    def order(self) -> tuple[int, ...]:
        """The factors in the order in which TensorFlow holds them."""
        return tuple(i for dim in self.dims for i in dim)

    @property
    def simple(self) -> bool:
        """Whether each Caffe axis is one TensorFlow dimension of its own."""
        return all(len(axis) == 1 for axis in self.axes) and all(len(d) == 1 for d in self.dims)

    def dim(self, axis: int) -> int:
        """The TensorFlow dimension of Caffe's `axis` (may be negative) in a simple layout."""
        return self.dims.index((axis % len(self.axes),))

    def ordered(self, dims: tuple[tuple[int, ...], ...]) -> Layout:
        """This blob with its (simple) axes in the order of these dimensions."""
        return Layout(self.axes, dims)

    def part(self, first: int, end: int) -> Layout:
        """A simple layout's axes from `first` to before `end` alone, in their order here."""
        dims = tuple((i - first,) for (i,) in self.dims if first <= i < end)
        return Layout(self.axes[first:end], dims)

    def flattened(self, first: int) -> tuple[str, str, dict[str, int]]:
        """All factors from Caffe's axis `first` on: TensorFlow's order, Caffe's, and sizes.

        Raises:
            ValueError: a size is free.
        """
        names, sizes = self._names(), self.factors
        skip = sum(len(axis) for axis in self.axes[:first])
        kept = range(skip, len(names))
        if any(sizes[i] is None for i in kept):
            raise ValueError("a free size cannot be flattened into a kernel's rows")
        return (
            " ".join(names[i] for i in self.order if i >= skip),
            " ".join(names[i] for i in kept),
            {names[i]: size for i in kept if (size := sizes[i]) is not None},
        )

    def pattern(self, first: int = 0) -> Pattern:
        """Tensor to Caffe blob as a pattern, from Caffe's axis `first` on.

        With `first` > 0 the axes before it must lie in front in TensorFlow, too.
        """
        names = self._names()
        groups = _grouped(names, self.axes)
        caffe = groups[first:]
        skip = sum(len(group) for group in groups[:first])
        tf = [[names[i] for i in dim] for dim in self.dims if all(i >= skip for i in dim)]
        kept = {names[i]: size for i, size in enumerate(self.factors) if i >= skip}
        merged = {name for side in (caffe, tf) for g in side if len(g) > 1 for name in g}
        sizes = {n: size for n, size in kept.items() if n in merged and size is not None}
        return Pattern(f"{_render(tf)} -> {_render(caffe)}", sizes)

    def _names(self) -> list[str]:
        count = len(self.factors)
        if count in _LETTERS and count > 1:
            return _LETTERS[count].split()
        return [f"a{i}" for i in range(count)]


def steps(have: Layout, want: Layout) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The reshapes and transposes that turn a tensor of one layout into another.

    Both describe the same Caffe blob, and `want` is simple or equals `have`. Yields
    ("reshape", shape with at most one -1) and ("transpose", permutation); nothing when the
    layouts agree, and no transpose when only sizes of 1 change place.
    """
    if have == want:
        return
    factors = have.factors
    axis_factors = list(_numbers(have.axes))
    target = [i for dim in want.dims for axis in dim for i in axis_factors[axis]]
    moved = [i for i in have.order if factors[i] != 1]
    if moved != [i for i in target if factors[i] != 1]:
        if have.tf_shape != tuple(factors[i] for i in have.order):
            yield "reshape", _target(tuple(factors[i] for i in have.order))
        yield "transpose", tuple(have.order.index(i) for i in target)
        reached = tuple(factors[i] for i in target)
    else:
        reached = have.tf_shape
    if reached != want.tf_shape:
        yield "reshape", _target(want.tf_shape)


def reshaped(have: Layout, shape: Sequence[int]) -> tuple[Layout, Layout]:
    """What a Caffe reshape to `shape` does to a layout: (layout needed before, layout after).

    Caffe reshapes in its own memory order. Where the factors of every new axis lie side by side
    in the tensor, a TensorFlow reshape does it in place, and the new axis may be composite;
    otherwise the layout needed before differs from `have`, which costs one transpose.
    All sizes must be known.
    """
    refined = _refine(have, shape)
    if refined is None:
        return Layout.caffe(have.shape), Layout.caffe(shape)
    sizes, order, axes = refined
    runs = _runs(order, axes, sizes)
    if runs is None:
        return Layout.caffe(have.shape), Layout.caffe(shape)
    return have, _normal(sizes, axes, runs)


def _refine(
    have: Layout, shape: Sequence[int]
) -> tuple[list[int], list[int], list[list[int]]] | None:
    """Split factors until each new axis is a run of them: (sizes, TensorFlow order, axes)."""
    pieces: list[list[int]] = []
    sizes: list[int] = []
    axes: list[list[int]] = []
    remaining = [int(size or 0) for size in have.factors]
    at = 0
    pieces = [[] for _ in remaining]
    for wanted in shape:
        axis: list[int] = []
        while wanted > 1:
            while at < len(remaining) and remaining[at] == 1:
                at += 1
            if at == len(remaining):
                return None
            size = remaining[at]
            piece = size if wanted % size == 0 else wanted
            if size % piece:
                return None
            pieces[at].append(len(sizes))
            axis.append(len(sizes))
            sizes.append(piece)
            remaining[at] //= piece
            wanted //= piece
        if not axis:
            axis.append(len(sizes))
            sizes.append(1)
        axes.append(axis)
    order = [piece for factor in have.order for piece in pieces[factor]]
    return sizes, order, axes


def _runs(order: list[int], axes: list[list[int]], sizes: list[int]) -> list[list[int]] | None:
    """The TensorFlow order cut into one run per new axis, or None if an axis is torn apart."""
    owner = {i: a for a, axis in enumerate(axes) for i in axis}
    runs: list[list[int]] = []
    owners: list[int] = []
    for i in order:
        if owners and owners[-1] == owner[i]:
            runs[-1].append(i)
        elif owner[i] in owners:
            return None
        else:
            owners.append(owner[i])
            runs.append([i])
    return _place_ones(runs, owners, axes)


def _place_ones(runs: list[list[int]], owners: list[int], axes: list[list[int]]) -> list[list[int]]:
    """Give every axis of size 1 a dimension of its own, where channels-last would have it."""
    rank = len(axes)
    if owners == sorted(owners) and not (rank in (4, 5) and 1 not in owners[:-1]):
        return [axes[a] if a not in owners else runs[owners.index(a)] for a in range(rank)]
    preferred = [0, *range(2, rank), 1] if rank > 2 else list(range(rank))
    if [a for a in preferred if a in owners] == owners:
        return [axes[a] if a not in owners else runs[owners.index(a)] for a in preferred]
    missing = [a for a in range(rank) if a not in owners]
    return runs + [axes[a] for a in missing]


def _normal(sizes: list[int], axes: list[list[int]], runs: list[list[int]]) -> Layout:
    """The layout with neighbouring factors merged where both sides hold them side by side."""
    merged_axes: list[list[int]] = []
    number: dict[int, int] = {}
    count = 0
    follows = {b for run in runs for a, b in pairwise(run) if b == a + 1}
    for axis in axes:
        merged: list[int] = []
        for i in axis:
            if i in follows and merged:
                merged[-1] *= sizes[i]
            else:
                merged.append(sizes[i])
                number[i] = count
                count += 1
        merged_axes.append(merged)
    dims = tuple(tuple(number[i] for i in run if i in number) for run in runs)
    return Layout(tuple(tuple(axis) for axis in merged_axes), dims)


def _numbers(axes: Sequence[Sequence[Any]]) -> Iterator[list[int]]:
    start = 0
    for axis in axes:
        yield list(range(start, start + len(axis)))
        start += len(axis)


def _grouped(names: list[str], axes: Sequence[Sequence[Any]]) -> list[list[str]]:
    return [[names[i] for i in numbers] for numbers in _numbers(axes)]


def _split(side: str) -> str:
    """One side of a pattern with every axis on its own."""
    return side.replace("(", "").replace(")", "")


def _groups(side: str) -> list[list[str]]:
    """One side of a pattern: the axes of each dimension."""
    found = re.findall(r"\(([^()]*)\)|(\w+)", side)
    return [(group or axis).split() for group, axis in found]


def _product(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return prod(known) if len(known) == len(sizes) else None


def _target(shape: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(-1 if size is None else size for size in shape)


def _render(groups: list[list[str]]) -> str:
    return " ".join(g[0] if len(g) == 1 else f"({' '.join(g)})" for g in groups)
