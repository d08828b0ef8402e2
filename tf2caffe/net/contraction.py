"""A value times a constant matrix: InnerProduct, or Convolution where rows lie behind columns.

No number of the value moves if that can be helped: it is the matrix whose rows are permuted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from math import prod

import numpy as np

from tf2caffe.graph import Tensor
from tf2caffe.net import ahead, axes, windows
from tf2caffe.net.factors import axes_of
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tfcaffe.layout import Layout

Read = Callable[[], np.ndarray]
_MOST = 5  # axes of a blob that a Convolution takes


def contracted(
    site: Site,
    x: Value,
    over: Sequence[int],
    matrix: Read,
    outputs: Sequence[int],
    bias: Read | None,
) -> Value:
    """The sum of x · matrix over some of x's dimensions.

    Args:
        over: those dimensions.
        matrix: gives [all of `over` in their order, all outputs].
        outputs: sizes of the dimensions that come in their place, behind all others.
        bias: gives a number for each output.
    """
    shuffled = site.builder.shuffled.get(x.blob)
    x = _sayable(site, x, over)
    columns = _columns(x.layout, over)
    first = _behind_rows(x.layout, columns)
    used = axes_of(x.layout, columns)
    out = _outputs(site, x, over, first, outputs)
    top = _answer(x.layout, over, first, out)
    rows = matrix if shuffled is None else lambda: matrix()[shuffled]
    laid: dict[str, Read] = {"weights": _permuted(rows, out)}
    if bias is not None:
        laid["bias"] = _permuted(bias, out)
    if first is not None:
        others = tuple(i for i in x.layout.order if i not in columns)
        blob = site.layer(
            "InnerProduct",
            Value(x.blob, Layout(x.layout.axes, (others, tuple(columns)))),
            weights=laid,
            hint="fc",
            num_output=prod(outputs),
            bias_term=bias is not None,
            axis=first,
        )
        return Value(blob, top)
    kernel = [size if axis in used else 1 for axis, size in enumerate(x.shape)][2:]
    if max(kernel) > 1:
        site.fixes(x)
    laid["weights"] = _as_kernel(laid["weights"], x.layout, columns, [*kernel, x.shape[1]])
    blob = site.layer(
        "Convolution",
        Value(x.blob, Layout.channels_last(x.shape)),
        weights=laid,
        hint="fc",
        num_output=prod(outputs),
        bias_term=bias is not None,
        **windows.fields(kernel=kernel),
    )
    return Value(blob, top)


def _columns(layout: Layout, over: Sequence[int]) -> list[int]:
    """The factors that are multiplied away, but those of size 1, in TensorFlow's order."""
    return [i for d in over for i in layout.dims[d] if layout.factors[i] != 1]


def _rows(layout: Layout, columns: Sequence[int]) -> set[int]:
    """The blob's axes that hold anything else."""
    sizes = layout.factors
    rest = [i for i in layout.order if sizes[i] != 1 and i not in columns]
    return set(axes_of(layout, rest))


def _behind_rows(layout: Layout, columns: Sequence[int]) -> int | None:
    """The axis from which on there are columns alone, for InnerProduct; None if there is none."""
    end = max(_rows(layout, columns), default=0) + 1
    used = axes_of(layout, columns)
    return end if min(used, default=end) >= end and end < len(layout.axes) else None


def _sayable(site: Site, x: Value, over: Sequence[int]) -> Value:
    """The value with its rows and columns on axes of their own, in an order that a layer takes."""
    columns = _columns(x.layout, over)
    rows, used = _rows(x.layout, columns), axes_of(x.layout, columns)
    first = _behind_rows(x.layout, columns)
    if first is not None and site.dialect.allows("InnerProduct", axis=first):
        return x
    apart = first is None and rows.isdisjoint(used)
    if apart and 0 not in used and 1 not in rows and 3 <= len(x.shape) <= _MOST:
        return x
    sizes = x.layout.factors
    memory = [i for i in range(len(sizes)) if sizes[i] != 1]
    runs = [list(run) for _, run in groupby(memory, key=lambda i: i in columns)]
    if not runs or runs[0][0] in columns:
        runs.insert(0, [])
    if len(runs) == 1 or len(runs) == 3:
        runs.append([])
    if len(runs) <= _MOST:
        want = _grouped(x.layout, runs)
    else:
        kept = [d for d in range(len(x.tf_shape)) if d not in over]
        order = [*kept, *over]
        two = (
            tuple(x.tf_shape[d] for d in kept) or (1,),
            tuple(x.tf_shape[d] for d in over),
        )
        want = Layout(two, tuple((order.index(d),) for d in range(len(order))))
    return site.to(x, want)


