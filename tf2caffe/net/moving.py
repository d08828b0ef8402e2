"""Blobs whose axes must really change places: stock Caffe has no Permute layer.

Every step makes [P, A, B, S] of a blob's memory into [P, B, A, S], exactly, in one of three ways:
slices of the smaller one of A and B, joined again; a Convolution or a Deconvolution with a one-hot
kernel. Several steps make any order.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tf2caffe.net import axes
from tf2caffe.net.value import Blob, Value
from tfcaffe.layout import Layout

if TYPE_CHECKING:
    from tf2caffe.net.site import Site

Step = tuple[int, int, int]  # runs from .. to before .. change places with those to before ..
Order = tuple[int, ...]

_PIECES = 8  # as many slices are less than a layer with a kernel
_MOST = 1 << 28  # multiply-adds for what computes nothing


def moved(site: Site, value: Value, want: Layout) -> Value:
    """The same tensor with its numbers in the order that `want` has.

    Raises:
        UnsupportedError: that takes too much work.
    """
    found = axes.moves(value.layout, want)
    if found is None:  # no common factors: both have them in common with TensorFlow's own order
        return site.to(site.to(value, Layout.caffe(value.tf_shape)), want)
    sizes, target = found
    if site.dialect.has("Permute"):
        return _permuted(site, value, want, sizes, target)
    cost, steps = _cheapest(sizes, tuple(target))
    if cost > _MOST:
        raise site.refusal(
            f"axes of {prod(sizes)} numbers would have to change places, for which stock Caffe has "
            f"no layer, and by convolutions it would take {cost} multiply-adds; keep the order of "
            "the dimensions there, cut the net before it with --outputs, or use a dialect with "
            "Permute"
        )
    for start, middle, end in steps:
        p, a, b, s = (
            prod(part)
            for part in (sizes[:start], sizes[start:middle], sizes[middle:end], sizes[end:])
        )
        value = _swapped(site, value, p, a, b, s)
        sizes = [*sizes[:start], *sizes[middle:end], *sizes[start:middle], *sizes[end:]]
    return Value(site.reshape(value, axes.fixed(want.shape)).blob, want)


def _permuted(
    site: Site, value: Value, want: Layout, sizes: Sequence[int], order: Sequence[int]
) -> Value:
    """One layer where the dialect has it: of the blob's axes, or of what moves as one."""
    have = value.layout
    if have.simple and want.simple:
        order = [axis for _, axis in sorted(zip(want.order, have.order, strict=True))]
    else:
        value = site.reshape(value, sizes)
    top = site.layer("Permute", value.blob.raw, hint="permute", order=list(order))
    return Value(site.reshape(top.raw, axes.fixed(want.shape)).blob, want)


def _cheapest(sizes: Sequence[int], target: Order) -> tuple[int, list[Step]]:
    """The steps of least work that bring the runs into an order."""
    start = tuple(range(len(sizes)))
    best: dict[Order, tuple[int, Order, Step | None]] = {start: (0, start, None)}
    queue = [(0, start)]
    while queue:
        cost, order = heapq.heappop(queue)
        if order == target:
            break
        for step in _steps(len(order)):
            i, j, k = step
            after = (*order[:i], *order[j:k], *order[i:j], *order[k:])
            a, b = (prod(sizes[r] for r in part) for part in (order[i:j], order[j:k]))
            total = cost + prod(sizes) * _work(min(a, b))
            if after not in best or total < best[after][0]:
                best[after] = (total, order, step)
                heapq.heappush(queue, (total, after))
    steps: list[Step] = []
    order = target
    while (made := best[order])[2] is not None:
        steps.append(made[2])
        order = made[1]
    return best[target][0], steps[::-1]


def _steps(count: int) -> Iterator[Step]:
    for i in range(count):
        for j in range(i + 1, count):
            for k in range(j + 1, count + 1):
                yield i, j, k


def _work(pieces: int) -> int:
    return 2 if pieces <= _PIECES else pieces


def _swapped(site: Site, value: Value, p: int, a: int, b: int, s: int) -> Value:
    """[p, a, b, s] in memory becomes [p, b, a, s]; the blob's shape is whatever suits."""
    if min(a, b) <= _PIECES:
        return _by_slices(site, value, p, a, b, s)
    dilation: dict[str, Any] = {"dilation": s} if s > 1 else {}
    deconvolution = b > a and site.dialect.allows("Deconvolution", **dilation)
    if not deconvolution:  # output b is every s-th number of a row of b·s
        top = _one_hot(
            site,
            site.reshape(value, (p, 1, a, b * s)),
            "Convolution",
            np.eye(b, dtype=np.float32).reshape(b, 1, 1, b),
            num_output=b,
            kernel_h=1,
            kernel_w=b,
            **dilation,
        )
    else:  # channel a goes to the numbers from a·s on
        top = _one_hot(
            site,
            site.reshape(value, (p, a, b, s)),
            "Deconvolution",
            np.eye(a, dtype=np.float32).reshape(a, 1, 1, a),
            num_output=1,
            kernel_h=1,
            kernel_w=a,
            stride=1,
            **dilation,
        )
    return top.raw


def _one_hot(site: Site, value: Value, kind: str, kernel: np.ndarray, **options: Any) -> Blob:
    return site.layer(
        kind, value, caffe={"weights": kernel}, hint="permute", bias_term=False, **options
    )


def _by_slices(site: Site, value: Value, p: int, a: int, b: int, s: int) -> Value:
    """Slices along one axis, joined along the one that comes to lie outside of it or inside."""
    value = site.reshape(value, (p, a, b, s))
    axis, joined = (2, 1) if b <= a else (1, 3)
    pieces = site.slices(value, axis, range(1, min(a, b)))
    return site.layer("Concat", *pieces, hint="permute", axis=joined).raw
