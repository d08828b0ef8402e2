"""Local response normalisation."""

from __future__ import annotations

import numpy as np

from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tfcaffe.layout import Layout

_DIGITS = 17  # tell any number apart from all others


@op("LRN")
def across_channels(site: Site) -> Value:
    """x · (bias + alpha · sum of squares) ^ -beta; the last dimension has the channels.

    Caffe divides its own alpha by the count of channels. Source: lrn_layer.cpp, LayerSetUp;
    the op LRN's documentation. Where readers take no bias but 1, a factor does the rest.
    """
    x = site.value()
    size = 2 * int(site.attrs["depth_radius"]) + 1
    shape = x.tf_shape
    x = site.to(x, Layout.of_tensor(shape))
    alpha, beta, bias = (float(site.attrs[name]) for name in ("alpha", "beta", "bias"))
    over = 1.0 if site.dialect.allows("LRN", k=bias) else bias
    top = site.layer(
        "LRN",
        x,
        hint="norm",
        local_size=size,
        alpha=_times(alpha / over, size),
        beta=beta,
        k=bias / over,
    )
    y = site.like(top, x)
    return y if over == 1 else site.power(y, scale=over**-beta, hint="scale")


@op("lrnWithin")
def within_channel(site: Site) -> Value:
    """x · (1 + alpha · mean of squares over H and W) ^ -beta; `size` of the window."""
    x = site.image()
    top = site.layer(
        "LRN",
        x,
        hint="norm",
        local_size=site.attrs["size"],
        alpha=site.attrs["alpha"],
        beta=site.attrs["beta"],
        norm_region="WITHIN_CHANNEL",
    )
    return site.like(top, x)


def _times(share: float, size: int) -> float:
    """The shortest number that, divided by `size` in float32, is `share`; else the product."""
    product = share * size
    for digits in range(1, _DIGITS + 1):
        near = float(f"{product:.{digits}g}")
        if np.float32(near) / np.float32(size) == np.float32(share):
            return near
    return product
