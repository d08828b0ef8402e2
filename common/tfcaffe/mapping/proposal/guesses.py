"""From pairs of units and scopes to guesses, blob by blob."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from tfcaffe.mapping import layouts
from tfcaffe.mapping.pairs import Blob
from tfcaffe.mapping.proposal.assignment import Assigned, Field
from tfcaffe.mapping.proposal.certainty import Verdict
from tfcaffe.mapping.proposal.fits import Fit, Fits, layouts_of
from tfcaffe.mapping.proposal.neutral import NEUTRAL
from tfcaffe.mapping.proposal.scopes import Known
from tfcaffe.plan import Plan

_TF1_GATES = "icfo"
_TF1 = "by its one kernel it is a cell of TF1"


@dataclass(frozen=True)
class Guess:
    """What a blob probably is.

    Args:
        variable: None for a constant; it can be several in one.
        along: the axis along which several are joined, as the file has it.
        constant: the blob's number where there is no variable.
        minus: a variable that is folded in.
        layout: what the entry says of the layout, as `layout: HWIO`; "" for the usual one.
        more: what else the entry says, as `part: input`.
        certain: whether names or shapes leave no other.
        reason: why this one.
        others: what else it could be, the likeliest first.
    """

    blob: Blob
    variable: Known | None = None
    along: str = ""
    constant: float | None = None
    minus: str = ""
    layout: str = ""
    more: tuple[str, ...] = ()
    certain: bool = False
    reason: str = ""
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The variables."""
        return self.variable.names if self.variable else ()

    def doubted(self, why: str, others: Sequence[str] = ()) -> Guess:
        """The same, uncertain for one more reason."""
        listed = (*others, *self.others)
        return replace(self, certain=False, reason=f"{self.reason}; {why}", others=listed)


def guesses_of(pair: Assigned, verdict: Verdict, field: Field) -> Iterator[Guess]:
    """The guesses for one unit's blobs."""
    fit, unit = pair.fit, pair.unit
    rivals = [field.fits[pair.i, j] for j in verdict.rivals]
    for blob, variable in fit.pairs:
        others = tuple(name for rival in rivals if (name := _variable_of(rival, blob)))
        guess = Guess(blob, variable, certain=verdict.certain, reason=verdict.reason, others=others)
        if variable.parts:
            guess = replace(guess.doubted("joined by their numbers"), along=_last_axis(blob))
        if blob.role in fit.loose:
            size = prod(variable.shape)
            rest = [
                v.name for v in pair.scope.variables if v is not variable and prod(v.shape) == size
            ]
            guess = guess.doubted("its name does not tell its role", rest)
        yield _recurrent(guess, any(v.part for _, v in fit.pairs))
    centred = "mean" in unit.blobs and any(blob.role == "beta" for blob, _ in fit.pairs)
    for blob in fit.missing:
        if blob.role in NEUTRAL:
            usual = blob.role == "gamma" and centred
            why = "no variable of this role was found beside the others"
            if usual:
                why = "a BatchNorm without scale: it has a beta, and no gamma"
            sure = usual and verdict.certain
            yield Guess(blob, constant=NEUTRAL[blob.role], certain=sure, reason=why)


def _recurrent(guess: Guess, tf1: bool) -> Guess:
    """With what shapes do not tell of a recurrent layer's blob.

    Args:
        tf1: whether the layer's kernel is one variable.
    """
    param, part = guess.blob.param, guess.variable.part if guess.variable else ""
    if not tf1:
        why = "nothing tells the order of gates; Keras's is taken"
        return guess.doubted(why) if param.gates else guess
    if sorted(param.gates) != sorted(_TF1_GATES):
        why = f"{_TF1}, which has the input's rows first"
        return replace(guess.doubted(why), more=(f"part: {part}",)) if part else guess
    more = (f"part: {part}" if part else "forget_bias: 1", f"gates: {_TF1_GATES}")
    why = f"{_TF1}, so its order of gates and its forget_bias are taken"
    return replace(guess.doubted(why), more=more)


def with_folds(guesses: Sequence[Guess], pairs: Sequence[Assigned], plan: Plan) -> Iterator[Guess]:
    """The guesses, with biases that Caffe has no blob for in the means of the BatchNorms behind."""
    used = {name for guess in guesses for name in guess.names}
    extra = {
        pair.unit.blobs["weights"].layer: variable
        for pair in pairs
        for variable in pair.fit.extra
        if "weights" in pair.unit.blobs
        and variable is pair.scope.roles.get("bias")
        and variable.name not in used
    }
    readers = plan.net.consumers()
    for guess in guesses:
        if guess.blob.type == "BatchNorm" and guess.blob.role == "mean":
            source = plan.net.sources[guess.blob.layer][0]
            bias = extra.get(source.layer) if len(readers[source]) == 1 else None
            if bias is not None and bias.shape == guess.blob.param.shape:
                why = "the layer in front has no blob for a bias, so the mean takes it in"
                guess = replace(guess.doubted(why), minus=bias.name)
        yield guess


def with_layouts(guesses: Sequence[Guess], fits: Fits) -> Iterator[Guess]:
    """The guesses with the layouts of their variables."""
    plain = [(g.blob, g.variable) for g in guesses if g.variable and not g.variable.part]
    found = layouts_of(fits, plain)
    for guess in guesses:
        layout, sure = found.get(guess.blob, ("", True))
        if guess.variable is not None and not sure:
            ways = fits.ways(guess.blob.param, guess.variable.shape)
            others = [way or "the usual layout" for way in ways if way != layout]
            guess = guess.doubted("its shape fits in more than one layout", others)
        yield replace(guess, layout=layout)


def _variable_of(fit: Fit, blob: Blob) -> str:
    return next((variable.name for mine, variable in fit.pairs if mine is blob), "")


def _last_axis(blob: Blob) -> str:
    """The letter of the last axis of TensorFlow's variable."""
    return layouts.sides(blob.param)[0].split()[-1].upper()
