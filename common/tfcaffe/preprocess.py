"""What is done to an image before Caffe sees it, built into the model on request.

Caffe's order: channels as the net was trained on (mostly BGR), minus the mean, times the scale.
Source: data_transformer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from tfcaffe.errors import UsageError
from tfcaffe.plan import Plan

_IMAGE_AXES = 4
_LEAST = float(np.finfo(np.float32).tiny)
_MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Preprocessing:
    """Steps on one input blob; the others are fed as Caffe's are.

    Args:
        blob: the input blob, or None if nothing is asked for.
        flip: whether the model is fed RGB where the net wants BGR (or the other way round).
        mean: `[C]` or `[C, H, W]` in Caffe's channel order, subtracted.
        scale: a factor after that.
    """

    blob: str | None = None
    flip: bool = False
    mean: NDArray[np.float32] | None = None
    scale: float = 1.0

    @classmethod
    def make(
        cls,
        plan: Plan,
        mean: str | PathLike[str] | Sequence[float] | None,
        scale: float | None,
        channel_order: str | None,
        turned: str = "rgb",
    ) -> Preprocessing:
        """For the net's first image input.

        Args:
            turned: the order of channels that is turned round; with the other one nothing is.

        Raises:
            UsageError: there is no such input, or the mean does not fit it.
        """
        if channel_order not in (None, "bgr", "rgb"):
            raise UsageError(f"--channel-order {channel_order}: there are bgr and rgb")
        if mean is None and scale is None and channel_order != turned:
            return cls()
        check_scale(scale)
        blob, shape = _image(plan)
        if channel_order == turned and shape[1] != 3:
            raise UsageError(
                f"--channel-order {turned}: the input {blob!r} has {shape[1]} channels, not 3"
            )
        values = None if mean is None else fitted_mean(mean, blob, shape)
        return cls(blob, channel_order == turned, values, 1.0 if scale is None else float(scale))

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """What Caffe is fed for these images `[N, C, H, W]` as the model is fed."""
        if self.flip:
            images = images[:, ::-1]
        if self.mean is not None:
            images = images - (self.mean[:, None, None] if self.mean.ndim == 1 else self.mean)
        return np.asarray(images * np.float32(self.scale), np.float32)


def _image(plan: Plan) -> tuple[str, Sequence[int | None]]:
    for entry in plan.layers:
        if entry.family.source:
            for top, layout in zip(entry.layer.tops, entry.tops, strict=True):
                if len(layout.axes) == _IMAGE_AXES:
                    return top, layout.shape
    raise UsageError("--mean, --scale and --channel-order need an input of 4 axes (N, C, H, W)")


def check_scale(scale: float | None) -> None:
    """Raises:
    UsageError: Caffe's numbers, float32, cannot hold the factor with all its digits.
    """
    if scale is not None and not _LEAST <= abs(scale) <= _MOST:  # nor is NaN
        raise UsageError(
            f"--scale {scale}: give a finite number other than 0, of a size that float32 has"
        )


def fitted_mean(
    mean: str | PathLike[str] | Sequence[float], blob: str, shape: Sequence[int | None]
) -> NDArray[np.float32]:
    """The mean as `[C]` or cut from its middle to the input's `[C, H, W]`, as Caffe crops it.

    Raises:
        UsageError: it does not fit the input.
        FileFormatError: its file is damaged.
    """
    from tfcaffe.files.mean import read_mean

    values = read_mean(str(mean)) if isinstance(mean, str | PathLike) else _numbers(mean)
    values = values.reshape(-1) if values.size == values.shape[0] else values
    channels, *size = shape[1:]
    if values.ndim == 1 and values.size == 1:
        return np.full(int(channels or 0), values[0], np.float32)
    fits = values.shape[0] == channels and values.ndim in (1, 3)
    if not fits or (values.ndim == 3 and None in size):
        raise UsageError(
            f"--mean: its shape {list(values.shape)} does not fit the input {blob!r} "
            f"{list(shape)}; give one value, one per channel, or a mean image of fixed size"
        )
    if values.ndim == 1:
        return values
    height, width = (int(s or 0) for s in size)
    top, left = (values.shape[1] - height) // 2, (values.shape[2] - width) // 2
    if top < 0 or left < 0:
        raise UsageError(
            f"--mean: the mean image {list(values.shape)} is smaller than the input "
            f"{list(shape)}; resize it to the input first"
        )
    return np.ascontiguousarray(values[:, top : top + height, left : left + width])


def _numbers(mean: Sequence[float]) -> NDArray[np.float32]:
    try:
        values = np.atleast_1d(np.asarray(mean, np.float64))
    except (TypeError, ValueError):
        raise UsageError(f"--mean {mean!r}: give numbers, or the name of a file") from None
    if not values.size or not (np.abs(values) <= _MOST).all():
        raise UsageError(f"--mean {mean}: give finite numbers of a size that float32 has")
    return values.astype(np.float32)
