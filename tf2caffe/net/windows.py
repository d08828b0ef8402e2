"""Windows that slide over H and W: TensorFlow's paddings as numbers, and Caffe's fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import gcd, prod
from typing import Any

from tf2caffe.net.site import Site

Pads = tuple[tuple[int, int], ...]  # before and after, for each spatial axis

# A layer that only moves numbers takes as long for each one as a kernel for so many products more
# (real Caffe, 3 x 3 and 4 x 4 kernels with stride 2 over 3 to 512 channels).
_LAYER = 40


@dataclass(frozen=True)
class Windows:
    """Windows of a kernel, one number per spatial axis; a pad below 0 is a cut."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads

    @property
    def extents(self) -> tuple[int, ...]:
        """From a window's first number to its last."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def along(self) -> tuple[int, ...]:
        """The dilations; along a kernel of size 1 any is the same."""
        axes = list(zip(self.kernel, self.dilations, strict=True))
        most = max([1, *(d for k, d in axes if k > 1)])
        return tuple(d if k > 1 else most for k, d in axes)

    def counts(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """How many windows TensorFlow makes along each axis."""
        return tuple(
            (size + sum(pair) - extent) // stride + 1
            for size, pair, extent, stride in zip(
                sizes, self.pads, self.extents, self.strides, strict=True
            )
        )

    def fields(self, more: Pads) -> dict[str, Any]:
        """Caffe's fields, the kernel enlarged by `more`; pads are even, the first counts."""
        kernel = [k + sum(rows) for k, rows in zip(self.kernel, more, strict=True)]
        most = max(self.dilations)  # along a kernel of size 1 any dilation is the same
        dilations = [d if k > 1 else most for k, d in zip(kernel, self.dilations, strict=True)]
        pads = [before for before, _ in self.pads]
        return fields(kernel=kernel, stride=self.strides, pad=pads, dilation=dilations)


def of_node(site: Site, kernel: Sequence[int], sizes: Sequence[int]) -> Windows:
    """The windows that a node's attributes say, over an image of these sizes."""
    strides = site.spatial(site.attrs["strides"])
    dilations = site.spatial(site.attrs.get("dilations") or [1] * (len(kernel) + 2))
    explicit = site.attrs.get("explicit_paddings") or []
    pairs = list(zip(explicit[::2], explicit[1::2], strict=True))
    found = Windows(tuple(kernel), strides, dilations, ())
    pads = tf_pads(
        site.attrs["padding"],
        site.spatial(pairs) if pairs else (),
        sizes,
        found.extents,
        strides,
    )
    return replace(found, pads=pads)


