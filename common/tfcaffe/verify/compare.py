"""What "equal" means for two arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfcaffe.verify.report import Status

Array = NDArray[np.float32]
RTOL = 1e-4
_ROWS = 1 << 22  # numbers that are looked at in one go, so that no third copy of a blob is made


@dataclass(frozen=True)
class Difference:
    """How far two arrays are apart, relative to the scale of Caffe's. See `BlobReport`."""

    max: float
    mean: float
    scale: float
    status: Status
    note: str = ""


UNSEEN = Difference(0.0, 0.0, 0.0, "unproven")  # of what only one side has


def compare(caffe: Array, other: Array, rtol: float = RTOL) -> Difference:
    """Both in Caffe's layout and of one shape.

    The scale is the largest absolute value of Caffe's array. Where that is all the same the
    answer is "unproven", unless the other differs from it; a scale of 0 counts as 1 for that.
    Numbers that are not finite must be so on both sides, in the same way.
    """
    scale = _scale(caffe)
    constant = caffe.size == 0 or bool((caffe == caffe.flat[0]).all())
    largest, total, finite = 0.0, 0.0, 0
    for mine, theirs in _pieces(caffe, other):
        known = np.isfinite(mine)
        same = known | (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
        if not same.all() or not np.isfinite(theirs[known]).all():
            return apart(caffe, "numbers that are not finite are on one side only")
        distance = np.abs(mine[known].astype(np.float64) - theirs[known])
        largest = max(largest, float(distance.max(initial=0)))
        total += float(distance.sum())
        finite += distance.size
    unit = scale or 1.0
    status: Status = "equal"
    note = ""
    if largest / unit > rtol:
        status = "different"
    elif constant or not finite:
        status = "unproven"
        note = _why_unproven(caffe, finite)
    return Difference(largest / unit, total / max(finite, 1) / unit, scale, status, note)


def apart(caffe: Array, note: str = "") -> Difference:
    """What cannot be measured against Caffe's array: infinitely far from it."""
    return Difference(np.inf, np.inf, _scale(caffe), "different", note)


def _scale(array: Array) -> float:
    return float(np.abs(array).max(where=np.isfinite(array), initial=0))


def _pieces(a: Array, b: Array) -> list[tuple[Array, Array]]:
    flat = np.ascontiguousarray(a).reshape(-1), np.ascontiguousarray(b).reshape(-1)
    return [(flat[0][i : i + _ROWS], flat[1][i : i + _ROWS]) for i in range(0, a.size, _ROWS)]


def _why_unproven(caffe: Array, finite: int) -> str:
    if caffe.size == 0:
        return "the blob is empty"
    if not finite:
        return "no number of Caffe's is finite"
    return f"all of Caffe's numbers are {caffe.flat[0]:g}"
