"""Kernel, stride, pad and dilation, one number per spatial axis: how Caffe reads its fields."""

from __future__ import annotations

from typing import Any, NamedTuple

from tfcaffe.errors import NetError
from tfcaffe.net import Layer

Sizes = tuple[int, ...]


class Geometry(NamedTuple):
    """One number per spatial axis each: height before width."""

    kernel: Sizes
    stride: Sizes
    pad: Sizes
    dilation: Sizes

    @property
    def extent(self) -> Sizes:
        """The kernel's size with its holes."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))


def convolution(layer: Layer, options: Any, axes: int) -> Geometry:
    """Geometry of a (de)convolution over `axes` spatial axes.

    Source: BaseConvolutionLayer::LayerSetUp.

    Raises:
        NetError: contradictory or missing fields, as Caffe would refuse them.
    """
    geometry = Geometry(
        _repeated(layer, options, "kernel_size", "kernel", axes, None),
        _repeated(layer, options, "stride", "stride", axes, 1),
        _repeated(layer, options, "pad", "pad", axes, 0),
        _repeated(layer, options, "dilation", "", axes, 1),
    )
    for name in ("kernel", "stride", "dilation"):
        if min(getattr(geometry, name)) < 1:
            raise NetError(f"{layer}: {name} must be at least 1")
    return geometry


def pooling(layer: Layer, options: Any, size: Sizes) -> Geometry:
    """Geometry of a pooling over a blob of this height and width.

    Source: PoolingLayer::LayerSetUp.

    Raises:
        NetError: as Caffe would refuse the fields.
    """
    has = options.HasField
    stride = _pair(layer, options, "stride", "stride")
    pad = _pair(layer, options, "pad", "pad")
    if options.global_pooling:
        if has("kernel_size") or has("kernel_h") or has("kernel_w"):
            raise NetError(f"{layer}: global_pooling takes no kernel size")
        if pad != (0, 0) or stride != (1, 1):
            raise NetError(f"{layer}: global_pooling takes pad 0 and stride 1 only")
        kernel = size
    else:
        if has("kernel_size") == (has("kernel_h") and has("kernel_w")):
            raise NetError(f"{layer}: give kernel_size, or kernel_h and kernel_w")
        kernel = _pair(layer, options, "kernel_size", "kernel")
        if min(kernel) < 1 or min(stride) < 1:
            raise NetError(f"{layer}: kernel and stride must be at least 1")
        if pad[0] >= kernel[0] or pad[1] >= kernel[1]:
            raise NetError(f"{layer}: pad {pad} must be smaller than the kernel {kernel}")
    return Geometry(kernel, stride, pad, (1, 1))


def _pair(layer: Layer, options: Any, scalar: str, stem: str) -> Sizes:
    """`scalar`, or `stem_h` and `stem_w`, which exclude it."""
    height, width = options.HasField(f"{stem}_h"), options.HasField(f"{stem}_w")
    if not (height or width):
        value = getattr(options, scalar)
        return (value, value)
    if options.HasField(scalar) or not (height and width):
        raise NetError(f"{layer}: give {scalar}, or {stem}_h and {stem}_w")
    return (getattr(options, f"{stem}_h"), getattr(options, f"{stem}_w"))


def _repeated(
    layer: Layer, options: Any, many: str, stem: str, axes: int, default: int | None
) -> Sizes:
    """The repeated field `many` (one for all axes or one each), or `stem_h` and `stem_w`."""
    values = tuple(getattr(options, many))
    if stem and (options.HasField(f"{stem}_h") or options.HasField(f"{stem}_w")):
        if axes != 2:
            raise NetError(f"{layer}: {stem}_h and {stem}_w are for two spatial axes, not {axes}")
        if values:
            raise NetError(f"{layer}: give {many}, or {stem}_h and {stem}_w")
        return (getattr(options, f"{stem}_h"), getattr(options, f"{stem}_w"))
    if not values and default is not None:
        return (default,) * axes
    if len(values) == 1:
        return values * axes
    if len(values) != axes:
        raise NetError(
            f"{layer}: {many} is given {len(values)} times; it takes one for all or one for each "
            f"of {axes} spatial axes"
        )
    return values