def sayable(site: Site, kind: str, found: Windows) -> tuple[Windows, tuple[int, ...]]:
    """The windows as the dialect can say them, and how far apart a kernel's numbers then lie.

    Where it has no such dilation, zeros between the numbers of the kernel do the same.
    """
    count = len(found.kernel)
    wanted, common = found.along, gcd(*found.along)
    for dilations in (wanted, (common,) * count, (1,) * count):
        several = len({*dilations}) > 1
        said = [] if {*dilations} == {1} else list(dilations if several else dilations[:1])
        if site.dialect.allows(kind, lists=several, dilation=said):
            break
    apart = tuple(d // now for d, now in zip(wanted, dilations, strict=True))
    kernel = tuple((k - 1) * a + 1 for k, a in zip(found.kernel, apart, strict=True))
    return replace(found, kernel=kernel, dilations=dilations), apart


def thin(kernel: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether a kernel is wider than one along an axis of size 1, most of it on the pads.

    Such depthwise ones OpenCV computes wrongly.
    """
    return any(k > 1 and size == 1 for k, size in zip(kernel, sizes, strict=True))


def thinned(found: Windows, sizes: Sequence[int]) -> tuple[Windows, tuple[slice, ...]]:
    """Windows without what lies on the pads alone where an axis of size 1 has one window.

    Gives with them what is left of the kernel.
    """
    kept = [slice(None)] * len(sizes)
    axes = [*zip(found.kernel, found.strides, found.dilations, found.pads, strict=True)]
    for i, (size, count) in enumerate(zip(sizes, found.counts(sizes), strict=True)):
        kernel, _, dilation, (before, _) = axes[i]
        at, rest = divmod(before, dilation)
        if size == count == 1 < kernel and not rest and 0 <= at < kernel:
            kept[i] = slice(at, at + 1)
            axes[i] = (1, 1, 1, (0, 0))
    kernels, strides, dilations, pads = zip(*axes, strict=True)
    return Windows(kernels, strides, dilations, pads), tuple(kept)


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


def evened(windows: Windows, sizes: Sequence[int], across: int) -> tuple[Windows, Pads] | None:
    """The same windows with even pads, and the rows of zeros that the kernel then gets.

    Zero rows in front of the kernel let a window begin earlier, behind it they keep Caffe from
    making one more. None where no such rows do, or a layer before would cost less.

    Args:
        across: how many outputs read each channel.
    """
    found = [
        _evened(size, count, before, kernel, stride, dilation, abs(before - after) // dilation + 1)
        for size, count, (before, after), kernel, stride, dilation in zip(
            sizes,
            windows.counts(sizes),
            windows.pads,
            windows.kernel,
            windows.strides,
            windows.dilations,
            strict=True,
        )
    ]
    axes = [axis for axis in found if axis is not None]
    more = tuple((front, behind) for _, front, behind in axes)
    if len(axes) < len(found) or not worth(windows, windows.pads, more, across):
        return None
    return replace(windows, pads=tuple((pad, pad) for pad, _, _ in axes)), more


def everywhere(windows: Windows, even: Windows, more: Pads) -> bool:
    """Whether even pads and rows of zeros make the same windows whatever the image's size is."""
    return all(
        2 * now[0] - (front + behind) * dilation == sum(before)
        for before, now, (front, behind), dilation in zip(
            windows.pads, even.pads, more, windows.dilations, strict=True
        )
    )


def worth(windows: Windows, sides: Pads, more: Pads, across: int) -> bool:
    """Whether rows of zeros in a kernel cost no more than a layer that moves what `sides` say.

    Args:
        across: how many channels the kernel has for each number that such a layer would move.
    """
    larger = prod(k + sum(rows) for k, rows in zip(windows.kernel, more, strict=True))
    moved = prod((abs(a - b) + 1) * s for (a, b), s in zip(sides, windows.strides, strict=True))
    return (larger - prod(windows.kernel)) * across <= _LAYER * moved


def _evened(
    size: int, count: int, before: int, kernel: int, stride: int, dilation: int, most: int
) -> tuple[int, int, int] | None:
    """The pad, and rows in front and behind, as few as possible."""
    for front, behind in sorted(product(range(most + 1), repeat=2), key=sum):
        pad = before + front * dilation
        extent = (kernel + front + behind - 1) * dilation + 1
        if pad >= 0 and (size + 2 * pad - extent) // stride + 1 == count:
            return pad, front, behind
    return None


def fields(**axes: Sequence[int]) -> dict[str, Any]:
    """Caffe's fields for kernel, stride, pad and dilation: one number if both axes agree.

    Never a list for two axes, which some readers take as width and height: then `_h` and `_w`.
    Always one for three: OpenCV crashes on a single number there.
    """
    said: dict[str, Any] = {}
    for name, numbers in axes.items():
        usual = 0 if name == "pad" else 1
        if name != "kernel" and all(n == usual for n in numbers):
            continue
        scalar = "kernel_size" if name == "kernel" else name
        if len(set(numbers)) == 1 and len(numbers) < 3:
            said[scalar] = numbers[0]
        elif len(numbers) == 2 and name != "dilation":
            said[f"{name}_h"], said[f"{name}_w"] = numbers
        else:
            said[scalar] = list(numbers)
    return said
