"""Numbers through a mapping: variables become Caffe's blobs, and blobs become variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from tfcaffe.bind import Binding
from tfcaffe.errors import MappingError
from tfcaffe.files.weights import Blob, Blobs, LayerBlobs
from tfcaffe.layers.base import Param
from tfcaffe.layout import Shape
from tfcaffe.mapping.pairs import PARTS, Pair
from tfcaffe.mapping.resolve import Resolved
from tfcaffe.memory_order import Apart
from tfcaffe.progress import Watch, unwatched
from tfcaffe.variables.base import Variable

Floats = NDArray[np.float32]


def to_layers(
    resolved: Resolved,
    variables: Mapping[str, Variable],
    base: Binding | None = None,
    watch: Watch = unwatched,
) -> Iterator[LayerBlobs]:
    """The layers of a caffemodel; each blob is read and laid out when it is written.

    Args:
        base: what the mapping leaves out keeps these numbers.
        watch: is told how many numbers were taken.

    Raises:
        MappingError: a variable that has to be one number is not.
    """
    check_variables(resolved, variables)
    pairs = {(pair.blob.layer, pair.blob.index): pair for pair in resolved.pairs}
    done, total = 0, _numbers(p for entry in resolved.plan.layers for p in entry.params)
    for i, entry in enumerate(resolved.plan.layers):
        if not entry.params:
            continue
        blobs = []
        for owner, param in zip(entry.owners, entry.params, strict=True):
            pair = pairs.get(owner)
            read: Callable[[], Floats]
            if not param.role:
                read = param.unspoken
            elif pair is not None:
                read = partial(_blob, pair, variables)
            else:
                assert base is not None
                read = partial(_based, base, owner, param.role)
            blobs.append(Blob(param.shape, read, rows=_rows(pair, variables)))
        layer = resolved.plan.net.layers[i]
        watch(layer.name, done, total)
        done += _numbers(entry.params)
        yield LayerBlobs(layer.name, layer.type, Blobs(blobs), layer.bottoms, layer.tops)


def to_variables(
    resolved: Resolved, binding: Binding, watch: Watch = unwatched
) -> Iterator[tuple[str, Floats | Apart]]:
    """Every variable that the mapping names, with its numbers.

    A folded variable comes back as 0, since Caffe has only the sum.

    Args:
        watch: is told how many numbers were taken.

    Raises:
        MappingError: a blob for which there is no variable is not the constant that it must be.
    """
    resolved.check_sizes()
    values: tuple[int, Mapping[str, Floats]] = (-1, {})
    halves: dict[str, dict[int, Floats]] = {}
    done, total = 0, _numbers(pair.blob.param for pair in resolved.pairs)
    for pair in sorted(resolved.pairs, key=lambda pair: pair.blob.layer):
        watch(str(pair.blob), done, total)
        done += _numbers([pair.blob.param])
        if values[0] != pair.blob.layer:
            values = (pair.blob.layer, binding.values(pair.blob.layer))
        blob = values[1][pair.blob.role]
        if pair.transform is None:
            _check_constant(pair, blob)
            continue
        if (part := pair.transform.part) is not None:
            found = halves.setdefault(pair.variables[0], {})
            (found[part.first],) = pair.transform.to_tf(blob)
            if len(found) == len(PARTS):
                both = [half for _, half in sorted(halves.pop(pair.variables[0]).items())]
                yield pair.variables[0], np.concatenate(both, part.axis)
            continue
        if pair.transform.only_moves:
            yield pair.variables[0], pair.transform.tf_apart(blob)
        else:
            yield from zip(pair.variables, pair.transform.to_tf(blob), strict=True)
        if pair.minus:
            yield pair.minus, np.zeros(blob.shape, np.float32)


def check_variables(resolved: Resolved, variables: Mapping[str, Variable]) -> None:
    """Raises:
    MappingError: a variable that is left out, and has to be one number for that, is not.
    """
    for name, said in resolved.zeros.items():
        what = f"{said.place}: the variable {name}"
        _check_equal(variables[name].floats(), said.must_be or 0.0, what, "must_be")


def check_blobs(resolved: Resolved, binding: Binding) -> None:
    """Raises:
    MappingError: a blob for which there is no variable is not the constant that it must be.
    """
    for pair in resolved.pairs:
        if pair.transform is None:
            _check_constant(pair, binding.values(pair.blob.layer)[pair.blob.role])


def variable_shapes(resolved: Resolved) -> dict[str, Shape]:
    """Name and shape of every variable that `to_variables` gives."""
    found: dict[str, Shape] = {}
    for pair in resolved.pairs:
        if pair.transform is not None:
            found.update(zip(pair.variables, pair.transform.variable_shapes, strict=True))
            if pair.minus:
                found[pair.minus] = pair.blob.param.shape
    return found


def _blob(pair: Pair, variables: Mapping[str, Variable]) -> Floats:
    if pair.transform is None:
        return np.full(pair.blob.param.shape, pair.value.constant, np.float32)
    blob = pair.transform.to_caffe([variables[name].floats() for name in pair.variables])
    return blob - variables[pair.minus].floats() if pair.minus else blob


def _rows(
    pair: Pair | None, variables: Mapping[str, Variable]
) -> Callable[[], Iterator[Floats]] | None:
    """A large blob in pieces, where that is possible."""
    transform = pair.transform if pair and not pair.minus else None
    if pair is None or transform is None or not transform.only_moves:
        return None
    (name,) = pair.variables
    return lambda: transform.caffe_rows(variables[name].floats())


def _numbers(params: Iterable[Param]) -> int:
    return max(1, sum(prod(param.shape) for param in params))


def _based(base: Binding, owner: tuple[int, int], role: str) -> Floats:
    return base.values(owner[0])[role]


def _check_constant(pair: Pair, blob: Floats) -> None:
    what = f"{pair.value.place}: the blob {pair.blob}"
    _check_equal(blob, pair.value.constant or 0.0, what, "constant")


def _check_equal(array: Floats, value: float, what: str, word: str) -> None:
    departing = np.flatnonzero(array != np.float32(value))
    if departing.size:
        raise MappingError(
            f"{what} is not {value:g} everywhere, as the mapping's `{word}` says: "
            f"{departing.size} of its {array.size} numbers differ, the first is "
            f"{array.flat[departing[0]]:g}; the other side has no place for them"
        )
