"""Variables that Caffe has no blob for, and that change nothing: a bias of 0, a gamma of 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from tfcaffe.errors import UnsupportedError
from tfcaffe.mapping.pairs import Blob
from tfcaffe.mapping.proposal.assignment import Assigned
from tfcaffe.mapping.proposal.scopes import Known
from tfcaffe.variables.base import Variable

NEUTRAL = {"bias": 0.0, "beta": 0.0, "gamma": 1.0}  # by role


@dataclass(frozen=True)
class Extra:
    """A variable beside those of a unit that has no blob for it.

    Args:
        number: what it has to be everywhere, so that it changes nothing.
        certain: whether the unit is.
    """

    name: str
    number: float
    certain: bool


@dataclass(frozen=True)
class Neutral:
    """A variable that is left out since it is one number everywhere.

    Args:
        others: blobs that it could also be.
    """

    name: str
    number: float
    certain: bool
    reason: str
    others: tuple[str, ...] = ()


def extras_of(pair: Assigned, certain: bool) -> Iterator[Extra]:
    """The variables of a pair that have no blob, and tell by their names what they do."""
    for role, number in NEUTRAL.items():
        known = pair.scope.roles.get(role)
        if known is not None and known in pair.fit.extra:
            for name in known.names:
                yield Extra(name, number, certain)


def neutrals(
    extras: Iterable[Extra],
    lone: Iterable[Known],
    variables: Mapping[str, Variable],
    empty: Iterable[Blob],
) -> Iterator[Neutral]:
    """Those of the extras that have no place, and are what they have to be.

    Args:
        lone: variables without a place; only the extras among them are read.
        empty: blobs for which no variable was found.

    Raises:
        ConversionError: the file is damaged.
    """
    without_place = {known.name for known in lone}
    empty = list(empty)
    for extra in extras:
        variable = variables[extra.name]
        if extra.name not in without_place or not _is(variable, extra.number):
            continue
        size = prod(variable.shape)
        others = tuple(str(blob) for blob in empty if prod(blob.param.shape) == size)
        why = "the layer has no blob for it"
        if not extra.certain:
            why += ", if it is this layer"
        elif others:
            why += ", but another has"
        yield Neutral(extra.name, extra.number, extra.certain and not others, why, others)


def _is(variable: Variable, number: float) -> bool:
    """Whether a variable is this number everywhere."""
    try:
        numbers = variable.floats()
    except UnsupportedError:
        return False
    return bool(np.all(numbers == np.float32(number)))