def _grouped(layout: Layout, runs: Sequence[Sequence[int]]) -> Layout:
    """The layout with one axis for each run of factors larger than 1; an empty one is of size 1."""
    tokens = [list(run) or [-1] for run in runs]
    sizes = dict(enumerate(layout.factors)) | {-1: 1}
    number = {i: n for n, i in enumerate(i for run in tokens for i in run)}
    dims = [[number[i] for i in dim if i in number] for dim in layout.dims]
    ones = [n for n, i in enumerate(i for run in tokens for i in run) if i == -1]
    dims[-1] += ones
    return Layout(
        tuple(tuple(sizes[i] for i in run) for run in tokens), tuple(tuple(d) for d in dims)
    )


def _answer(layout: Layout, over: Sequence[int], first: int | None, out: Layout) -> Layout:
    """How the answer lies: what is kept of the rows, and the outputs on one axis."""
    (own,) = out.axes
    columns = _columns(layout, over)
    used = axes_of(layout, columns)
    at = 1 if first is None else first
    made: list[tuple[int | None, ...]] = []
    number: dict[int, int] = {}  # of factors that are kept
    ones: list[int] = []
    start = count = factor = 0
    for axis, sizes in enumerate(layout.axes[:first]):
        if axis == at:
            made.append(own)
            start, count = count, count + len(own)
        elif axis in used:
            made.append((1,))
            ones.append(count)
            count += 1
        else:
            made.append(sizes)
            number |= {factor + i: count + i for i in range(len(sizes))}
            count += len(sizes)
        factor += len(sizes)
    if at == len(made):
        made.append(own)
        start = count
    rows = [[number[i] for i in dim if i in number] for dim in layout.dims]
    spare = [n for d in over for n in rows[d]] + ones
    dims = [row for d, row in enumerate(rows) if d not in over]
    dims += [[start + i for i in dim] for dim in out.dims]
    dims[-1] += spare
    return Layout(tuple(made), tuple(tuple(dim) for dim in dims))


def _outputs(
    site: Site, x: Value, over: Sequence[int], first: int | None, sizes: Sequence[int]
) -> Layout:
    """The outputs as one axis, in the order in which they are read as an image if they are."""
    usual = Layout((tuple(sizes),), tuple((i,) for i in range(len(sizes))))
    tensor = Tensor(site.node)
    tail = ahead.split(site.builder, tensor) if len(sizes) == 1 else ()
    if not tail:
        return usual
    count = len(tail)
    turned = Layout(((tail[-1], *tail[:-1]),), ((*range(1, count), 0),))
    choice = [_answer(x.layout, over, first, out) for out in (usual, turned)]
    return (usual, turned)[ahead.best(site.builder, tensor, choice)]


def _permuted(read: Read, out: Layout) -> Read:
    """The last axis of an array in the order of the outputs in the blob."""
    order = out.order
    if list(order) == sorted(order):
        return read
    sizes = axes.fixed(out.tf_shape)
    numbers = out.pattern().to_caffe(np.arange(prod(sizes)).reshape(sizes)).reshape(-1)
    return lambda: read()[..., numbers]


def _as_kernel(read: Read, layout: Layout, columns: Sequence[int], shape: Sequence[int]) -> Read:
    """A matrix as a kernel [spatial…, channels, outputs]."""
    sizes = [int(layout.factors[i] or 0) for i in columns]
    order = sorted(range(len(columns)), key=lambda n: columns[n])

    def kernel() -> np.ndarray:
        array = read()
        outputs = array.shape[-1]
        laid = array.reshape(*sizes, outputs).transpose(*order, len(sizes))
        return np.moveaxis(laid.reshape(shape[-1], *shape[:-1], outputs), 0, -2)

    return kernel
