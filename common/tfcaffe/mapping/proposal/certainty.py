"""When a guess is certain. What is not proven by names or shapes is a guess, however likely.

A pair is certain in three cases: nothing else has these shapes; the names are the same; or names
number a family of pairs alike on both sides, and every other pair that the shapes would allow
contradicts that. Names and numbers prove nothing where the order contradicts them, nor equal
numbers where one side may count from elsewhere: `conv2d_2` is often the third. All else is
uncertain, also where it is the best there is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

from tfcaffe.mapping.proposal.assignment import Assigned, Field
from tfcaffe.mapping.proposal.likeness import Index
from tfcaffe.plan import Plan

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
        same: the numbers are written alike.
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
    whole = len(pairs) in (len(field.units), len(field.scopes))  # one side has its partners
    same, broken = _same_names(field, pairs)
    above = _ancestors(plan)

    def series(a: Assigned, b: Assigned) -> bool:
        first, last = sorted((a.unit.at, b.unit.at))
        return bool(above[last] >> first & 1)

    def crossed(pair: Assigned, other: Assigned) -> bool:
        """Whether the net has the two in one order, and the file in the other."""
        return (pair.i < other.i) != (field.order[pair.j] < field.order[other.j])

    def free(pair: Assigned, other: Assigned, *, told: bool = True) -> bool:
        """Whether the graph lets a counter take the two in any order.

        Args:
            told: whether more than counting says which is which.
        """
        return not (told and not field.counted(pair.j, other.j)) and not series(pair, other)

    def apart(pair: Assigned, other: Assigned) -> bool:
        """Whether the names rule out that the two pairs change partners."""
        mine, theirs = families[pair], families[other]
        if crossed(pair, other) and (mine is theirs or not field.is_sorted):
            return False
        if mine is theirs:
            return (mine.natural or mine.rising) and not free(pair, other, told=mine.same)
        return (
            mine.natural
            and theirs.natural
            and _anchored(field, mine, theirs)
            and _anchored(field, theirs, mine)
        )

    def named(pair: Assigned, scopes: Sequence[int], units: Sequence[int]) -> bool:
        """Whether its name says which it is, and not only a number that counts from somewhere."""
        if pair not in same or pair.unit.name.words in broken:
            return False
        words, theirs = pair.unit.name.words, field.names[pair.j].words
        kin = [by_scope.get(j) for j in scopes if field.names[j].words == theirs]
        kin += [by_unit.get(i) for i in units if field.units[i].name.words == words]
        if not all(other in same for other in kin):
            return False
        others = [by_scope.get(j) for j in scopes] + [by_unit.get(i) for i in units]
        return not any(crossed(pair, o) or free(pair, o) for o in others if o is not None)

    def judged(pair: Assigned) -> Verdict:
        scopes = [j for j in field.scopes_of[pair.i] if j != pair.j]
        units = [i for i in field.units_of[pair.j] if i != pair.i]
        if named(pair, scopes, units):
            return Verdict(True, "the same name")
        if not scopes and not units:
            family = families[pair]
            if whole or pair in same or ((family.natural or family.rising) and pair.like > _ALIKE):
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
    better = [j for j in field.scopes_of[pair.i] if field.costs[pair.i, j] < cost]
    if not better:
        return "by name and order"
    if any(field.counted(pair.j, j) for j in better):
        return "by order, as a counter may begin anywhere"
    return "by exclusion: others need what is more like it"


def _same_names(
    field: Field, pairs: Sequence[Assigned]
) -> tuple[set[Assigned], set[tuple[str, ...]]]:
    """Pairs of one name (the scope's last component counts, too) that nobody else has.

    With the words of names that are on both sides and are no pair: there, a name says little.
    """
    by_place = {(pair.i, pair.j): pair for pair in pairs}
    found: set[Assigned] = set()
    broken: set[tuple[str, ...]] = set()
    units = _alone([unit.name.small for unit in field.units])
    for theirs in ([n.small for n in field.names], [n.last for n in field.names]):
        scopes = _alone(theirs)
        for name in units.keys() & scopes.keys():
            pair = by_place.get((units[name], scopes[name]))
            if pair is None:
                broken.add(field.units[units[name]].name.words)
            else:
                found.add(pair)
    return found, broken


def _alone(names: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """The place of each name that is there once."""
    count = Counter(names)
    return {name: i for i, name in enumerate(names) if count[name] == 1}


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
