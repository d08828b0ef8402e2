"""Windows that slide over H and W: TensorFlow's paddings as numbers, and Caffe's fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Pads = tuple[tuple[int, int], ...]  # before and after, for each spatial axis


def tf_pads(
    padding: str,
    explicit: Sequence[Sequence[int]],
    sizes: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
) -> Pads:
    """How much TensorFlow pads each spatial axis.

    SAME makes ceil(size / stride) windows and puts the odd one behind. Source: the op Conv2D's
    documentation (framework/common_shape_fns.cc, GetWindowedOutputSizeVerbose).
    """
    if padding == "EXPLICIT":
        return tuple((before, after) for before, after in explicit)
    if padding == "VALID":
        return ((0, 0),) * len(sizes)
    found = []
    for size, extent, stride in zip(sizes, extents, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        found.append((total // 2, total - total // 2))
    return tuple(found)


def fields(**axes: Sequence[int]) -> dict[str, Any]:
    """Caffe's fields for kernel, stride, pad and dilation: one number if all axes agree.

    Never a list for two axes, which some readers take as width and height: then `_h` and `_w`.
    """
    said: dict[str, Any] = {}
    for name, numbers in axes.items():
        usual = 0 if name == "pad" else 1
        if name != "kernel" and all(n == usual for n in numbers):
            continue
        scalar = "kernel_size" if name == "kernel" else name
        if len(set(numbers)) == 1:
            said[scalar] = numbers[0]
        elif len(numbers) == 2 and name != "dilation":
            said[f"{name}_h"], said[f"{name}_w"] = numbers
        else:
            said[scalar] = list(numbers)
    return said
