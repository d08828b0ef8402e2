"""How a TensorFlow tensor lies in a Caffe blob, while TensorFlow's ops move its axes about.

A `Layout` (tfcaffe.layout) has the blob's axes as factors and says which factors make each of the
tensor's dimensions. A reshape or transpose in TensorFlow changes the second half alone: no number
moves. Only a layer that needs another order makes somebody move them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from tfcaffe.layout import Layout, Shape


def fixed(shape: Sequence[int | None]) -> Shape:
    """A shape in which no size is free."""
    return tuple(int(size or 0) for size in shape)


def ranked(shape: Shape, rank: int) -> Shape:
    """A shape as it is broadcast: with sizes of 1 in front."""
    return (1,) * (rank - len(shape)) + shape


def transposed(have: Layout, order: Sequence[int]) -> Layout:
    """The layout after `tf.transpose`; the blob stays."""
    return Layout(have.axes, tuple(have.dims[i] for i in order))


def reshaped(have: Layout, shape: Sequence[int]) -> Layout | None:
    """The layout after `tf.reshape`; the blob stays. None if that would tear a factor apart.

    All sizes are known. A factor of size 1 goes to the dimension of size 1 that is nearest.
    """
    pieces = _pieces(have, shape)
    if pieces is None:
        return None
    split, groups = pieces
    return _renumbered(have, split, groups)


def refined(a: Layout, b: Layout) -> tuple[Layout, Layout] | None:
    """Two layouts of one tensor with the same factors in TensorFlow's order; None if impossible."""
    for _ in range(2):
        fine_a, fine_b = _flat(a, _tf_sizes(b)), _flat(b, _tf_sizes(a))
        if fine_a is None or fine_b is None:
            return None
        a, b = fine_a, fine_b
        if _tf_sizes(a) == _tf_sizes(b):
            return a, b
    return None


def alike(a: Layout, b: Layout) -> bool:
    """Whether two layouts of one tensor have its numbers in the same order in memory."""
    fine = refined(a, b)
    return fine is not None and _memory(fine[0]) == _memory(fine[1])


def moves(have: Layout, want: Layout) -> tuple[list[int], list[int]] | None:
    """The transposition from one blob to another: sizes of `have`'s runs, and their new order.

    None where the layouts have no common factors.
    """
    fine = refined(have, want)
    if fine is None:
        return None
    sizes = _tf_sizes(fine[0])
    source, target = _memory(fine[0]), _memory(fine[1])
    follows = set(pairwise(target))
    runs: list[list[int]] = []
    for piece in source:
        if runs and (runs[-1][-1], piece) in follows:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    order = sorted(range(len(runs)), key=lambda r: target.index(runs[r][0]))
    return [prod(sizes[p] for p in run) for run in runs], order


def _tf_sizes(layout: Layout) -> list[int]:
    sizes = layout.factors
    return [int(sizes[i] or 0) for i in layout.order if sizes[i] != 1]


def _memory(layout: Layout) -> list[int]:
    """The factors larger than 1, by their number in TensorFlow's order, as they lie in the blob."""
    sizes = layout.factors
    in_tf = [i for i in layout.order if sizes[i] != 1]
    number = {factor: n for n, factor in enumerate(in_tf)}
    return [number[i] for i in range(len(sizes)) if sizes[i] != 1]


def _flat(have: Layout, sizes: Sequence[int]) -> Layout | None:
    """The layout with its factors split so that each of `sizes` is a run of them."""
    pieces = _pieces(have, sizes)
    return (
        None
        if pieces is None
        else _renumbered(have, pieces[0], [[p for g in pieces[1] for p in g]])
    )


Piece = tuple[int, int]  # a factor, and which part of it


