"""Recurrent cells with one kernel for input and state, which is two of Caffe's blobs.

TF1's cells have it: `[inputs + units, …]`, the input's rows first. Source: rnn_cell_impl.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tfcaffe.mapping.pairs import PARTS
from tfcaffe.mapping.proposal.fits import Fits
from tfcaffe.mapping.proposal.scopes import Known, Scope
from tfcaffe.mapping.proposal.units import CaffeUnit

_WORDS = {"lstm", "rnn", "cell"}  # one of them calls a cell


def with_parts(scopes: Sequence[Scope], units: Sequence[CaffeUnit], fits: Fits) -> list[Scope]:
    """The scopes, with a kernel in two parts where that makes it a recurrent layer's.

    It does if its name calls it a cell, or if nothing else has its shape.
    """
    cells = [unit for unit in units if _is_cell(unit)]
    return [_apart(scope, cells, units, fits) for scope in scopes] if cells else list(scopes)


def _is_cell(unit: CaffeUnit) -> bool:
    """Whether a kernel of two parts is all that it has."""
    return set(PARTS.values()) <= unit.blobs.keys() and "static_input_weights" not in unit.blobs


def _apart(
    scope: Scope, cells: Sequence[CaffeUnit], units: Sequence[CaffeUnit], fits: Fits
) -> Scope:
    kernel = scope.roles.get("weights")
    if kernel is None:
        return scope
    if not _WORDS & set(scope.name.last) and any(fits.fit(unit, scope) for unit in units):
        return scope
    ways = {tuple(_parts(kernel, cell)) for cell in cells} - {()}
    if len(ways) != 1:
        return scope
    roles = {role: known for role, known in scope.roles.items() if known is not kernel}
    for part in ways.pop():
        roles[PARTS[part.part]] = part
    return replace(scope, roles=roles)


def _parts(kernel: Known, cell: CaffeUnit) -> Iterator[Known]:
    """The kernel as the cell's two blobs; nothing if it has another shape."""
    shapes = [cell.blobs[role].param.shape for role in PARTS.values()]
    rows, sizes = shapes[0][0], [columns for _, columns in shapes]
    if kernel.shape == (sum(sizes), rows):
        for part, size in zip(PARTS, sizes, strict=True):
            yield Known(kernel.name, (size, rows), part=part)
