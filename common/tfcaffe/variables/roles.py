"""What a variable is for, told by its name: the model's own, or something of its training.

Names are TensorFlow's: slot_creator.py (`<variable>/<optimizer>`, `_1` for the second one),
moving_averages.py (`<variable>/ExponentialMovingAverage`, with `zero_debias` also `biased` and
`local_step`), BERT's optimizer (`adam_m`, `adam_v`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from tfcaffe.errors import UsageError
from tfcaffe.variables.base import Variable, Variables, natural, some

_AVERAGE = "ExponentialMovingAverage"
_SLOT = re.compile(
    r"(Adam|AdamW|AdaMax|Adamax|Nadam|Momentum|RMSProp|RMSprop|Adagrad|AdagradDA|Adadelta|"
    r"AdaDelta|Adafactor|Ftrl|LARS|LARSOptimizer|LAMB|ProximalAdagrad|AdamWeightDecay\w*|"
    r"\w*Optimizer|adam_m|adam_v|biased)(_\d+)?"
)
_COUNTER = re.compile(
    r"(global_step|save_counter|beta[12]_power|learning_rate|iter|iterations?|decay)(_\d+)?"
)
_COUNTS_IN_BASE = "local_step"
_WHOLE = ("int", "uint")


def with_roles(found: Iterable[Variable]) -> list[Variable]:
    """The variables with the role that their names tell; a role that is set already stays.

    A slot or an average is one only beside its variable. An optimizer made inside a scope puts
    that in front of the variable's name, too: `train/conv/kernel/Momentum` belongs to
    `conv/kernel`.
    """
    known = {variable.name: variable for variable in found}
    return [variable if variable.role else _told(variable, known) for variable in known.values()]


def _told(variable: Variable, known: dict[str, Variable]) -> Variable:
    stem, _, last = variable.name.rpartition("/")
    base = _base(stem, known)
    if base:
        if last == _AVERAGE and known[base].shape == variable.shape:
            return replace(variable, role="average", base=base)
        if _SLOT.fullmatch(last):
            return replace(variable, role="slot", base=base)
        if last == _COUNTS_IN_BASE:
            return replace(variable, role="counter", base=base)
    whole = variable.dtype.startswith(_WHOLE)
    if variable.shape == () and (whole or _COUNTER.fullmatch(last)):
        return replace(variable, role="counter")
    return variable


def _base(stem: str, known: dict[str, Variable]) -> str:
    """The variable that `stem` ends with, whole path components only; the longest."""
    while stem and stem not in known:
        stem = stem.partition("/")[2]
    return stem


def with_prefix(variables: Variables, prefix: str) -> Variables:
    """Only the variables below a scope, named without it (`--prefix`).

    Raises:
        UsageError: there are none; the scopes that there are, are named.
    """
    scope = prefix.rstrip("/") + "/"
    kept = {}
    for name, variable in variables.entries.items():
        if name.startswith(scope):
            short = name.removeprefix(scope)
            base = variable.base.removeprefix(scope)
            kept[short] = replace(variable, name=short, base=base)
    if not kept:
        scopes = sorted({n.partition("/")[0] for n in variables.entries if "/" in n}, key=natural)
        there = f"the file's scopes are {some(scopes)}" if scopes else "no name has a scope"
        raise UsageError(f"{variables.path}: no variable lies below {scope!r}; {there}")
    dropped = len(variables.entries) - len(kept)
    note = f"--prefix {prefix}: {dropped} variables outside are left alone"
    notes = (*variables.notes, note) if dropped else variables.notes
    return replace(variables, entries=kept, notes=notes)


def with_averages(variables: Variables) -> Variables:
    """Each variable with the numbers of its moving average, where it has one (`--ema`).

    Variables without one, as BatchNorm's own statistics most often are, keep their numbers. A file
    of averages alone gives variables of the bare names.

    Raises:
        UsageError: there are no averages.
    """
    averages = {}
    for variable in variables.entries.values():
        stem, _, last = variable.name.rpartition("/")
        if variable.role == "average":
            averages[variable.base] = variable
        elif last == _AVERAGE and stem and not variable.role:
            averages[stem] = variable
    if not averages:
        raise UsageError(
            f"{variables.path}: has no moving averages (NAME/{_AVERAGE}); leave --ema away"
        )
    shadows = {variable.name for variable in averages.values()}
    kept, bare = {}, []
    for name, variable in variables.entries.items():
        if name in averages:
            average = averages.pop(name)
            kept[name] = replace(variable, read=average.read, dtype=average.dtype, key=average.key)
        elif name not in shadows:
            kept[name] = variable
            bare += [] if variable.role else [name]
    kept |= {name: replace(v, name=name, role="", base="") for name, v in averages.items()}
    notes = [f"--ema: {some(bare)}: without an average, taken as they are"] if bare else []
    return replace(variables, entries=kept, notes=(*variables.notes, *notes))