def _pieces(
    have: Layout, shape: Sequence[int]
) -> tuple[dict[int, list[int]], list[list[Piece]]] | None:
    """How factors split: sizes of the parts of each, and the parts of each new dimension."""
    sizes = fixed(have.factors)
    if prod(sizes) != prod(shape):
        return None
    split: dict[int, list[int]] = {i: [] for i in have.order}
    queue = [i for i in have.order if sizes[i] != 1]
    remaining = list(sizes)
    groups: list[list[Piece]] = []
    at = 0
    for wanted in shape:
        group: list[Piece] = []
        while wanted > 1:
            factor = queue[at]
            size = remaining[factor]
            piece = size if wanted % size == 0 else wanted
            if size % piece:
                return None
            group.append((factor, len(split[factor])))
            split[factor].append(piece)
            remaining[factor] //= piece
            wanted //= piece
            if remaining[factor] == 1:
                at += 1
        groups.append(group)
    _place_ones(have, sizes, split, groups)
    return split, groups


def _place_ones(
    have: Layout, sizes: Sequence[int], split: dict[int, list[int]], groups: list[list[Piece]]
) -> None:
    """Factors of size 1 go to empty dimensions, in order; what is left over to the last one.

    A single number has no dimension: there they are gone.
    """
    if not groups:
        return
    ones = [i for i in have.order if sizes[i] == 1]
    empty = [g for g in groups if not g]
    for factor in ones:
        split[factor] = [1]
        target = empty.pop(0) if empty else groups[-1]
        target.append((factor, 0))


def _renumbered(
    have: Layout, split: dict[int, list[int]], groups: Sequence[Sequence[Piece]]
) -> Layout:
    number: dict[Piece, int] = {}
    axes = []
    factor = 0
    for axis in have.axes:
        sizes: list[int] = []
        for _ in axis:
            for part, size in enumerate(split[factor]):
                number[factor, part] = len(number)
                sizes.append(size)
            factor += 1
        axes.append(tuple(sizes))
    return Layout(tuple(axes), tuple(tuple(number[p] for p in group) for group in groups))


def isolated(have: Layout, dimension: int) -> Layout | None:
    """The same memory with an axis for one dimension alone; None if its factors lie apart."""
    sizes = have.factors
    own = [i for i in have.dims[dimension] if sizes[i] != 1]
    if not own or own != [i for i in range(own[0], own[-1] + 1) if sizes[i] != 1]:
        return None
    groups: list[list[int]] = []
    start = 0
    for axis in have.axes:
        numbers = range(start, start + len(axis))
        start += len(axis)
        before, after = ([i for i in numbers if i < own[0]], [i for i in numbers if i > own[-1]])
        groups += [before] if before or not axis else []
        groups += [list(range(own[0], own[-1] + 1))] if own[0] in numbers else []
        groups += [after] if after else []
    return Layout(tuple(tuple(sizes[i] for i in group) for group in groups), have.dims)


def inserted(have: Layout, dimension: int) -> Layout | None:
    """The same memory with an axis of size 1 for a dimension that has none.

    It comes to lie before the next dimension's axis; None if that has no axis of its own.
    """
    behind = [i for dim in have.dims[dimension + 1 :] for i in dim if have.factors[i] != 1]
    starts = [sum(len(axis) for axis in have.axes[:a]) for a in range(len(have.axes))]
    if not behind or behind[0] not in starts:
        return None
    new = behind[0]
    at = len(starts) - 1 - starts[::-1].index(new)
    dims = [[i + (i >= new) for i in dim] for dim in have.dims]
    dims[dimension] = [new, *dims[dimension]]
    return Layout((*have.axes[:at], (1,), *have.axes[at:]), tuple(tuple(dim) for dim in dims))


def resized(have: Layout, axis: int, dimension: int, size: int) -> Layout:
    """The layout after a change of an axis that holds this dimension alone."""
    start = sum(len(a) for a in have.axes[:axis])
    gone = range(start + 1, start + len(have.axes[axis]))
    axes = (*have.axes[:axis], (size,), *have.axes[axis + 1 :])
    dims = []
    for d, dim in enumerate(have.dims):
        kept = [i for i in dim if i not in gone and (d == dimension or i != start)]
        kept += [start] if d == dimension and start not in kept else []
        dims.append(tuple(i - len(gone) if i >= gone.stop else i for i in kept))
    return Layout(axes, tuple(dims))
