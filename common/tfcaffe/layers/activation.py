"""Activations: one number in, one number out, whatever the layout.

Source: the `.cpp` file of each type's name (relu_layer.cpp, power_layer.cpp, …).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.layers.base import (
    Elementwise,
    Layer,
    Layout,
    Layouts,
    Param,
    Shape,
    fields,
    register,
    said,
    same,
    simple,
    vector,
)
from tfcaffe.layout import Pattern


@register("ReLU")
class ReLU(Elementwise):
    """max(x, 0) + negative_slope · min(x, 0)."""

    field = "relu_param"
    reads = fields("negative_slope")
    inert = fields("engine")
    in_place = True


@register("PReLU")
class PReLU(Elementwise):
    """max(x, 0) + slope · min(x, 0), a slope per channel (axis 1) or one for all."""

    field = "prelu_param"
    reads = fields("channel_shared")
    inert = fields("filler")
    in_place = True

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        if not 2 <= len(bottoms[0]) <= 4:
            raise NetError(f"{layer}: Caffe takes 2 to 4 axes here, not {list(bottoms[0])}")
        return [bottoms[0]]

    def layouts(self, layer: Layer, bottoms: Sequence[Layout], tops: Sequence[Shape]) -> Layouts:
        return same([simple(bottoms[0])], 1)

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        if self.options(layer).channel_shared:
            return [Param("slope", (), Pattern("->"), "filler")]
        return [Param("slope", *vector(int(bottoms[0].shape[1] or 0)), filler="filler")]


@register("ELU")
class ELU(Elementwise):
    """x where x > 0, else alpha · (exp(x) - 1)."""

    field = "elu_param"
    reads = fields("alpha")
    in_place = True


@register("Sigmoid")
class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    field = "sigmoid_param"
    inert = fields("engine")
    in_place = True


@register("TanH")
class TanH(Elementwise):
    """tanh(x)."""

    field = "tanh_param"
    inert = fields("engine")
    in_place = True


@register("AbsVal")
class AbsVal(Elementwise):
    """|x|; Caffe refuses it in place."""

    def check(self, layer: Layer) -> None:
        if layer.bottoms == layer.tops:
            raise NetError(f"{layer}: Caffe does not run AbsVal in place; give it another top")


@register("BNLL")
class BNLL(Elementwise):
    """log(1 + exp(x))."""

    in_place = True


@register("Power")
class Power(Elementwise):
    """(shift + scale · x) ^ power."""

    field = "power_param"
    reads = fields("power scale shift")
    in_place = True

    def check(self, layer: Layer) -> None:
        constant = self.constant(layer)
        if constant is not None and not math.isfinite(constant):
            options = self.options(layer)
            raise UnsupportedError(
                f"{layer}: power {options.power:g}, scale {options.scale:g} and shift "
                f"{options.shift:g} give {constant:g} for every number; no net can use that"
            )

    def constant(self, layer: Layer) -> float | None:
        """What every number becomes where power · scale is 0, in float32 as Caffe has it."""
        options = self.options(layer)
        power, scale, shift = map(np.float32, (options.power, options.scale, options.shift))
        with np.errstate(all="ignore"):
            if power * scale != 0:
                return None
            return 1.0 if power == 0 else float(shift**power)


@register("Exp")
class Exp(Elementwise):
    """base ^ (shift + scale · x); base -1 stands for e."""

    field = "exp_param"
    reads = fields("base scale shift")
    in_place = True

    def check(self, layer: Layer) -> None:
        options = self.options(layer)
        _check_base(layer, options.base)
        log_base = 1.0 if options.base == -1 else math.log(options.base)
        if not log_base * options.shift < math.log(np.finfo(np.float32).max):
            raise UnsupportedError(
                f"{layer}: base {options.base} to the power of shift {options.shift} is more than "
                "float32 holds, so all that it computes is infinite"
            )


@register("Log")
class Log(Elementwise):
    """The logarithm of shift + scale · x to a base; -1 stands for e."""

    field = "log_param"
    reads = fields("base scale shift")
    in_place = True

    def check(self, layer: Layer) -> None:
        base = self.options(layer).base
        _check_base(layer, base)
        if base == 1:
            raise NetError(f"{layer}: base must not be 1, which has no logarithm")


@register("Clip")
class Clip(Elementwise):
    """min(max(x, clip.min), clip.max)."""

    field = "clip_param"
    reads = fields("min max")
    in_place = True

    def check(self, layer: Layer) -> None:
        options = self.options(layer)
        if not (options.HasField("min") and options.HasField("max")):
            raise NetError(f"{layer}: clip_param needs both min and max")


@register("Swish")
class Swish(Elementwise):
    """x · sigmoid(beta · x)."""

    field = "swish_param"
    reads = fields("beta")
    in_place = True


@register("Threshold")
class Threshold(Elementwise):
    """1 where x > threshold, else 0."""

    field = "threshold_param"
    reads = fields("threshold")
    in_place = True


@register("Dropout")
class Dropout(Elementwise):
    """The identity when testing; in training x · mask / (1 - dropout_ratio).

    Forks have `scale_train`: false means that testing multiplies by 1 - dropout_ratio instead.
    """

    field = "dropout_param"
    reads = fields("dropout_ratio scale_train")
    in_place = True

    def check(self, layer: Layer) -> None:
        if not 0 <= self.options(layer).dropout_ratio < 1:
            raise NetError(f"{layer}: dropout_ratio must be at least 0 and below 1")

    def scales_in_test(self, layer: Layer) -> bool:
        """Whether the fork's way is asked for: a factor when testing, none in training."""
        options = self.options(layer)
        return said(options, "scale_train") and not options.scale_train


def _check_base(layer: Layer, base: float) -> None:
    if base != -1 and not 0 < base < math.inf:
        raise NetError(f"{layer}: base must be positive and finite, or -1 for e; it is {base:g}")
