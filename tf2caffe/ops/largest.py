"""The largest numbers along the last dimension, or their places."""

from __future__ import annotations

from tf2caffe.net.linear import resized
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op


@op("argMax")
def largest(site: Site) -> Value:
    """The attributes: how many (`k`), and whether their `values` are wanted, not their places.

    Of equal numbers Caffe takes the last one first. Source: argmax_layer.cpp, which sorts pairs of
    value and index.
    """
    x = site.value()
    if not x.layout.simple or x.axis_of(-1) is None:
        x = site.to(x, x.plain())
    top = site.layer(
        "ArgMax",
        x.blob.raw,
        hint="argmax",
        axis=x.axis_of(-1),
        top_k=site.attrs["k"],
        out_max_val=site.attrs["values"],
    )
    return Value(top, resized(x, top.shape))
