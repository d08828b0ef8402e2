"""What an oracle answers: a net's layers in order, with their shapes or their numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LayerRun:
    """One layer after it ran. `arrays` are its tops as this layer left them (Caffe's layout).

    `arrays` goes with `tops`; it is empty for a layer that was not asked for. OpenCV tells no
    blob names: there `bottoms` and `tops` are empty.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    arrays: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """A forward pass: every layer in the order in which it ran, without Caffe's own Splits.

    `inputs` and `outputs` are blob names; an output is a blob that no layer consumes.
    """

    layers: tuple[LayerRun, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def layer(self, name: str) -> LayerRun:
        """The layer of this name.

        Raises:
            KeyError: there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def blobs(self) -> dict[str, Array]:
        """Each blob's last value, by blob name."""
        return {
            top: array
            for layer in self.layers
            for top, array in zip(layer.tops, layer.arrays, strict=False)
        }

    def seen_by(self, layer: LayerRun) -> tuple[Array, ...]:
        """The values of a layer's bottoms at the moment when it ran.

        Raises:
            KeyError: a bottom's producer was not asked for.
        """
        current: dict[str, Array] = {}
        for earlier in self.layers:
            if earlier is layer:
                break
            current.update(zip(earlier.tops, earlier.arrays, strict=False))
        return tuple(current[bottom] for bottom in layer.bottoms)


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a loaded net: the shapes of its tops and of its parameter blobs."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    top_shapes: tuple[Shape, ...]
    param_shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class NetInfo:
    """A loaded net: its layers in order, without Caffe's own Splits, and its blob names."""

    layers: tuple[LayerInfo, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def blob_shapes(self) -> dict[str, Shape]:
        """Every blob's shape, by blob name."""
        return {
            top: shape
            for layer in self.layers
            for top, shape in zip(layer.tops, layer.top_shapes, strict=True)
        }
