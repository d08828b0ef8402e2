"""Ops that put the numbers of a block of places side by side in one, or the other way."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np

from tf2caffe.net import windows
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.net.windows import Windows
from tf2caffe.ops import no_op, op
from tf2caffe.ops.convolution import even, holed, zero_rows
from tfcaffe.layout import Layout

_DENSE = 48  # with so many rows a product with a one-hot matrix takes as long as groups and a move


@op("DepthToSpace", "SpaceToDepth")
def blocks(site: Site) -> Value:
    """A one-hot Deconvolution or Convolution, kernel and stride the block.

    A deep place holds all channels of the block's first place, then of the next one to the right;
    where the channels are the outer ones each is a group. For many channels they are made the
    outer ones: that moves numbers, but multiplies none by all the others' zeros.
    """
    x = site.image(0)
    size = int(site.attrs["block_size"])
    apart = site.node.op == "DepthToSpace"
    count = size**2
    channels = x.shape[1] // count if apart else x.shape[1]
    grouped = bool(site.attrs.get("channels_first"))
    outer = not grouped and channels * count > _DENSE
    if outer and apart:
        x = site.to(x, _outer(x, count))
    groups = channels if grouped or outer else 1
    within = channels // groups
    eye = np.eye(count * within, dtype=np.float32)
    ones = eye.reshape(-1, size, size, within).transpose(0, 3, 1, 2)
    top = site.layer(
        "Deconvolution" if apart else "Convolution",
        x.blob.raw,
        caffe={"weights": np.tile(ones, (groups, 1, 1, 1))},
        hint="blocks",
        num_output=channels if apart else channels * count,
        bias_term=False,
        kernel_size=size,
        stride=size,
        group=groups,
    )
    y = site.image_of(top)
    return Value(top, _outer(y, count)) if outer and not apart else y


def _outer(x: Value, count: int) -> Layout:
    """An image whose axis 1 has the channels outside, a block's places inside of them.

    TensorFlow has them the other way round.
    """
    first, deep, *rest = x.shape
    dims = {0: (0,), 1: (2, 1), 2: (3,), 3: (4,)}
    axes = ((first,), (deep // count, count), *((size,) for size in rest))
    return Layout(axes, tuple(dims[axis] for (axis,) in x.layout.dims))


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
