"""Numbers through the shipped mappings without TensorFlow or Caffe: every bit must come back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from tfcaffe.bind import Binding
from tfcaffe.files.weights import Blob, Blobs, LayerBlobs
from tfcaffe.mapping.apply import to_layers, to_variables, variable_shapes
from tfcaffe.mapping.resolve import Resolved
from tfcaffe.variables.base import Variable

Array = NDArray[np.float32]
_FIRST, _COUNT = 0x3E000000, 0x04000000  # the bits of floats from 0.125 to 32


def numbers(shape: tuple[int, ...], offset: int) -> Array:
    """Positive floats, no two alike within 67 million, made quickly."""
    size = prod(shape)
    bits = (np.arange(offset, offset + size, dtype=np.uint32) % _COUNT) + np.uint32(_FIRST)
    return bits.view(np.float32).reshape(shape)


def variables_of(resolved: Resolved) -> dict[str, Variable]:
    """Every variable that a mapping names, each with other numbers, made when they are read."""
    found, offset = {}, 0
    for name, shape in variable_shapes(resolved).items():
        read = partial(numbers, shape, offset)
        found[name] = Variable(name, shape, "float32", read)
        offset = (offset + prod(shape)) % _COUNT
    return found


def plain(resolved: Resolved) -> Resolved:
    """Without epsilons: what is added to a variance and subtracted again is rounded twice."""
    pairs = [
        pair
        if pair.transform is None
        else replace(pair, transform=replace(pair.transform, delta=0.0))
        for pair in resolved.pairs
    ]
    return replace(resolved, pairs=tuple(pairs))


def bound(resolved: Resolved, layers: Iterator[LayerBlobs]) -> Binding:
    """The blobs of a plan from layers, still unread."""
    at = {entry.layer.name: i for i, entry in enumerate(resolved.plan.layers)}
    reads = {
        (at[layer.name], j): blob.read
        for layer in layers
        for j, blob in enumerate(layer.blobs.items)
    }
    return Binding(resolved.plan, (), reads)


def unequal_variables(resolved: Resolved) -> list[str]:
    """TensorFlow → Caffe → TensorFlow: the names of variables that do not come back bit for bit.

    A variable that is folded into another comes back as 0, and the other with the difference.
    """
    before = variables_of(resolved)
    folded = {pair.minus: pair.variables[0] for pair in resolved.pairs if pair.minus}
    wanted = dict.fromkeys(before)
    wrong = []
    for name, given in to_variables(resolved, bound(resolved, to_layers(resolved, before))):
        array = np.asarray(given)
        del wanted[name]
        if name in folded:
            expected = np.zeros_like(array)
        else:
            expected = before[name].floats()
            for bias, mean in folded.items():
                if mean == name:
                    expected = expected - before[bias].floats()
        if array.dtype != np.float32 or array.tobytes() != expected.tobytes():
            wrong.append(name)
    return wrong + list(wanted)


def unequal_blobs(resolved: Resolved) -> list[str]:
    """Caffe → TensorFlow → Caffe: the names of layers whose blobs do not come back bit for bit."""
    before = list(_caffe_layers(resolved))
    arrays = to_variables(resolved, bound(resolved, iter(before)))
    after = {layer.name: layer for layer in to_layers(resolved, _streamed(resolved, arrays))}
    wrong = []
    for layer in before:
        mine = after.pop(layer.name)
        if any(
            a.read().tobytes() != np.ascontiguousarray(b.read()).tobytes()
            for a, b in zip(layer.blobs.items, mine.blobs.items, strict=True)
        ):
            wrong.append(layer.name)
    return wrong + list(after)


def _streamed(resolved: Resolved, arrays: Iterator[tuple[str, Array]]) -> Mapping[str, Variable]:
    return {
        name: Variable(name, array.shape, "float32", partial(np.asarray, array))
        for name, array in arrays
    }


def _caffe_layers(resolved: Resolved) -> Iterator[LayerBlobs]:
    """Every layer with other numbers; constants and BatchNorm's factor as they must be."""
    constants = {
        (pair.blob.layer, pair.blob.index): pair.value.constant
        for pair in resolved.pairs
        if pair.value.constant is not None
    }
    offset = 0
    for i, entry in enumerate(resolved.plan.layers):
        if not entry.params:
            continue
        blobs = []
        for j, param in enumerate(entry.params):
            if not param.role:
                read = partial(np.ones, param.shape, np.float32)
            elif (i, j) in constants:
                read = partial(np.full, param.shape, constants[i, j], np.float32)
            else:
                read = partial(numbers, param.shape, offset)
                offset = (offset + prod(param.shape)) % _COUNT
            blobs.append(Blob(param.shape, read))
        yield LayerBlobs(entry.layer.name, entry.layer.type, Blobs(blobs))
