"""What has no partner in a mapping, said with the nearest names and the equal shapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from tfcaffe.layout import Shape
from tfcaffe.mapping import layouts
from tfcaffe.mapping.nearest import Names
from tfcaffe.mapping.pairs import NEAREST, Blob, Pair, Problem, sizes_of


class Hints:
    """What is left over on both sides.

    Args:
        shapes: of every variable.
        apart: variables that belong to training only, which are hardly ever meant.
        variables, blobs: those that have no place.
        pairs: those whose variables are not there leave a blob without a partner, too.
    """

    def __init__(
        self,
        shapes: Mapping[str, Shape],
        apart: Collection[str],
        variables: Sequence[str],
        blobs: Sequence[Blob],
        pairs: Sequence[Pair],
    ) -> None:
        self._shapes, self._pairs = shapes, pairs
        own = [name for name in shapes if name not in apart]
        self._likely = [Names(variables), Names(own), Names(shapes)]
        self._variables: dict[Shape, list[str]] = defaultdict(list)
        for name in variables:
            self._variables[shapes[name]].append(name)
        astray = [p.blob for p in pairs if any(name not in shapes for name in p.names)]
        self._blobs = {str(blob): blob for blob in (*blobs, *astray)}
        self._blob_names = Names(self._blobs)
        self._blob_shapes: dict[Shape, list[str]] = defaultdict(list)
        for name, blob in self._blobs.items():
            self._blob_shapes[layouts.default(blob.param).joined].append(name)

    def missing(self) -> Iterator[Problem]:
        """Names in the mapping that no variable has."""
        for pair in self._pairs:
            wanted = pair.transform.variable_shapes if pair.transform else ()
            shapes = [*wanted, pair.blob.param.shape]  # the last is what is subtracted
            for i, name in enumerate(pair.names):
                if name not in self._shapes:
                    text = f"there is no variable {name}"
                    near = self._near(name)
                    if near:
                        text += f"; the nearest names are {', '.join(near)}"
                    shape = shapes[min(i, len(shapes) - 1)]
                    text += _of_shape([n for n in self._variables[shape] if n not in near])
                    yield Problem(text, pair.value.place)

    def lone_blob(self, blob: Blob) -> Problem:
        """A blob that nothing fills."""
        text = f"no entry for {blob} {sizes_of(blob.param.shape)}"
        near = self._likely[0].nearest(str(blob), NEAREST)
        equal = self._variables[layouts.default(blob.param).joined]
        found = [*near, *(name for name in equal if name not in near)][: 2 * NEAREST]
        listed = [f"{name} {sizes_of(self._shapes[name])}" for name in found]
        return Problem(text + (f"; perhaps {', '.join(listed)}" if listed else ""))

    def lone_variable(self, name: str) -> Problem:
        """A variable that nothing reads."""
        shape = self._shapes[name]
        text = f"the variable {name} {sizes_of(shape)} goes nowhere; map it, or name it under "
        text += "`ignore`"
        near = self._blob_names.nearest(name, NEAREST)
        if near:
            listed = [f"{n} {sizes_of(self._blobs[n].param.shape)}" for n in near]
            text += f"; the nearest blobs are {', '.join(listed)}"
        return Problem(text + _of_shape([n for n in self._blob_shapes[shape] if n not in near]))

    def _near(self, name: str) -> list[str]:
        """Variables that have no place, or else any of the model's own, or else any."""
        found = (names.nearest(name, NEAREST) for names in self._likely)
        return next((near for near in found if near), [])


def _of_shape(names: Sequence[str]) -> str:
    return f"; of its shape: {', '.join(names[:NEAREST])}" if names else ""
