"""Tensors as blobs, and the layers that make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tf2caffe.graph import Array
from tf2caffe.net import axes
from tfcaffe.files import weights as files
from tfcaffe.layout import Layout, Shape

Numbers = Array | Callable[[], Array]


@dataclass(eq=False)
class Blob:
    """One version of a blob: what one layer writes once."""

    shape: Shape
    maker: NewLayer | None = None
    name: str = ""

    @property
    def raw(self) -> Value:
        """The blob for its own sake: a tensor of Caffe's shape."""
        return Value(self, Layout.caffe(self.shape))


@dataclass(eq=False)
class NewLayer:
    """A Caffe layer in the making.

    Args:
        message: a LayerParameter without names.
        blobs: its weights as a caffemodel has them, read when they are written.
        origin: the Keras layer or scope that it says, which names it.
        hint: what it does there, for a name of its own where that needs several layers.
        learned: whether its weights are the network's own, not a means of saying something.
    """

    type: str
    message: Any
    bottoms: list[Blob]
    tops: list[Blob]
    blobs: list[files.Blob]
    origin: str
    hint: str = ""
    learned: bool = False
    name: str = ""
    in_place: bool = False


@dataclass(frozen=True)
class Value:
    """A TensorFlow tensor as a blob, and how it lies there."""

    blob: Blob
    layout: Layout

    @property
    def shape(self) -> Shape:
        """Caffe's shape."""
        return self.blob.shape

    @property
    def tf_shape(self) -> Shape:
        """TensorFlow's shape."""
        return axes.fixed(self.layout.tf_shape)

    def axis_of(self, dimension: int) -> int | None:
        """The blob's axis that holds this TensorFlow dimension and nothing else; None if none."""
        sizes = self.layout.factors
        dims = self.layout.dims
        wanted = [i for i in dims[dimension] if sizes[i] != 1]
        start = 0
        for axis, factors in enumerate(self.layout.axes):
            own = [i for i in range(start, start + len(factors)) if sizes[i] != 1]
            start += len(factors)
            if wanted and own == wanted:
                return axis
        if not wanted and dims[dimension]:  # of size 1: an axis of size 1, or a new one
            (first, *_) = dims[dimension]
            owner = [a for a, axis in enumerate(self.layout.axes) for _ in axis]
            return owner[first] if self.shape[owner[first]] == 1 else None
        return None

    def plain(self) -> Layout:
        """The layout with one axis per dimension that moves the fewest numbers."""
        usual = Layout.caffe(self.tf_shape)
        if len(self.tf_shape) in (4, 5):
            last = Layout.of_tensor(self.tf_shape)
            if axes.alike(self.layout, last) or not axes.alike(self.layout, usual):
                return last
        return usual
