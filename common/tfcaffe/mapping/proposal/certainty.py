"""When a guess is certain. What is not proven by names or shapes is a guess, however likely.

A pair is certain in three cases: the names are the same; nothing else has these shapes; or names
number a family of pairs alike on both sides, and every other pair that the shapes would allow
contradicts that. All else is uncertain, also where it is the best there is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

from tfcaffe.mapping.proposal.assignment import Assigned, Field
from tfcaffe.mapping.proposal.likeness import Index
from tfcaffe.plan import Plan

SAME_NAME = "the same name"
_LEAST = 3  # pairs that make a family
_CLASSES = 5  # of shapes: by chance one of 120 orders is the net's
_ALIKE = 0.3  # names, where shapes alone say it but something is left over
_SHOWN = 3


@dataclass(frozen=True)
class Verdict:
    """How sure a pair is, why, and the scopes that it could also be (by number)."""

    certain: bool
    reason: str
    rivals: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class _Family:
    """Pairs whose names have the same words on each side.

    Args:
        natural: each number of the one name goes with one of the other, a fixed step apart.
        steps: those steps, and whether the numbers are written alike.
        rising: both sides count up in the net's order, over enough different shapes.
    """

    members: tuple[Assigned, ...]
    natural: bool
    same: bool
    rising: bool


def verdicts(field: Field, pairs: Sequence[Assigned], plan: Plan) -> dict[Assigned, Verdict]:
    """How sure each pair is."""
    families = _families(field, pairs)
    by_unit, by_scope = {p.i: p for p in pairs}, {p.j: p for p in pairs}
    complete = len(pairs) == len(field.units) == len(field.scopes)
    same = _same_names(field, pairs)
    above = _ancestors(plan)

    def series(a: Assigned, b: Assigned) -> bool:
        first, last = sorted((a.unit.at, b.unit.at))
        return bool(above[last] >> first & 1)

    def apart(pair: Assigned, other: Assigned) -> bool:
        """Whether the names rule out that the two pairs change partners."""
        mine, theirs = families[pair], families[other]
        if mine is theirs:
            return (mine.natural or mine.rising) and (mine.same or series(pair, other))
        return (
            mine.natural
            and theirs.natural
            and _anchored(field, mine, theirs)
            and _anchored(field, theirs, mine)
        )

    def judged(pair: Assigned) -> Verdict:
        scopes = [j for j in field.scopes_of[pair.i] if j != pair.j]
        units = [i for i in field.units_of[pair.j] if i != pair.i]
        if pair in same:
            return Verdict(True, SAME_NAME)
        if not scopes and not units:
            if complete or pair.like > _ALIKE:
                return Verdict(True, "nothing else has these shapes")
            return Verdict(False, "only its shapes say so, and other things are left over")
        others = [by_scope.get(j) for j in scopes] + [by_unit.get(i) for i in units]
        family = families[pair]
        if all(other is not None and apart(pair, other) for other in others):
            how = "numbered alike" if family.natural else "counted in the same order"
            return Verdict(True, how)
        likeliest = sorted(scopes, key=lambda j: field.costs[pair.i, j])
        return Verdict(False, _why(field, pair, others), tuple(likeliest))

    return {pair: judged(pair) for pair in pairs}


def _why(field: Field, pair: Assigned, others: Sequence[Assigned | None]) -> str:
    if None in others:
        return "by name and order; something of these shapes is left over"
    cost = field.costs[pair.i, pair.j]
    better = any(field.costs[pair.i, j] < cost for j in field.scopes_of[pair.i])
    return "by exclusion: others need what is more like it" if better else "by name and order"


def _same_names(field: Field, pairs: Sequence[Assigned]) -> set[Assigned]:
    """Pairs of one name (the scope's last component counts, too) that nobody else has."""
    found: set[Assigned] = set()
    mine = Counter(unit.name.small for unit in field.units)
    for theirs in ([n.small for n in field.names], [n.last for n in field.names]):
        count = Counter(theirs)
        found |= {
            pair
            for pair in pairs
            if pair.unit.name.small == theirs[pair.j]
            and count[theirs[pair.j]] == 1
            and mine[pair.unit.name.small] == 1
        }
    return found


def _families(field: Field, pairs: Sequence[Assigned]) -> dict[Assigned, _Family]:
    groups: dict[object, list[Assigned]] = defaultdict(list)
    for pair in pairs:
        groups[pair.unit.name.skeleton, field.names[pair.j].skeleton].append(pair)
    found = {}
    for members in groups.values():
        family = _family(field, tuple(members))
        found.update(dict.fromkeys(members, family))
    return found


def _family(field: Field, members: tuple[Assigned, ...]) -> _Family:
    mine = [pair.unit.name.indexes for pair in members]
    theirs = [field.names[pair.j].indexes for pair in members]
    if len(members) < _LEAST:
        return _Family(members, False, False, False)
    steps = _steps(mine, theirs)
    natural = steps is not None and not _turnable(field, members, steps)
    same = natural and all(
        a[i].text.lower() == b[j].text.lower()
        for a, b in zip(mine, theirs, strict=True)
        for i, j in steps or ()
    )
    ordered = sorted(members, key=lambda pair: pair.unit.at)
    classes = {tuple(field.scopes_of[pair.i]) for pair in members}
    rising = len(classes) >= _CLASSES and all(
        _values(a.unit.name.indexes) < _values(b.unit.name.indexes)
        and _values(field.names[a.j].indexes) < _values(field.names[b.j].indexes)
        for a, b in pairwise(ordered)
    )
    return _Family(members, natural, same, rising)


def _values(indexes: Sequence[Index]) -> tuple[int, ...]:
    return tuple(i.value for i in indexes)


def _steps(
    mine: Sequence[Sequence[Index]], theirs: Sequence[Sequence[Index]]
) -> list[tuple[int, int]] | None:
    """Which place of the one name counts like which of the other; None if they do not."""
    left = [k for k in range(len(mine[0])) if len({row[k].text for row in mine}) > 1]
    right = [k for k in range(len(theirs[0])) if len({row[k].text for row in theirs}) > 1]
    if len(left) != len(right) or not left:
        return None
    for order in permutations(right) if len(right) <= _SHOWN else [tuple(right)]:
        found = list(zip(left, order, strict=True))
        if all(_stepping(mine, theirs, i, j) for i, j in found):
            return found
    return None


def _stepping(
    mine: Sequence[Sequence[Index]], theirs: Sequence[Sequence[Index]], i: int, j: int
) -> bool:
    steps = {b[j].value - a[i].value for a, b in zip(mine, theirs, strict=True)}
    return len(steps) == 1


def _turnable(field: Field, members: Sequence[Assigned], steps: Sequence[tuple[int, int]]) -> bool:
    """Whether the shapes would also allow that the numbers stand in another order."""
    known = {_values(field.names[pair.j].indexes): pair.j for pair in members}
    places = [j for _, j in steps]
    for order in permutations(places):
        if list(order) == places:
            continue
        for pair in members:
            values = list(_values(field.names[pair.j].indexes))
            turned = list(values)
            for place, source in zip(places, order, strict=True):
                turned[place] = values[source]
            other = known.get(tuple(turned))
            if other is None or (pair.i, other) not in field.fits:
                break
        else:
            return True
    return False


def _anchored(field: Field, family: _Family, other: _Family) -> bool:
    """Whether a member's shapes fit none of the other family's scopes."""
    scopes = {pair.j for pair in other.members}
    return any(not scopes & set(field.scopes_of[pair.i]) for pair in family.members)


def _ancestors(plan: Plan) -> list[int]:
    """For each layer, the layers that it depends on, as bits."""
    found: list[int] = []
    for sources in plan.net.sources:
        bits = 0
        for source in sources:
            bits |= found[source.layer] | 1 << source.layer
        found.append(bits)
    return found
