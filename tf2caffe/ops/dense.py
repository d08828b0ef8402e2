"""MatMul with a constant: InnerProduct, or a 1x1 Convolution where the blob has axes behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tf2caffe.ops import op
from tf2caffe.site import Site, Value
from tfcaffe.layout import Layout


@op("MatMul")
def dense(site: Site) -> Value:
    """Rows times a kernel; a third input is the bias.

    The rows' numbers stay where they are: after a flatten it is the kernel that is permuted.
    """
    if site.attrs.get("transpose_a") or site.is_constant(0):
        raise site.refusal("only a product of the net's values with a constant kernel can be said")
    x = site.value(0)
    turned = bool(site.attrs.get("transpose_b"))
    outputs = site.node.inputs[1].shape[0 if turned else 1]

    def kernel() -> np.ndarray:
        array = site.constant(1)
        return array.T if turned else array

    weights: dict[str, Callable[[], np.ndarray]] = {"weights": kernel}
    if len(site.node.inputs) > 2:
        weights["bias"] = lambda: site.constant(2)
    rows, columns = x.layout.dims
    owner = [a for a, axis in enumerate(x.layout.axes) for _ in axis]
    sizes = x.layout.factors
    of_rows = {owner[i] for i in rows if sizes[i] != 1} | {0}
    of_columns = {owner[i] for i in columns if sizes[i] != 1}
    rank = len(x.shape)
    first = min(of_columns, default=rank - 1)
    if of_rows.isdisjoint(of_columns) and (not of_rows or max(of_rows) < first):
        x = Value(x.blob, Layout(x.layout.axes, _split_rows(x.layout, first)))
        top = site.layer(
            "InnerProduct",
            x,
            weights=weights,
            hint="fc",
            num_output=outputs,
            bias_term="bias" in weights,
            axis=first,
        )
        axes = (*x.layout.axes[:first], (outputs,))
        kept = sum(len(axis) for axis in x.layout.axes[:first])
        return Value(top, Layout(axes, (tuple(i for i in rows if i < kept), (kept,))))
    if of_columns == {1} and of_rows.isdisjoint(of_columns) and rank in (3, 4, 5):
        return _pointwise(site, x, weights, outputs)
    want = Layout.caffe(x.tf_shape)
    site.node.inputs = list(site.node.inputs)
    site.builder.values[site.node.inputs[0]] = site.to(x, want)
    return dense(site)


def _split_rows(layout: Layout, first: int) -> tuple[tuple[int, ...], ...]:
    """The dimensions of a blob whose axes before `first` are rows, each one of its own."""
    kept = sum(len(axis) for axis in layout.axes[:first])
    return (*((i,) for i in range(kept)), tuple(i for i in layout.order if i >= kept))


def _pointwise(
    site: Site, x: Value, weights: dict[str, Callable[[], np.ndarray]], outputs: int
) -> Value:
    """The columns are the channels: a 1x1 Convolution over all that lies behind them."""
    kernel = weights["weights"]
    spatial = len(x.shape) - 2
    data = x
    if any(len(axis) > 1 for axis in x.layout.axes):
        order = [i for i in x.layout.order if i in _channels(x.layout)]
        permutation = _permutation(x.layout, order)
        inner = kernel
        kernel = lambda: inner()[permutation]  # noqa: E731
        data = Value(x.blob, Layout.caffe(x.shape))
    plain = Layout.channels_last(x.shape)
    top = site.layer(
        "Convolution",
        Value(data.blob, plain),
        weights={
            **weights,
            "weights": lambda: kernel().reshape((1,) * spatial + (x.shape[1], outputs)),
        },
        hint="fc",
        num_output=outputs,
        kernel_size=1,
        bias_term="bias" in weights,
    )
    return Value(top, _replaced(x.layout, outputs))


def _channels(layout: Layout) -> set[int]:
    start = len(layout.axes[0])
    return set(range(start, start + len(layout.axes[1])))


def _permutation(layout: Layout, order: list[int]) -> np.ndarray:
    """Which of the kernel's rows (in TensorFlow's order) belongs to each channel of the blob."""
    sizes = [int(layout.factors[i] or 1) for i in order]
    numbers = np.arange(int(np.prod(sizes))).reshape(sizes)
    return np.transpose(numbers, np.argsort(order)).reshape(-1)


def _replaced(layout: Layout, outputs: int) -> Layout:
    """The layout with one factor of `outputs` in the place of the channels' factors."""
    start, count = len(layout.axes[0]), len(layout.axes[1])
    axes = (layout.axes[0], (outputs,), *layout.axes[2:])

    def moved(i: int) -> int:
        return i if i < start else i - count + 1

    rows, columns = layout.dims
    kept = tuple(moved(i) for i in rows if not start <= i < start + count)
    extra = tuple(moved(i) for i in columns if not start <= i < start + count)
    return Layout(axes, (kept, (start, *extra)))
