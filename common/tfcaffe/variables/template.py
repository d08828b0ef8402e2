"""A file whose structure a written one takes over (`--like`)."""

from __future__ import annotations

import difflib

import numpy as np

from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.memory_order import Apart
from tfcaffe.variables.base import Array, Variable, Variables, some


class Template:
    """Checks what is written against a file's variables, and knows what is still missing."""

    def __init__(self, like: Variables) -> None:
        self._like = like
        self._missing = dict(like.entries)

    def fit(self, name: str, array: Array | Apart) -> tuple[Variable, Array]:
        """The variable that `name` is, and the numbers in its type.

        Raises:
            UsageError: there is none of that name, it was given before, or has another shape.
            UnsupportedError: its type cannot hold the numbers exactly.
        """
        path = self._like.path
        variable = self._like.entries.get(name)
        if variable is None:
            near = difflib.get_close_matches(name, self._like.entries, n=3, cutoff=0.4)
            hint = f"; the nearest are {', '.join(near)}" if near else ""
            raise UsageError(f"{path}: has no variable {name!r}{hint}")
        if self._missing.pop(name, None) is None:
            raise UsageError(f"variable {name!r}: is given twice")
        if array.shape != variable.shape:
            raise UsageError(
                f"{path}: variable {name!r} has shape {variable.shape}, the numbers for it "
                f"{array.shape}"
            )
        return variable, _exactly(variable, np.asarray(array))

    def rest(self, keep: bool) -> tuple[list[Variable], list[str]]:
        """Variables that were not given and keep their numbers, and a note of them.

        What belongs to training is kept in any case.

        Raises:
            UsageError: the model's own are missing, and not to be kept.
        """
        kept = list(self._missing.values())
        own = [variable.name for variable in kept if not variable.role]
        if own and not keep:
            raise UsageError(
                f"{self._like.path}: its variables {some(own)} get no numbers; give them, or say "
                "that they keep their old ones"
            )
        notes = [f"{some(own)}: kept from {self._like.path}"] if own else []
        training = [variable.name for variable in kept if variable.role]
        if training:
            notes.append(f"{some(training)}: of training, kept from {self._like.path}")
        return kept, notes


def dtype_named(name: str) -> np.dtype[np.generic]:
    """NumPy's type of TensorFlow's name, bfloat16 and its like too."""
    import ml_dtypes

    found = getattr(ml_dtypes, name, None)
    return np.dtype(found if found is not None else name)


def _exactly(variable: Variable, array: Array) -> Array:
    """The numbers in the variable's own type."""
    dtype = dtype_named(variable.dtype)
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(dtype)
        same = np.array_equal(converted.astype(array.dtype), array, equal_nan=True)
    if not same:
        raise UnsupportedError(
            f"variable {variable.name!r}: is {variable.dtype}, which cannot hold its "
            f"{array.dtype} numbers exactly; give --like a file in {array.dtype}"
        )
    return converted
