"""Rows looked up in a table, and numbers along a dimension in another order."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Tensor
from tf2caffe.net import axes
from tf2caffe.net.along import alone, changed
from tf2caffe.net.linear import chosen
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tfcaffe.layout import Layout


@op("embedding")
def embedding(site: Site) -> Value:
    """Embed: the indices are numbers of the net's float32 blobs, from 0 on."""
    x = site.value(1)
    rows, *sizes = site.node.inputs[0].shape
    size = sizes[0] if sizes else 1
    if rows > 1 << 24:
        raise site.refusal(f"a table of {rows} rows: float32 does not tell all indices apart")
    top = site.layer(
        "Embed",
        x,
        weights={"weights": lambda: site.constant(0).reshape(rows, size)},
        hint="embed",
        num_output=size,
        input_dim=rows,
        bias_term=False,
    )
    new = len(x.layout.factors)
    rows_ = Layout((*x.layout.axes, (size,)), (*x.layout.dims, (new,)))
    layout = axes.reshaped(rows_, Tensor(site.node).shape)  # without the last one, of a vector
    assert layout is not None
    return Value(top, layout)


@op("GatherV2", "Gather")
def gather(site: Site) -> Value:
    """A choice of places along a dimension, in any order."""
    if site.is_constant(0) or not site.is_constant(1) or site.attrs.get("batch_dims"):
        raise site.refusal(
            "looks up what the net's inputs say; stock Caffe does so for rows of a constant matrix "
            "alone (Embed)"
        )
    dimension = int(site.constant(2)) if len(site.node.inputs) > 2 else 0
    made = reordered(site, site.value(0), dimension, site.constant(1).reshape(-1))
    layout = axes.reshaped(made.layout, Tensor(site.node).shape)  # as many dimensions as indices
    assert layout is not None
    return Value(made.blob, layout)


@op("ReverseV2")
def reverse(site: Site) -> Value:
    """From the last to the first."""
    x = site.value(0)
    for dimension in site.constant(1).reshape(-1):
        x = reordered(site, x, int(dimension), np.arange(x.tf_shape[dimension])[::-1])
    return x


@op("Roll")
def roll(site: Site) -> Value:
    """Moved along, what falls out coming in at the other end."""
    x = site.value(0)
    pairs = zip(site.constant(1).reshape(-1), site.constant(2).reshape(-1), strict=True)
    for shift, dimension in pairs:
        x = reordered(site, x, int(dimension), np.roll(np.arange(x.tf_shape[dimension]), shift))
    return x


def reordered(site: Site, x: Value, dimension: int, index: np.ndarray) -> Value:
    """Along one of the tensor's dimensions, the numbers at these places."""
    dimension %= len(x.tf_shape)
    x, axis = alone(site, x, dimension)
    made = chosen(site, x.blob.raw, axis, index, hint="choose")
    return Value(made.blob, changed(x, axis, dimension, len(index)))
