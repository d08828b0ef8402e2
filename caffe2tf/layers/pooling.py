"""Pooling as Keras layers: Caffe's borders, rounding and divisors on top of VALID and SAME."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from caffe2tf.layers.convolution import cropped, padded
from caffe2tf.site import Site, Tensor, builds
from tfcaffe.errors import UnsupportedError
from tfcaffe.layers.pooling import MAX

_LOWEST = -3.4028234663852886e38  # -FLT_MAX, where Caffe's maximum begins


class _Axis(NamedTuple):
    """What one axis needs: pads, a crop at the far end, and how the windows lie."""

    before: int
    after: int
    crop: int
    same: bool  # TensorFlow's SAME has these very windows
    whole: bool  # no window reaches beyond the pads that Caffe counts


@builds("Pooling")
def pooling(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """MaxPooling2D or AveragePooling2D, or their global forms."""
    x, options = bottoms[0], site.options
    if options.global_pooling:
        kind = "GlobalMaxPooling2D" if options.pool == MAX else "GlobalAveragePooling2D"
        return site.add(kind, x, keepdims=True)
    g = site.family.geometry(site.layer, site.bottom.shape)
    sizes, outs = site.bottom.shape[2:], site.top.shape[2:]
    up = site.family.rounds_up(site.layer)
    axes = [
        _axis(site, size, out, k, s, p, up, any(g.pad))
        for size, out, k, s, p in zip(sizes, outs, g.kernel, g.stride, g.pad, strict=True)
    ]
    if options.pool == MAX:
        return _maximum(site, x, axes, g.kernel, g.stride)
    return _average(site, x, axes, g.kernel, g.stride, g.pad)


def _axis(
    site: Site,
    size: int | None,
    out: int | None,
    kernel: int,
    stride: int,
    pad: int,
    up: bool,
    clip: bool,
) -> _Axis:
    """Pads for one axis. A free size is padded so far that VALID rounds as Caffe does.

    Raises:
        UnsupportedError: what Caffe does depends on a free size.
    """
    if size is None or out is None:
        if up and clip and kernel <= pad + stride - 1:
            raise UnsupportedError(
                f"{site.layer}: whether Caffe drops its last window depends on the input's size; "
                "fix it with --input-shape"
            )
        same = stride == 1 and 2 * pad == kernel - 1
        return _Axis(pad, pad + (stride - 1 if up else 0), 0, same, stride == 1 or not up)
    reach = (out - 1) * stride + kernel - size - pad  # beyond the far edge
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    same = out == -(-size // stride) and pad == total // 2
    after = max(reach, 0)
    windows = (size + pad + after - kernel) // stride + 1
    crop = (windows - out) * stride
    return _Axis(pad, after, crop, same, reach <= pad)


def _maximum(
    site: Site, x: Tensor, axes: Sequence[_Axis], kernel: tuple[int, ...], stride: tuple[int, ...]
) -> Tensor:
    """The maximum over the real pixels of each window."""
    pads = [[0, 0], *([axis.before, axis.after] for axis in axes), [0, 0]]
    if any(map(any, pads)):
        if all(axis.same for axis in axes):
            return site.add("MaxPooling2D", x, pool_size=kernel, strides=stride, padding="same")
        x = site.op(site.ops.pad, x, pads, constant_values=_LOWEST)
    x = cropped(site, x, [(0, axis.crop) for axis in axes])
    return site.add("MaxPooling2D", x, pool_size=kernel, strides=stride, padding="valid")


def _average(
    site: Site,
    x: Tensor,
    axes: Sequence[_Axis],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...],
) -> Tensor:
    """The sum over each window by Caffe's divisor: pads count, what lies beyond them does not."""
    pool = {"pool_size": kernel, "strides": stride}
    _check_windows(site, axes)
    # Keras's SAME repeats the edge under PyTorch (seen in 3.15), where TensorFlow counts no pad.
    if site.plain and all(axis.same for axis in axes) and not any(pad):
        return site.add("AveragePooling2D", x, padding="same", **pool)
    ends = [(axis.before, axis.after) for axis in axes]
    crop = [(0, axis.crop) for axis in axes]
    y = site.add("AveragePooling2D", cropped(site, padded(site, x, ends), crop), **pool)
    if all(axis.whole for axis in axes):
        return y
    ones = site.constant(site.op(_one_channel, x), 1.0)
    near = [[0, 0], *([p, min(p, axis.after)] for p, axis in zip(pad, axes, strict=True)), [0, 0]]
    ones = site.op(site.ops.pad, ones, near, constant_values=1.0)
    far = [(0, axis.after - min(p, axis.after)) for p, axis in zip(pad, axes, strict=True)]
    share = site.add("AveragePooling2D", cropped(site, padded(site, ones, far), crop), **pool)
    return site.op(site.ops.divide, y, share)


def _one_channel(x: Tensor) -> Tensor:
    """One channel of the first image: the divisors are the same for all."""
    return x[:1, :, :, :1]


def _check_windows(site: Site, axes: Sequence[_Axis]) -> None:
    """Refuse windows that hold no pixel and no pad: Caffe divides by zero there."""
    g = site.family.geometry(site.layer, site.bottom.shape)
    up = site.family.rounds_up(site.layer)
    for axis, size, out, k, s in zip(
        axes, site.bottom.shape[2:], site.top.shape[2:], g.kernel, g.stride, strict=True
    ):
        if size is None or out is None:
            if up and not any(g.pad) and s > k:
                raise UnsupportedError(
                    f"{site.layer}: at some input sizes its last window lies beyond the input, "
                    "where Caffe's average is 0/0; fix the size with --input-shape"
                )
        elif (out - 1) * s - axis.before >= size:
            raise UnsupportedError(
                f"{site.layer}: its last window lies beyond the input of size {size}, where "
                "Caffe's average is 0/0; change the stride or the input's size"
            )
