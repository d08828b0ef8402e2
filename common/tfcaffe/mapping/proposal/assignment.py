"""Units to scopes, one to one, at the least cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfcaffe.mapping.proposal.fits import Fit, Fits
from tfcaffe.mapping.proposal.likeness import (
    Name,
    common_prefix,
    counters,
    keras_name,
    similarity,
)
from tfcaffe.mapping.proposal.scopes import Scope
from tfcaffe.mapping.proposal.units import CaffeUnit
from tfcaffe.variables.base import natural

_NEVER = 1e6
_NAME, _RANK, _LEFT = 1.0, 0.3, 0.2  # what unlike names, a rank off, a variable left over cost
_SAME = 2.0  # how alike the same name is; all else is 1 at most
_FARTHEST = 6  # ranks; beyond that, farther is not worse
_LEARNED = 0.7
_ROUNDS = 2  # of learning which words go together


@dataclass(frozen=True, eq=False)
class Assigned:
    """A unit and its scope.

    Args:
        i, j: their numbers in the `Field`.
        like: how alike their names are, from 0 to 1.
    """

    i: int
    j: int
    unit: CaffeUnit
    scope: Scope
    fit: Fit
    like: float


class Field:
    """All units and scopes, with what can be paired and what it costs.

    Args:
        scopes: in the file's order.
    """

    def __init__(self, units: Sequence[CaffeUnit], scopes: Sequence[Scope], fits: Fits) -> None:
        self.units, self.scopes = units, scopes
        prefix = common_prefix([scope.name.text + "/" for scope in scopes])
        self.names = [keras_name(scope.name.text.removeprefix(prefix)) for scope in scopes]
        self.counters = counters(self.names)
        self.fits: dict[tuple[int, int], Fit] = {}
        for i, unit in enumerate(units):
            for j, scope in enumerate(scopes):
                found = fits.fit(unit, scope)
                if found is not None:
                    self.fits[i, j] = found
        self.scopes_of: dict[int, list[int]] = defaultdict(list)
        self.units_of: dict[int, list[int]] = defaultdict(list)
        for i, j in self.fits:
            self.scopes_of[i].append(j)
            self.units_of[j].append(i)

    @cached_property
    def is_sorted(self) -> bool:
        """Whether the file has its scopes by name, so that their order tells nothing more."""
        texts = [scope.name.text for scope in self.scopes]
        return texts == sorted(texts)

    @cached_property
    def order(self) -> dict[int, int]:
        """The place of each scope in the order that agrees best with the net's.

        That is the file's own or, with numbers as numbers, that of the names. A checkpoint's own
        is none: it is sorted, `conv10` before `conv2`.
        """
        texts = [scope.name.text for scope in self.scopes]
        as_is = list(range(len(texts)))
        by_name = sorted(as_is, key=lambda j: natural(texts[j]))
        best = by_name if self.is_sorted else max((as_is, by_name), key=self._agreement)
        return {j: place for place, j in enumerate(best)}

    @cached_property
    def costs(self) -> dict[tuple[int, int], float]:
        """What each possible pair costs, by names, ranks and what is left over."""
        ranks = dict(self._ranks())
        return {
            (i, j): _NAME * (1 - self.like(i, j))
            + _RANK * min(ranks[i, j], _FARTHEST)
            + _LEFT * (len(fit.missing) + len(fit.extra))
            for (i, j), fit in self.fits.items()
        }

    def counted(self, j: int, k: int) -> bool:
        """Whether the last number is all that tells two scopes apart."""
        mine, theirs = self.names[j], self.names[k]
        alike = mine.skeleton == theirs.skeleton and mine.indexes[:-1] == theirs.indexes[:-1]
        return alike or self.counters[j] == self.counters[k]

    def like(self, i: int, j: int) -> float:
        """How alike two names are; twice 1 for the same one."""
        mine, theirs = self.units[i].name, self.names[j]
        if mine.small == theirs.small:
            return _SAME
        return similarity(mine, theirs)

    def assigned(self) -> list[Assigned]:
        """The pairs of least cost, in the net's order.

        Words and numbers that go together throughout a first assignment cost less in the next.
        """
        pairs = self._solved(self.costs)
        for _ in range(_ROUNDS):
            pairs = self._solved(self._learned(pairs))
        pairs = self._counted(pairs)
        return [
            Assigned(i, j, self.units[i], self.scopes[j], self.fits[i, j], min(1, self.like(i, j)))
            for i, j in sorted(pairs)
        ]

    def _solved(self, costs: dict[tuple[int, int], float]) -> list[tuple[int, int]]:
        from scipy.optimize import linear_sum_assignment

        matrix = np.full((len(self.units), len(self.scopes)), _NEVER)
        for at, cost in costs.items():
            matrix[at] = cost
        rows, columns = linear_sum_assignment(matrix)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return [pair for pair in pairs if pair in costs]

    def _counted(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """The pairs, with counters in the net's order where shapes would allow any.

        A counter counts in the order in which layers were made, but from anywhere: `conv2d_2` need
        not be `conv2`. Only where each name has its equal, that says more than the order does.
        """
        groups: dict[object, list[tuple[int, int]]] = defaultdict(list)
        for i, j in pairs:
            fit = self.fits[i, j]
            left = tuple(blob.role for blob in fit.missing), len(fit.extra)
            groups[tuple(self.scopes_of[i]), self.counters[j], left].append((i, j))
        found = []
        for members in groups.values():
            if any(self.like(i, j) < _SAME for i, j in members):
                units, scopes = zip(*members, strict=True)
                members = list(
                    zip(sorted(units), sorted(scopes, key=self.order.__getitem__), strict=True)
                )
            found += members
        return found

    def _learned(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], float]:
        """The costs, less what the pairs of a first assignment say about each pair."""
        words = _Together(
            [_features(unit.name) for unit in self.units],
            [_features(name) for name in self.names],
            pairs,
        )
        families = _Together(
            [[unit.name.skeleton] for unit in self.units],
            [[name.skeleton] for name in self.names],
            pairs,
        )
        return {
            at: cost - _LEARNED * (words.share(*at) + families.share(*at))
            for at, cost in self.costs.items()
        }

    def _ranks(self) -> Iterator[tuple[tuple[int, int], float]]:
        """How far apart the two of a pair are, counted among those of their shapes."""
        classes: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i in range(len(self.units)):
            classes[tuple(self.scopes_of[i])].append(i)
        for columns, rows in classes.items():
            sorted_columns = sorted(columns, key=lambda j: self.order[j])
            stretch = len(columns) / len(rows)
            for r, i in enumerate(rows):
                for s, j in enumerate(sorted_columns):
                    yield (i, j), abs((r + 0.5) * stretch - s - 0.5)

    def _agreement(self, order: Sequence[int]) -> int:
        """How many pairs fit, one after the other, in both orders."""
        before = [0] * (len(order) + 1)
        for i in range(len(self.units)):
            row, possible = [0], set(self.scopes_of[i])
            for at, j in enumerate(order):
                both = before[at] + 1 if j in possible else 0
                row.append(max(both, before[at + 1], row[at]))
            before = row
        return before[-1]


class _Together:
    """How often what the units have, and what the scopes have, stand together in pairs."""

    def __init__(
        self,
        mine: Sequence[Sequence[object]],
        theirs: Sequence[Sequence[object]],
        pairs: Sequence[tuple[int, int]],
    ) -> None:
        self._mine, self._theirs = mine, theirs
        self._left = Counter(f for i, _ in pairs for f in set(mine[i]))
        self._right = Counter(g for _, j in pairs for g in set(theirs[j]))
        self._both = Counter((f, g) for i, j in pairs for f in set(mine[i]) for g in set(theirs[j]))

    def share(self, i: int, j: int) -> float:
        """From 0 to 1: whether what the unit has is mostly where what the scope has is."""
        if not self._mine[i]:
            return 0.0
        best = [max((self._of(f, g) for g in self._theirs[j]), default=0.0) for f in self._mine[i]]
        return sum(best) / len(best)

    def _of(self, f: object, g: object) -> float:
        both = self._both[f, g]
        return both * both / (self._left[f] * self._right[g]) if both else 0.0


def _features(name: Name) -> list[object]:
    """A name's words, and its numbers with the words that it has."""
    words: list[object] = [*name.words]
    numbers: list[object] = [(name.words, k, i.text) for k, i in enumerate(name.indexes)]
    return words + numbers
