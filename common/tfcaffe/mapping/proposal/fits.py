"""Whether variables can be a unit's blobs, by roles and shapes alone."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from tfcaffe.layers.base import Param
from tfcaffe.layout import Shape
from tfcaffe.mapping import layouts
from tfcaffe.mapping.layouts import LayoutError
from tfcaffe.mapping.pairs import Blob
from tfcaffe.mapping.proposal.scopes import DEPTHWISE, KERNELS, Known, Scope
from tfcaffe.mapping.proposal.units import CaffeUnit
from tfcaffe.mapping.transform import Transform

_ALIASES = {
    "beta": ("bias",),
    "gamma": ("weights",),
    "slope": ("weights", "gamma"),
    "input_weights": ("weights",),
}
_MAIN = (
    *KERNELS,
    DEPTHWISE,
    "mean",
    "recurrent_weights",
)  # without these nothing of a unit is left


@dataclass(frozen=True)
class Fit:
    """Which variable of a scope is which blob of a unit.

    Args:
        loose: roles that only shapes tell, not names.
        missing: blobs without a variable; extra: variables without a blob.
    """

    pairs: tuple[tuple[Blob, Known], ...]
    loose: frozenset[str]
    missing: tuple[Blob, ...]
    extra: tuple[Known, ...]


class Fits:
    """Answers whether a scope fits a unit; layouts are worked out once for each pair of shapes."""

    def __init__(self, blobs: Iterable[Blob], variables: Iterable[Known]) -> None:
        self._ways: dict[tuple[object, ...], tuple[str, ...]] = {}
        self._usual: dict[tuple[str, str, int], str] = {}
        shapes = {variable.shape for variable in variables}
        found: dict[tuple[str, str, int], list[set[str]]] = defaultdict(list)
        for blob in blobs:
            for rank in {len(shape) for shape in shapes}:
                mine = [self.ways(blob.param, s) for s in shapes if len(s) == rank]
                if any(mine):
                    found[blob.type, blob.role, rank].append({way for ways in mine for way in ways})
        for kind, blobs_ways in found.items():
            shared = set.intersection(*blobs_ways)
            if "" in shared or len(shared) == 1:
                self._usual[kind] = min(shared)

    def fits(self, blob: Blob, variable: Known) -> bool:
        """Whether the variable can be the blob.

        Where one layout does for all blobs of a kind, the others are not thought of.
        """
        ways = self.ways(blob.param, variable.shape)
        usual = "" if variable.part else self._usual.get(_kind(blob, variable))
        return bool(ways) if usual is None else usual in ways

    def ways(self, param: Param, shape: Shape) -> tuple[str, ...]:
        """The layouts in which a variable can be this blob: "" is the usual one."""
        if prod(shape) != prod(param.shape):
            return ()
        sizes = tuple(sorted(param.layout.sizes.items()))
        key = param.shape, param.layout.text, sizes, shape
        if key not in self._ways:
            self._ways[key] = tuple(_ways(param, shape))
        return self._ways[key]

    def fit(self, unit: CaffeUnit, scope: Scope) -> Fit | None:
        """How the scope can be the unit; None if it cannot."""
        roles, others = dict(scope.roles), list(scope.others)
        pairs: list[tuple[Blob, Known]] = []
        loose: set[str] = set()
        missing: list[Blob] = []
        for role, blob in unit.blobs.items():
            names = [name for name in (role, *_ALIASES.get(role, ())) if name in roles]
            if names:
                if not self.fits(blob, roles[names[0]]):
                    return None
                pairs.append((blob, roles.pop(names[0])))
                told = names[0] == role or (role in KERNELS and "recurrent_weights" in scope.roles)
                loose |= set() if told else {role}
                continue
            found = next((v for v in others if self.fits(blob, v)), None)
            if found is None:
                missing.append(blob)
                continue
            others.remove(found)
            pairs.append((blob, found))
            loose |= {role} if _peers(unit, scope, blob, found, self) else set()
        if not pairs or any(blob.role in _MAIN for blob in missing) or roles.keys() & set(_MAIN):
            return None
        if len(unit.blobs) > 1 and all(blob.role == "bias" for blob, _ in pairs):
            return None  # its bias alone says nothing of a unit
        return Fit(tuple(pairs), frozenset(loose), tuple(missing), (*roles.values(), *others))


def _peers(unit: CaffeUnit, scope: Scope, blob: Blob, found: Known, fits: Fits) -> bool:
    """Whether another unnamed variable, or another blob, could stand in this place."""
    more = [v for v in scope.others if v is not found and fits.fits(blob, v)]
    taken = [b for b in unit.blobs.values() if b is not blob and fits.fits(b, found)]
    return bool(more or taken)


def _ways(param: Param, shape: Shape) -> Iterator[str]:
    usual = layouts.default(param)
    seen = set()
    if usual.joined == shape:
        seen.add(_moves(usual))
        yield ""
    for text in (*layouts.fitting(param, shape), *_flat(param, shape)):
        word, _, said = text.partition(": ")
        how = layouts.relaid if word == "layout" else layouts.rearranged
        try:
            moves = _moves(how(param, said.strip('"')))
        except LayoutError:
            continue
        if moves not in seen:
            seen.add(moves)
            yield text


def _flat(param: Param, shape: Shape) -> Iterator[str]:
    """A convolution over all that it reads, as the matrix of a fully connected layer.

    Two ways, so that it is never certain: no shape tells in which order its input was flattened.
    """
    tf, caffe = layouts.sides(param)
    found = re.fullmatch(r"(h w|d h w) (\w+) (\w+)", tf)
    if found is None or not caffe.startswith(found[3]) or len(shape) != 2:
        return
    spatial, inputs, outputs = found.groups()
    if prod(param.shape[2:]) > 1:
        for order in (f"{spatial} {inputs}", f"{inputs} {spatial}"):
            text = f"({order}) {outputs} -> {caffe}"
            if layouts.rearranged(param, text).joined == shape:
                yield f'rearrange: "{text}"'


def _moves(transform: Transform) -> tuple[tuple[int, ...], ...]:
    """TensorFlow's axes by their place in Caffe's: what moves the same numbers is equal."""
    sizes = transform.pattern.axis_sizes(transform.shape)
    tf, caffe = transform.pattern.text.split("->")
    places = {axis: i for i, axis in enumerate(a for a in _axes(caffe) if sizes[a] > 1)}
    groups = [_axes(group) for group in re.findall(r"\([^()]*\)|\w+", tf)]
    kept = [tuple(places[axis] for axis in group if axis in places) for group in groups]
    return tuple(group for group in kept if group)


def _axes(text: str) -> list[str]:
    return re.findall(r"[a-z]\w*", text)


def layouts_of(fits: Fits, pairs: Iterable[tuple[Blob, Known]]) -> dict[Blob, tuple[str, bool]]:
    """The layout for each pair, and whether it is certain.

    Where a shape leaves a choice, as a square kernel's does, the other kernels of its kind decide.
    """
    pairs = list(pairs)
    votes: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    for blob, variable in pairs:
        ways = fits.ways(blob.param, variable.shape)
        if len(ways) == 1:
            votes[_kind(blob, variable)][ways[0]] += 1
    found = {}
    for blob, variable in pairs:
        ways = fits.ways(blob.param, variable.shape)
        said = votes[_kind(blob, variable)]
        agreed = [way for way in ways if way in said]
        sure = len(ways) == 1 or (len(agreed) == 1 and len(said) == 1)
        found[blob] = (agreed[0] if agreed else ways[0]), sure
    return found


def _kind(blob: Blob, variable: Known) -> tuple[str, str, int]:
    return blob.type, blob.role, len(variable.shape)
