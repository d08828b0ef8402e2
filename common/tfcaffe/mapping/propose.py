"""A mapping proposed from names, shapes and order, with a reason for each pair.

What neither names nor shapes prove is marked as uncertain, with what else it could be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from tfcaffe.mapping.assignment import Assigned, Field
from tfcaffe.mapping.certainty import SAME_NAME, Verdict, verdicts
from tfcaffe.mapping.fits import Fit, Fits, layouts
from tfcaffe.mapping.resolve import Blob, blobs_of
from tfcaffe.mapping.scopes import Known, Scope, scopes
from tfcaffe.mapping.sides import AnyPath, SideOptions, read_net, read_variables
from tfcaffe.mapping.units import CaffeUnit, caffe_units
from tfcaffe.plan import Plan
from tfcaffe.variables.base import Variable

_NEUTRAL = {"bias": 0.0, "beta": 0.0, "gamma": 1.0}  # what a blob without a variable is
_MOST = 0.9  # of the blobs; a net with heads of its own has others left over


@dataclass(frozen=True)
class Guess:
    """What a blob probably is.

    Args:
        variable: its name; "" for a constant.
        constant: the blob's number where there is no variable.
        minus: a variable that is folded in.
        layout: what the entry says of the layout, as `layout: HWIO`; "" for the usual one.
        certain: whether names or shapes leave no other.
        reason: why this one.
        others: what else it could be, the likeliest first.
    """

    blob: Blob
    variable: str = ""
    constant: float | None = None
    minus: str = ""
    layout: str = ""
    certain: bool = False
    reason: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """What `propose` found.

    Args:
        guesses: in the net's order.
        variables: all that may get a place.
        lone_blobs, lone_variables: what nothing was found for.
        apart: variables of training alone, which need no entry.
    """

    plan: Plan
    guesses: tuple[Guess, ...]
    variables: tuple[Known, ...]
    lone_blobs: tuple[Blob, ...]
    lone_variables: tuple[Known, ...]
    apart: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything has its place."""
        return not self.lone_blobs and not self.lone_variables


def propose(net: AnyPath, checkpoint: AnyPath, **options: Unpack[SideOptions]) -> Proposal:
    """Which variable is which blob, by names, shapes and order.

    Args:
        net: the prototxt.
        checkpoint: a file of variables; no numbers are read.
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

    def take(field: Field, pairs: Sequence[Assigned], *, first: bool = False) -> None:
        judged = verdicts(field, pairs, plan)
        for pair in pairs:
            verdict = judged[pair]
            if not first and verdict.reason != SAME_NAME:
                verdict = replace(verdict, certain=False)
            for guess in _guesses(pair, verdict, field):
                guesses[guess.blob] = guess
                used.update(filter(None, (guess.variable, guess.minus)))

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
    shapes = {variable.name: variable for variable in known}
    found = tuple(_with_layouts([guesses[b] for b in blobs if b in guesses], shapes, fits))
    return Proposal(
        plan,
        found,
        tuple(known),
        tuple(blob for blob in blobs if blob not in guesses),
        tuple(variable for variable in known if variable.name not in used),
        tuple(v.name for v in variables if v.role),
    )


def _first(
    plan: Plan, blobs: Sequence[Blob], known: Sequence[Known], fits: Fits
) -> tuple[Field, list[Assigned]]:
    """Units with scopes: BatchNorms with their kernels, or apart where that leaves less over."""
    found = []
    for merged in (True, False):
        groups = scopes(known, merged=merged)
        field = Field(caffe_units(plan, blobs, groups), groups, fits)
        pairs = field.assigned()
        placed = sum(len(pair.unit.blobs) for pair in pairs)
        found.append((field, pairs, placed))
        if placed > _MOST * len(blobs) or not any(scope.parts for scope in groups):
            return field, pairs
    return max(found, key=lambda way: way[2])[:2]


def _guesses(pair: Assigned, verdict: Verdict, field: Field) -> Iterator[Guess]:
    """The guesses for one unit's blobs."""
    fit, unit = pair.fit, pair.unit
    rivals = [field.fits[pair.i, j] for j in verdict.rivals]
    minus = next((v for v in fit.extra if v is pair.scope.roles.get("bias")), None)
    for blob, variable in fit.pairs:
        others = tuple(name for rival in rivals if (name := _variable_of(rival, blob)))
        guess = Guess(
            blob,
            variable.name,
            certain=verdict.certain,
            reason=verdict.reason,
            others=others,
        )
        if blob.role in fit.loose:
            others = tuple(v.name for v in pair.scope.variables if v is not variable)
            guess = replace(
                guess, certain=False, reason="by shape: its name does not tell its role"
            )
            guess = replace(guess, others=(*others, *guess.others))
        if blob.type.startswith(_GATED) and blob.role != "bias":
            guess = replace(
                guess, certain=False, reason=f"{guess.reason}; check the order of gates"
            )
        if minus is not None and blob.role == "mean" and unit.folds:
            why = "the layer in front has no blob for a bias, so the mean takes it in"
            guess = replace(guess, minus=minus.name, certain=False, reason=why)
        yield guess
    centred = "mean" in unit.blobs and any(b.role == "beta" for b, _ in fit.pairs)
    for blob in fit.missing:
        if blob.role in _NEUTRAL:
            usual = blob.role == "gamma" and centred
            reason = (
                "a BatchNorm without scale: it has a beta, and no gamma"
                if usual
                else "no variable of this role was found beside the others"
            )
            yield Guess(
                blob,
                constant=_NEUTRAL[blob.role],
                certain=usual and verdict.certain,
                reason=reason,
            )


_GATED = ("LSTM", "RNN", "Lstm")


def _variable_of(fit: Fit, blob: Blob) -> str:
    return next((variable.name for mine, variable in fit.pairs if mine is blob), "")


def _singles(units: Sequence[CaffeUnit]) -> list[CaffeUnit]:
    """Each blob alone."""
    return [replace(unit, blobs={role: b}) for unit in units for role, b in unit.blobs.items()]


def _single(variable: Known) -> Scope:
    """A variable alone, whose role nobody knows."""
    (scope,) = scopes([variable], merged=False)
    return replace(scope, roles={}, others=(variable,))


def _with_layouts(guesses: Sequence[Guess], known: dict[str, Known], fits: Fits) -> Iterator[Guess]:
    pairs = [(guess.blob, known[guess.variable]) for guess in guesses if guess.variable]
    found = layouts(fits, pairs)
    for guess in guesses:
        layout, sure = found.get(guess.blob, ("", True))
        guess = replace(guess, layout=layout)
        if not sure:
            ways = fits.ways(guess.blob.param, known[guess.variable].shape)
            others = [f"{guess.variable} with {way or 'the usual layout'}" for way in ways]
            others.remove(f"{guess.variable} with {layout or 'the usual layout'}")
            guess = replace(
                guess,
                certain=False,
                reason=f"{guess.reason}; its shape fits in two layouts",
                others=(*others, *guess.others),
            )
        yield guess
