"""Eltwise as Keras's merging layers."""

from __future__ import annotations

from collections.abc import Sequence

from caffe2tf.site import Site, Tensor, builds
from tfcaffe.layers.eltwise import MAX, PROD


@builds("Eltwise")
def eltwise(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Multiply, Maximum, Subtract, or Add of rescaled bottoms."""
    if site.options.operation in (PROD, MAX):
        kind = "Multiply" if site.options.operation == PROD else "Maximum"
        return site.add(kind, *bottoms)
    coefficients = list(site.options.coeff) or [1.0] * len(bottoms)
    if coefficients == [1.0, -1.0]:
        return site.add("Subtract", *bottoms)
    scaled = [
        x if c == 1 else site.add("Rescaling", x, scale=c)
        for x, c in zip(bottoms, coefficients, strict=True)
    ]
    return site.add("Add", *scaled)
