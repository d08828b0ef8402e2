"""Ops that only say differently how numbers lie."""

from __future__ import annotations

from tf2caffe.net import axes
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tfcaffe.layout import Layout


@op("Reshape", "Squeeze", "ExpandDims")
def reshape(site: Site) -> Value:
    """Nothing: the blob stays, and who reads it knows."""
    x = site.value()
    shape = site.node.shapes[0]
    assert shape is not None
    layout = axes.reshaped(x.layout, axes.fixed(shape))
    if layout is None:
        x = site.to(x, Layout.caffe(x.tf_shape))
        layout = axes.reshaped(x.layout, axes.fixed(shape))
    if layout is None:  # any reshape of a blob that lies as TensorFlow has it
        shape_ = axes.fixed(shape)
        return site.reshape(x, shape_)
    return Value(x.blob, layout)


@op("Transpose")
def transpose(site: Site) -> Value:
    """Nothing, too."""
    x = site.value()
    return Value(x.blob, axes.transposed(x.layout, [int(i) for i in site.constant(1)]))
