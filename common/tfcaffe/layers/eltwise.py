"""Eltwise. Source: eltwise_layer.cpp."""

from __future__ import annotations

from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.layers.base import Elementwise, Layer, fields, register

PROD, SUM, MAX = 0, 1, 2


@register("Eltwise")
class Eltwise(Elementwise):
    """Product, sum with coefficients, or maximum of bottoms of one shape; nothing broadcasts.

    Coefficients count for SUM only: with PROD Caffe refuses them, with MAX it ignores them.
    """

    field = "eltwise_param"
    reads = fields("operation coeff")
    inert = fields("stable_prod_grad")
    bottoms = (2, None)
    in_place = True

    def check(self, layer: Layer) -> None:
        options = self.options(layer)
        if options.coeff and len(options.coeff) != len(layer.bottoms):
            raise NetError(
                f"{layer}: {len(options.coeff)} coeff for {len(layer.bottoms)} bottoms; give one "
                "for each"
            )
        if options.operation != PROD and set(layer.tops) & set(layer.bottoms):
            raise UnsupportedError(
                f"{layer}: in place Caffe overwrites its first bottom before reading it, so that "
                "SUM and MAX lose it; give it another top"
            )
        if options.coeff and options.operation == PROD:
            raise NetError(f"{layer}: coeff goes with SUM, not with PROD")
