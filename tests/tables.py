"""Many small cases in one net: each a layer of its own on the same inputs, with what it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.oracle.pycaffe import Caffe
from whole import Written, assert_equal, compared, randomised, written

Case = tuple[Callable[..., Any], str]  # a function of tensors or a Keras layer; types, or ""


def numbers(*shape: int) -> np.ndarray:
    """The same random numbers each time for a shape."""
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def network(cases: Mapping[str, Case], *shapes: Sequence[int], batch: int = 2) -> Any:
    """A Keras model with one output for each case."""
    import keras

    class Function(keras.layers.Layer):  # type: ignore[misc]
        """A layer that computes a function."""

        def __init__(self, function: Callable[..., Any], **options: Any) -> None:
            super().__init__(**options)
            self.function = function

        def call(self, *tensors: Any) -> Any:
            return self.function(*tensors)

    inputs = [keras.Input(shape, batch_size=batch, name=f"x{i}") for i, shape in enumerate(shapes)]
    outputs = []
    for name, (made, _) in cases.items():
        layer = made
        if not isinstance(made, keras.layers.Layer):
            layer = Function(made)
        layer.name = name
        outputs.append(layer(*inputs))
    return randomised(keras.Model(inputs, outputs))


def check_table(
    cases: Mapping[str, Case],
    folder: Path,
    caffe: Caffe,
    *shapes: Sequence[int],
    batch: int = 2,
    inputs: Mapping[str, np.ndarray] | None = None,
    **options: Any,
) -> Written:
    """Every case is exact in real Caffe, and made of the types that it names."""
    model = network(cases, *shapes, batch=batch)
    net = written(model, folder, **options)
    report = compared(model, net, caffe, inputs)
    assert_equal(report)
    origins = {layer.name: layer.origin for layer in net.network.layers}
    assert set(cases) <= {origins[blob.layer] for blob in report.blobs}
    made = {name: types_of(net, name) for name in cases}
    wrong = {n: (made[n], types) for n, (_, types) in cases.items() if types not in ("", made[n])}
    assert not wrong, wrong
    return net


def types_of(net: Written, name: str) -> str:
    """The types of a case's layers."""
    return " ".join(layer.type for layer in net.network.layers if layer.origin == name)
