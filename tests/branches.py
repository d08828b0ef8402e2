"""Many small cases in one net: each a branch of its own behind a common input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def branches(shape: Sequence[int], cases: Mapping[str, Sequence[Any]], batch: int = 2) -> Any:
    """A Keras model with one output for each list of layers, the last one named as its case."""
    import keras

    x = keras.Input(tuple(shape), batch_size=batch, name="x")
    outputs = []
    for name, layers in cases.items():
        y = x
        for layer in layers[:-1]:
            y = layer(y)
        layers[-1].name = name
        outputs.append(layers[-1](y))
    return keras.Model(x, outputs)
