"""Reshape, Flatten, Crop, Split and Parameter."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from caffe2tf.layers.learnt import learnt
from caffe2tf.site import Site, Tensor, builds
from tfcaffe.errors import UnsupportedError


@builds("Reshape", "Flatten")
def reshape(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """The plan has seen to it that the numbers are in the right order."""
    x, shape = bottoms[0], site.top.tf_shape
    return x if tuple(x.shape) == shape else site.reshaped(x, shape)


@builds("Split")
def split(site: Site, bottoms: Sequence[Tensor]) -> list[Tensor]:
    return [bottoms[0]] * len(site.layer.tops)


@builds("Crop")
def crop(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Cropping on the spatial axes, else a slice.

    Raises:
        UnsupportedError: how much is cut depends on a free size.
    """
    x, bottom, top = bottoms[0], site.bottom, site.top
    cuts: dict[int, tuple[int, int]] = {}
    offsets = site.family.offsets(site.layer, len(bottom.axes))
    for axis, offset in enumerate(offsets):
        have, want = bottom.shape[axis], top.shape[axis]
        if axis == 0 and have is None and want is None:
            continue
        if have is None or want is None:
            raise UnsupportedError(
                f"{site.layer}: how much it cuts from axis {axis} depends on a size that is left "
                "free; fix it with --input-shape or --batch"
            )
        if (offset, have - want - offset) != (0, 0):
            cuts[bottom.dim(axis)] = (offset, have - want - offset)
    rank = len(bottom.axes)
    spatial = rank - 2
    if cuts and rank in (3, 4, 5) and all(0 < dim < rank - 1 for dim in cuts):
        cropping = tuple(cuts.get(dim, (0, 0)) for dim in range(1, rank - 1))
        return site.add(f"Cropping{spatial}D", x, cropping=cropping if spatial > 1 else cropping[0])
    if not cuts:
        return x
    slices = [slice(None)] * rank
    for dim, (before, after) in cuts.items():
        slices[dim] = slice(before, -after if after else None)
    return site.op(operator.getitem, x, tuple(slices))


@builds("Parameter")
def parameter(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Its blob; the site's bottom is one of the net's inputs.

    Raises:
        UnsupportedError: the net has no input at all.
    """
    if not bottoms:
        raise UnsupportedError(
            f"{site.layer}: the net has no input, so there is nothing that Keras could be fed; "
            "add an Input"
        )
    return learnt(site, "weights", bottoms[0])
