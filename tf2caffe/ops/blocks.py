"""DepthToSpace and SpaceToDepth: the numbers of a block of places side by side in one."""

from __future__ import annotations

import numpy as np

from tf2caffe.linear import resized
from tf2caffe.ops import op
from tf2caffe.site import Site, Value
from tfcaffe.layout import Layout


@op("DepthToSpace", "SpaceToDepth")
def blocks(site: Site) -> Value:
    """A one-hot Deconvolution or Convolution, kernel and stride the block.

    A deep place holds all channels of the block's first place, then of the next one to the right.
    """
    x = site.image(0)
    size = int(site.attrs["block_size"])
    apart = site.node.op == "DepthToSpace"
    channels = x.shape[1] // size**2 if apart else x.shape[1]
    # deep channel (row, column, channel) x channel x row x column: as both types have it
    ones = np.eye(size**2 * channels, dtype=np.float32).reshape(-1, size, size, channels)
    top = site.layer(
        "Deconvolution" if apart else "Convolution",
        Value(x.blob, Layout.caffe(x.shape)),
        caffe={"weights": ones.transpose(0, 3, 1, 2)},
        hint="blocks",
        num_output=channels if apart else channels * size**2,
        bias_term=False,
        kernel_size=size,
        stride=size,
    )
    return Value(top, resized(x, top.shape))
