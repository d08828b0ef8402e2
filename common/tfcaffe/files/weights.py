"""A weights file as a record: layers by name, their blobs read when they are used."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tfcaffe.errors import WeightsError
from tfcaffe.input import FileIdentity

FloatArray = NDArray[np.floating[Any]]
Shape = tuple[int, ...]

LEGACY_AXES = 4  # num, channels, height, width


@dataclass(frozen=True)
class Blob:
    """One blob of parameters: its shape is known, its values are read when asked for.

    Attributes:
        shape: As the file says it.
        read: Gives the values, of that shape; most often a view of the file.
        legacy: The file says the shape as num, channels, height, width (before 2014).
        rows: Gives float32 values in C order, in contiguous pieces, where a writer should not
            have to hold them all; left out, `read` gives them.
    """

    shape: Shape
    read: Callable[[], FloatArray]
    legacy: bool = False
    rows: Callable[[], Iterator[FloatArray]] | None = None

    def fits(self, shape: Shape) -> bool:
        """Whether Caffe takes the blob for a parameter of `shape`.

        A legacy shape is compared from the end: a bias of N is 1x1x1xN.
        Source: blob.cpp, ShapeEquals.
        """
        if self.legacy and len(shape) <= LEGACY_AXES:
            return (1,) * (LEGACY_AXES - len(shape)) + tuple(shape) == self.shape
        return not self.legacy and tuple(shape) == self.shape


class Blobs(Sequence[FloatArray]):
    """A layer's blobs in Caffe's order; `blobs[i]` reads one, most often as a view of the file."""

    def __init__(self, items: Sequence[Blob]) -> None:
        self.items = tuple(items)

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> FloatArray: ...
    @overload
    def __getitem__(self, index: slice) -> "Blobs": ...
    def __getitem__(self, index: int | slice) -> "FloatArray | Blobs":
        if isinstance(index, slice):
            return Blobs(self.items[index])
        return self.items[index].read()

    def __repr__(self) -> str:
        return f"Blobs({', '.join(str(item.shape) for item in self.items)})"

    @classmethod
    def of(cls, arrays: Sequence[FloatArray]) -> "Blobs":
        """Arrays in memory, as blobs."""
        return cls([Blob(array.shape, partial(np.asarray, array)) for array in arrays])


@dataclass(frozen=True)
class LayerBlobs:
    """A layer of a weights file: the name that binds it to a net's layer, and its blobs.

    Attributes:
        name: Caffe's layer name.
        type: Caffe's layer type (`Convolution`), empty where the file does not tell (HDF5).
        blobs: Float16, float32 or float64 arrays in Caffe's order and layout.
        bottoms: Names of the blobs that the layer reads, as far as the file tells.
        tops: Names of the blobs that it writes.
        absent: Indices of blobs that the file leaves out, because the layer shares them with
            another one (HDF5); reading such a blob raises WeightsError.
    """

    name: str
    type: str
    blobs: Blobs
    bottoms: tuple[str, ...] = ()
    tops: tuple[str, ...] = ()
    absent: frozenset[int] = frozenset()

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The blobs' shapes; reads no values."""
        return tuple(item.shape for item in self.blobs.items)

    def fitted(self, index: int, shape: Shape) -> FloatArray:
        """Blob `index` as the parameter of `shape` that a net wants, under Caffe's own rule.

        Raises:
            WeightsError: There is no such blob, or it has another shape.
        """
        if index >= len(self.blobs):
            have = len(self.blobs)
            raise WeightsError(
                f"layer {self.name!r}: the net wants blob {index}, the file has {have}"
            )
        blob = self.blobs.items[index]
        if index not in self.absent and not blob.fits(shape):
            raise WeightsError(
                f"layer {self.name!r}, blob {index}: the net wants {shape}, "
                f"the file has {blob.shape}: these weights are of another net"
            )
        return blob.read().reshape(shape)


def as_float32(layer: LayerBlobs, index: int) -> NDArray[np.float32]:
    """Blob `index` as Caffe's files hold it: little-endian float32 in C order; a view if it is so.

    Raises:
        WeightsError: It is not of floats, or has values that float32 cannot hold.
    """
    array = layer.blobs[index]
    if not np.issubdtype(array.dtype, np.floating):
        raise WeightsError(f"layer {layer.name!r}, blob {index}: {array.dtype} is no float")
    try:
        with np.errstate(over="raise"):
            return np.ascontiguousarray(array, np.dtype("<f4")).reshape(array.shape)
    except FloatingPointError:
        what = f"layer {layer.name!r}, blob {index}"
        raise WeightsError(f"{what}: has values too large for float32, which Caffe needs") from None


@dataclass(frozen=True)
class Weights:
    """A weights file: its layers by name, in the file's order.

    A name that occurs twice stands for its last occurrence, since Caffe copies them in order
    (source: net.cpp, CopyTrainedLayersFrom).
    """

    identity: FileIdentity
    layers: Mapping[str, LayerBlobs]

    @property
    def path(self) -> Path:
        """The file."""
        return self.identity.path
