"""Ops that only say differently how numbers lie, and ops that put blobs together or apart."""

from __future__ import annotations

from tf2caffe import axes
from tf2caffe.ops import op
from tf2caffe.site import Site, Value
from tfcaffe.layout import Layout


@op("Reshape", "Squeeze", "ExpandDims")
def reshape(site: Site) -> Value:
    """Nothing: the blob stays, and who reads it knows."""
    x = site.value()
    shape = site.node.shapes[0]
    assert shape is not None
    layout = axes.reshaped(x.layout, [int(s or 0) for s in shape])
    if layout is None:
        x = site.to(x, Layout.caffe(x.tf_shape))
        layout = axes.reshaped(x.layout, [int(s or 0) for s in shape])
    if layout is None:  # any reshape of a blob that lies as TensorFlow has it
        shape_ = [int(s or 0) for s in shape]
        return site.reshape(x, shape_)
    return Value(x.blob, layout)


@op("Transpose")
def transpose(site: Site) -> Value:
    """Nothing, too."""
    x = site.value()
    return Value(x.blob, axes.transposed(x.layout, [int(i) for i in site.constant(1)]))


@op("ConcatV2")
def concat(site: Site) -> Value:
    """Concat, on the axis of the blob that holds the dimension."""
    count = len(site.node.inputs) - 1
    values = [site.value(i) for i in range(count)]
    dimension = int(site.constant(count)) % len(values[0].tf_shape)
    own = values[0].layout
    layout = own if own.simple else values[0].plain()
    values = [site.to(v, _as(layout, v)) for v in values]
    (axis,) = values[0].layout.dims[dimension]
    top = site.layer("Concat", *values, hint="concat", axis=axis)
    return Value(top, Layout(tuple((s,) for s in top.shape), values[0].layout.dims))


def _as(layout: Layout, value: Value) -> Layout:
    """The order of axes of `layout`, for another tensor of as many dimensions."""
    sizes = value.tf_shape
    axes_ = [0] * len(sizes)
    for d, (factor,) in enumerate(layout.dims):
        axes_[factor] = sizes[d]
    return Layout(tuple((s,) for s in axes_), layout.dims)
