"""A mapping proposed from names, shapes and order, with a reason for each pair.

What neither names nor shapes prove is marked as uncertain, with what else it could be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from tfcaffe.mapping.pairs import Blob, blobs_of
from tfcaffe.mapping.proposal.assignment import Assigned, Field
from tfcaffe.mapping.proposal.cells import with_parts
from tfcaffe.mapping.proposal.certainty import verdicts
from tfcaffe.mapping.proposal.fits import Fits
from tfcaffe.mapping.proposal.guesses import Guess, guesses_of, with_folds, with_layouts
from tfcaffe.mapping.proposal.halves import with_halves
from tfcaffe.mapping.proposal.neutral import Extra, Neutral, extras_of, neutrals
from tfcaffe.mapping.proposal.scopes import Known, Scope, scopes
from tfcaffe.mapping.proposal.units import CaffeUnit, caffe_units
from tfcaffe.mapping.sides import AnyPath, SideOptions, read_net, read_variables
from tfcaffe.plan import Plan
from tfcaffe.variables.base import Variable

_MOST = 0.9  # of the blobs; a net with heads of its own has others left over


@dataclass(frozen=True)
class Proposal:
    """What `propose` found.

    Args:
        guesses: in the net's order.
        variables: all that may get a place.
        lone_blobs, lone_variables: what nothing was found for.
        neutral: variables that are left out since they change nothing.
        wanted: what some of the lone variables would have to be, to be left out.
        apart: variables of training alone, which need no entry.
    """

    plan: Plan
    guesses: tuple[Guess, ...]
    variables: tuple[Known, ...]
    lone_blobs: tuple[Blob, ...]
    lone_variables: tuple[Known, ...]
    neutral: tuple[Neutral, ...]
    wanted: Mapping[str, float]
    apart: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything has its place."""
        return not self.lone_blobs and not self.lone_variables


def propose(net: AnyPath, checkpoint: AnyPath, **options: Unpack[SideOptions]) -> Proposal:
    """Which variable is which blob, by names, shapes and order.

    Args:
        net: the prototxt.
        checkpoint: a file of variables; numbers are read only of those that have no blob.
        options: `SideOptions` has them all.

    Raises:
        ConversionError: a file is missing, damaged or wrong.
    """
    plan = read_net(net, **options)
    variables = read_variables(checkpoint, **options)
    found = proposed(plan, variables.entries.values())
    return replace(found, notes=(*plan.net.notes, *variables.notes))


def proposed(plan: Plan, variables: Iterable[Variable]) -> Proposal:
    """The proposal for a net and variables, which come in their file's order."""
    variables = list(variables)
    known = [Known(v.name, v.shape) for v in variables if not v.role]
    blobs = list(blobs_of(plan))
    fits = Fits(blobs, known)
    guesses: dict[Blob, Guess] = {}
    used: set[str] = set()
    assigned: list[Assigned] = []
    extras: dict[str, Extra] = {}

    def take(field: Field, pairs: Sequence[Assigned], *, first: bool = False) -> None:
        judged = verdicts(field, pairs, plan)
        assigned.extend(pairs)
        for pair in pairs:
            verdict = judged[pair]
            if not first:
                why = f"{verdict.reason} among what was left over"
                verdict = replace(verdict, certain=False, reason=why)
            for extra in extras_of(pair, verdict.certain):
                extras.setdefault(extra.name, extra)
            for guess in guesses_of(pair, verdict, field):
                guesses[guess.blob] = guess
                used.update(guess.names)

    take(*_first(plan, blobs, known, fits), first=True)
    for alone in (False, True):
        left_blobs = [blob for blob in blobs if blob not in guesses]
        left = [variable for variable in known if variable.name not in used]
        if left_blobs and left:
            units, groups = caffe_units(plan, left_blobs), scopes(left, merged=False)
            if alone:
                units, groups = _singles(units), [_single(variable) for variable in left]
            field = Field(units, groups, fits)
            take(field, field.assigned())
    found = with_folds([guesses[b] for b in blobs if b in guesses], assigned, plan)
    whole = tuple(with_layouts(list(found), fits))
    used.update(guess.minus for guess in whole)
    lone_blobs = tuple(blob for blob in blobs if blob not in guesses)
    empty = (*lone_blobs, *(g.blob for g in whole if not g.names and not g.certain))
    lone = [variable for variable in known if variable.name not in used]
    by_name = {variable.name: variable for variable in variables}
    neutral = tuple(neutrals(extras.values(), lone, by_name, empty))
    used.update(variable.name for variable in neutral)
    return Proposal(
        plan,
        whole,
        tuple(known),
        lone_blobs,
        tuple(variable for variable in lone if variable.name not in used),
        neutral,
        {extra.name: extra.number for extra in extras.values() if extra.name not in used},
        tuple(v.name for v in variables if v.role),
    )


def _first(
    plan: Plan, blobs: Sequence[Blob], known: Sequence[Known], fits: Fits
) -> tuple[Field, list[Assigned]]:
    """Units with scopes: BatchNorms with their kernels, or apart where that leaves less over."""
    found = []
    for merged in (True, False):
        groups = scopes(known, merged=merged)
        units = caffe_units(plan, blobs, groups)
        groups = with_parts(with_halves(groups, units, plan, fits), units, fits)
        field = Field(units, groups, fits)
        pairs = field.assigned()
        placed = sum(len(pair.unit.blobs) for pair in pairs)
        found.append((field, pairs, placed))
        if placed > _MOST * len(blobs) or not any(scope.joined for scope in groups):
            return field, pairs
    return max(found, key=lambda way: way[2])[:2]


def _singles(units: Sequence[CaffeUnit]) -> list[CaffeUnit]:
    """Each blob alone."""
    return [replace(unit, blobs={role: b}) for unit in units for role, b in unit.blobs.items()]


def _single(variable: Known) -> Scope:
    """A variable alone, whose role nobody knows."""
    (scope,) = scopes([variable], merged=False)
    return replace(scope, roles={}, others=(variable,))
