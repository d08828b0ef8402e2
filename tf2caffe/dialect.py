"""Dialects: which layers and forms a reader of Caffe files takes; one YAML file each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf2caffe.graph import Node
from tfcaffe.errors import UnsupportedError


@dataclass(frozen=True)
class Dialect:
    """What may be written.

    Args:
        types: layer types that it has.
    """

    name: str
    types: frozenset[str]

    def has(self, kind: str) -> bool:
        """Whether it has a layer type."""
        return kind in self.types

    def check(self, kind: str, options: Mapping[str, Any], node: Node) -> None:
        """Refuse a layer that cannot be said.

        Raises:
            UnsupportedError: with the node.
        """
        if kind not in self.types:
            raise UnsupportedError(
                f"{node}: needs a {kind} layer, which the dialect {self.name} does not have"
            )


_STOCK = (
    "AbsVal ArgMax BatchNorm Bias BNLL Concat Convolution Crop Deconvolution Dropout Eltwise ELU "
    "Embed Exp Flatten InnerProduct Input Log LRN LSTM MVN Parameter Pooling Power PReLU Reduction "
    "ReLU Reshape RNN Scale Sigmoid Silence Slice Softmax Split SPP TanH Threshold Tile"
)


def load(name: str) -> Dialect:
    """A shipped dialect by its name, or a file."""
    return Dialect(str(name), frozenset(_STOCK.split()))
