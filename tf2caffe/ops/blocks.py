"""Ops that put the numbers of a block of places side by side in one, or the other way."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np

from tf2caffe.net import windows
from tf2caffe.net.linear import resized
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.net.windows import Windows
from tf2caffe.ops import no_op, op
from tf2caffe.ops.convolution import even, holed, zero_rows


@op("DepthToSpace", "SpaceToDepth")
def blocks(site: Site) -> Value:
    """A one-hot Deconvolution or Convolution, kernel and stride the block.

    A deep place holds all channels of the block's first place, then of the next one to the right;
    if the pattern found `channels_first`, all places of the first channel, then of the next.
    """
    x = site.image(0)
    size = int(site.attrs["block_size"])
    apart = site.node.op == "DepthToSpace"
    channels = x.shape[1] // size**2 if apart else x.shape[1]
    # deep channel (row, column, channel) x channel x row x column: as both types have it
    eye = np.eye(size**2 * channels, dtype=np.float32)
    ones = eye.reshape(-1, size, size, channels).transpose(0, 3, 1, 2)
    if site.attrs.get("channels_first"):
        ones = eye.reshape(-1, channels, size, size)
    top = site.layer(
        "Deconvolution" if apart else "Convolution",
        x.blob.raw,
        caffe={"weights": ones},
        hint="blocks",
        num_output=channels if apart else channels * size**2,
        bias_term=False,
        kernel_size=size,
        stride=size,
    )
    return Value(top, resized(x, top.shape))


@no_op("SpaceToBatchND", "BatchToSpaceND", "SpaceToBatch", "BatchToSpace")
def into_batch(site: Site) -> NoReturn:
    """Refused where no convolution lies between the two, that would be dilated."""
    raise site.refusal(
        "moves places of the image into the batch, and Caffe's layers never change that; around a "
        "convolution alone it is a dilation, which converts; cut the net before it with --outputs"
    )


@op("ExtractImagePatches")
def patches(site: Site) -> Value:
    """Each window's numbers, row by row, in one place: a one-hot Convolution."""
    x = site.image(0)
    kernel, strides, rates = (site.spatial(site.attrs[n]) for n in ("ksizes", "strides", "rates"))
    found, apart = windows.sayable(site, "Convolution", Windows(kernel, strides, rates, ()))
    pads = windows.tf_pads(site.attrs["padding"], (), x.shape[2:], found.extents, strides)
    channels, outputs = x.shape[1], int(np.prod(kernel)) * x.shape[1]
    x, found, more = even(site, x, replace(found, pads=pads), outputs)
    eye = np.eye(outputs, dtype=np.float32).reshape(*kernel, channels, outputs)
    ones = holed(eye, apart).transpose(3, 2, 0, 1)
    top = site.layer(
        "Convolution",
        x,
        caffe={"weights": zero_rows(ones, more, behind=0)},
        hint="patches",
        num_output=outputs,
        bias_term=False,
        **found.fields(more),
    )
    return site.image_of(top)
