"""Blobs whose axes must really change places: stock Caffe has no Permute layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf2caffe import axes
from tfcaffe.layout import Layout

if TYPE_CHECKING:
    from tf2caffe.site import Site, Value


def moved(site: Site, value: Value, want: Layout) -> Value:
    """The same tensor with its numbers in the order that `want` has."""
    found = axes.moves(value.layout, want)
    raise site.refusal(f"its axes must change places ({found}), which is not built yet")
