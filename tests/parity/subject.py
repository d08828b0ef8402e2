"""A case as it runs: its plan, its random numbers, and the model with every blob in sight."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe2tf.build import Built, build
from caffe2tf.source import Source, read_source
from parity.cases import Case, Shape, normal
from tfcaffe.bind import bind
from tfcaffe.files.weights import Blobs, LayerBlobs, Weights
from tfcaffe.input import FileIdentity
from tfcaffe.keras_graph import tensors
from tfcaffe.load import load_net
from tfcaffe.net import Net
from tfcaffe.plan import Plan, make_plan
from tfcaffe.twin import Twin

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """A case's net, as planned, with its numbers."""

    case: Case
    source: Source
    blobs: Mapping[str, Sequence[Array]]
    everything: Net  # also what only training needs: what Caffe runs

    @property
    def plan(self) -> Plan:
        """The plan that the model is built from."""
        return self.source.plan

    @classmethod
    def of(cls, case: Case, path: Path) -> Subject:
        """Plan the net of a prototxt and draw its weights."""
        source = read_source(path, None, input_shape=case.free)
        rng = np.random.default_rng(case.seed)
        blobs = {
            entry.layer.name: [_weights(rng, p.role, p.shape, case.factor) for p in entry.params]
            for entry in source.plan.layers
            if entry.params
        }
        layers = {name: LayerBlobs(name, "", Blobs.of(arrays)) for name, arrays in blobs.items()}
        binding = bind(source.plan, Weights(FileIdentity.of(path), layers))
        return cls(case, replace(source, binding=binding), blobs, load_net(path, None))

    def built(self, *, plain: bool = False) -> Built:
        """The Keras model."""
        return build(self.source, plain=plain)

    def sizes(self) -> Iterator[dict[str, Shape]]:
        """Input shapes to run: the prototxt's, those with another batch, and the case's own."""
        usual = self._usual()
        yield usual
        if self.plan.free_batch:
            yield {name: (2 * shape[0], *shape[1:]) for name, shape in usual.items()}
        for more in self.case.sizes:
            yield {**usual, **more}

    def inputs(self, shapes: Mapping[str, Shape]) -> dict[str, Array]:
        """Numbers for every input of Caffe's net."""
        rng = np.random.default_rng(self.case.seed + 1)
        draws = self.case.draws
        return {
            name: np.asarray(draws.get(name, normal)(rng, shape), np.float32)
            for name, shape in shapes.items()
        }

    def _usual(self) -> dict[str, Shape]:
        plan = make_plan(self.everything)
        return {
            top: shape
            for entry, shapes in zip(plan.layers, plan.shapes, strict=True)
            if entry.family.source
            for top, shape in zip(entry.layer.tops, shapes, strict=True)
        }


def _weights(rng: np.random.Generator, role: str, shape: Shape, factor: float) -> Array:
    """Random numbers of a blob: none is 0, no variance negative, outputs near 1."""
    stored = factor or 1.0
    numbers: Any
    if role == "":
        numbers = np.full(shape, factor)
    elif role == "variance":
        numbers = rng.uniform(0.5, 2, shape) * stored
    elif role == "mean":
        numbers = rng.normal(0, 1, shape) * stored
    elif role == "gamma":
        numbers = rng.uniform(0.5, 1.5, shape)
    elif role == "slope":
        numbers = rng.uniform(0.1, 0.6, shape)
    elif role == "weights":
        numbers = rng.normal(0, 1, shape) / math.sqrt(max(1, math.prod(shape[1:])))
    else:
        numbers = rng.normal(0, 1, shape)
    return np.asarray(numbers, np.float32)


class Observed:
    """A model with every blob of its record as an output."""

    def __init__(self, model: Any, twin: Twin) -> None:
        import keras

        self.twin = twin
        found = tensors(model)
        self.tensors = [found[b.node, b.output] for b in (*twin.blobs, *twin.outputs)]
        self.watching = keras.Model(model.inputs, self.tensors)

    def run(self, inputs: Mapping[str, Array]) -> tuple[list[Array], list[Array]]:
        """Numbers of the record's blobs, and of the model's outputs, as TensorFlow lays them."""
        arrays = [np.asarray(tensor.numpy()) for tensor in self.watching(self.feeds(inputs))]
        for array, tensor in zip(arrays, self.tensors, strict=True):
            agrees = all(s in (None, n) for s, n in zip(tensor.shape, array.shape, strict=True))
            assert agrees, f"{tensor.name}: promised {tensor.shape}, is {array.shape}"
        count = len(self.twin.blobs)
        return arrays[:count], arrays[count:]

    def feeds(self, inputs: Mapping[str, Array]) -> list[Array]:
        """The inputs as the model takes them."""
        return [fed.layout.pattern().to_tf(inputs[fed.blob]) for fed in self.twin.inputs]
