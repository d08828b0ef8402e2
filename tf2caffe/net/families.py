"""The families of the layer types that can be written: all that can be read, and forks'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfcaffe.files import schema
from tfcaffe.layers import registry
from tfcaffe.layers.base import Family, Layer, Shape, fields


class Permute(Family):
    """Axes in another order. Source: permute_layer.cpp of the SSD fork."""

    field = "permute_param"
    reads = fields("order")

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        return [tuple(bottoms[0][axis] for axis in self.options(layer).order)]


_FORKS: dict[str, Family] = {"Permute": Permute()}


def message(kind: str) -> Any:
    """An empty LayerParameter of a layer type."""
    made = schema.load().message("LayerParameter")()
    made.type = kind
    return made


def family(kind: str) -> Family:
    """The family of a layer type."""
    return registry().get(kind) or _FORKS[kind]
