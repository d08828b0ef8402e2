"""Max and average pooling, and means over all of H and W."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf2caffe import windows
from tf2caffe.ops import op
from tf2caffe.ops.padding import padded
from tf2caffe.site import Site, Value
from tfcaffe.layout import Layout


@op("MaxPool", "AvgPool")
def pooling(site: Site) -> Value:
    """A Pooling; where Caffe's rounding makes a row more than TensorFlow's, that row is cut off."""
    x = site.image(0)
    average = site.node.op == "AvgPool"
    kernel, strides = site.spatial(site.attrs["ksize"]), site.spatial(site.attrs["strides"])
    sizes = x.shape[2:]
    explicit = site.attrs.get("explicit_paddings") or []
    pairs = list(zip(explicit[::2], explicit[1::2], strict=True))
    pads = windows.tf_pads(
        site.attrs["padding"],
        site.spatial(pairs) if pairs else (),  # type: ignore[arg-type]
        sizes,
        kernel,
        strides,
    )
    wanted = [
        (n + sum(p) - k) // s + 1 for n, p, k, s in zip(sizes, pads, kernel, strides, strict=True)
    ]
    made = [
        caffe_size(n, p[0], k, s) for n, p, k, s in zip(sizes, pads, kernel, strides, strict=True)
    ]
    if any(m < w for m, w in zip(made, wanted, strict=True)):
        raise site.refusal(f"pads {list(pads)} cannot be said in a Pooling")
    if list(kernel) == list(sizes) and not any(map(sum, pads)):
        top = site.layer("Pooling", x, hint="pool", pool=_kind(average), global_pooling=True)
        return site.image_of(top)
    top = site.layer(
        "Pooling",
        x,
        hint="pool",
        pool=_kind(average),
        **windows.fields(kernel=kernel, stride=strides, pad=[p[0] for p in pads]),
    )
    y = site.image_of(top)
    if average:
        y = _corrected(site, y, sizes, pads, kernel, strides, wanted)
    cut = [(0, w - m) for w, m in zip(wanted, made, strict=True)]
    return y if list(made) == wanted else padded(site, y, cut)


def _kind(average: bool) -> str:
    return "AVE" if average else "MAX"


def caffe_size(size: int, pad: int, kernel: int, stride: int) -> int:
    """Source: pooling_layer.cpp, Reshape."""
    pooled = -(-(size + 2 * pad - kernel) // stride) + 1
    if pad and (pooled - 1) * stride >= size + pad:
        pooled -= 1
    return pooled


def _corrected(
    site: Site,
    y: Value,
    sizes: Sequence[int],
    pads: windows.Pads,
    kernel: Sequence[int],
    strides: Sequence[int],
    wanted: Sequence[int],
) -> Value:
    """Caffe divides by the padded window, TensorFlow by what of it lies on the image."""
    factors = []
    for size, (pad, _), k, s, made in zip(sizes, pads, kernel, strides, y.shape[2:], strict=True):
        starts = np.arange(made) * s - pad
        caffe = np.minimum(starts + k, size + pad) - starts
        real = np.minimum(starts + k, size) - np.maximum(starts, 0)
        factors.append(caffe / np.maximum(real, 1))
    rows, columns = factors
    if all(np.all(f[:w] == 1) for f, w in zip(factors, wanted, strict=True)):
        return y
    site.builder.fixed.append(site.node.origin)
    top = site.layer(
        "Scale",
        Value(y.blob, Layout.caffe(y.shape)),
        caffe={"gamma": np.outer(rows, columns).astype(np.float32)},
        hint="border",
        axis=2,
        num_axes=2,
    )
    return site.like(top, y)
