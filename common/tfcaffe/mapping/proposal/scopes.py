"""What belongs together among TensorFlow's variables: a scope's, told by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfcaffe.layout import Shape
from tfcaffe.mapping.proposal.likeness import Name, keras_name, stem

KERNELS = ("weights", "input_weights")
DEPTHWISE = "depthwise weights"  # of a separable convolution
_ROLES = {
    name: role
    for role, names in {
        "weights": "weights weight kernel kernels filter filters embeddings matrix w "
        "depthwise_kernel depthwise_weights pointwise_kernel pointwise_weights",
        "recurrent_weights": "recurrent_kernel recurrent_weights",
        "bias": "bias biases b",
        "gamma": "gamma scale",
        "beta": "beta offset shift",
        "mean": "moving_mean running_mean pop_mean mean mu",
        "variance": "moving_variance moving_var running_variance running_var pop_var pop_variance "
        "variance var",
        "slope": "alpha alphas slope",
    }.items()
    for name in names.split()
}
_STATISTICS = ("gamma", "beta", "mean", "variance")
_PARTS = ("depthwise", "pointwise")
_LONGEST_FIRST = "|".join(sorted(map(re.escape, _ROLES), key=len, reverse=True))
_SUFFIX = re.compile(rf"(?P<rest>.+?)[_.\-](?P<role>{_LONGEST_FIRST})", re.I)
_PREFIX = re.compile(rf"(?P<role>{_LONGEST_FIRST})[_.\-]?(?P<rest>\w*\d\w*)", re.I)


@dataclass(frozen=True)
class Known:
    """A variable that may get a place: its name and shape.

    Args:
        parts: the names of several that are joined along the last axis, if it is not one.
        part: "input" or "recurrent", if it is only those rows of the variable.
    """

    name: str
    shape: Shape
    parts: tuple[str, ...] = ()
    part: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all that it is."""
        return self.parts or (self.name,)


@dataclass(frozen=True, eq=False)
class Scope:
    """Variables that belong together.

    Args:
        roles: by Caffe's role, as their names tell.
        others: those whose names tell nothing.
    """

    name: Name
    roles: Mapping[str, Known]
    others: tuple[Known, ...] = ()

    @property
    def joined(self) -> bool:
        """Whether it is of more than one layer."""
        return DEPTHWISE in self.roles or {"weights", "mean"} <= self.roles.keys()

    @property
    def variables(self) -> tuple[Known, ...]:
        """All of them."""
        return (*self.roles.values(), *self.others)


def scopes(variables: Sequence[Known], *, merged: bool = True) -> list[Scope]:
    """The scopes of a file's variables, in its order.

    Args:
        merged: whether a kernel and the BatchNorm of its name are one, and so the two kernels of a
            separable convolution.
    """
    groups: dict[tuple[str, str], list[tuple[str, Known]]] = defaultdict(list)
    split = [_split(v.name) for v in variables]
    parts = {(scope, part) for scope, _, part in split if part}
    separable = {scope for scope, _ in parts if all((scope, part) in parts for part in _PARTS)}
    for (scope, role, part), variable in zip(split, variables, strict=True):
        if scope not in separable:
            if part and not scope.endswith(part):
                scope = f"{scope}/{part}"  # `block_1_depthwise_kernel` in a flat name
            part = ""
        elif role == "bias":
            part = "pointwise"
        groups[scope, part or ("statistics" if role in _STATISTICS else "")].append(
            (role, variable)
        )
    for scope, kind in list(groups):
        plain = groups.get((scope, ""), [])
        if kind == "statistics" and plain and {role for role, _ in plain} == {"bias"}:
            groups[scope, kind] += groups.pop((scope, ""))  # a bias beside a gamma: a Scale
    order = {variable: i for i, variable in enumerate(variables)}
    found = [_scope(*key, group) for key, group in groups.items()]
    found.sort(key=lambda scope: min(order[v] for v in scope.variables))
    return list(_normed(list(_separable(found)))) if merged else found


def _scope(name: str, kind: str, group: Sequence[tuple[str, Known]]) -> Scope:
    roles: dict[str, Known] = {}
    others = []
    for role, variable in group:
        if role and role not in roles:
            roles[role] = variable
        else:
            others.append(variable)
    return Scope(Name(f"{name}/{kind}" if kind in _PARTS else name), roles, tuple(others))


def _split(name: str) -> tuple[str, str, str]:
    """A variable's scope, its role in Caffe's words, and its part of a separable convolution."""
    if "/" not in name:
        name = name.replace(".", "/")
    scope, _, last = name.rpartition("/")
    found = last.lower()
    if found not in _ROLES:
        match = _SUFFIX.fullmatch(last) or _PREFIX.fullmatch(last)
        if match is None:
            return scope, "", ""
        scope = "/".join(filter(None, (scope, match["rest"])))
        found = match["role"].lower()
    return scope, _ROLES[found], next((p for p in _PARTS if found.startswith(p)), "")


def _separable(found: Sequence[Scope]) -> Iterator[Scope]:
    """With the two kernels of a separable convolution in one."""
    known = {scope.name.text: scope for scope in found}
    for scope in found:
        bare, _, part = scope.name.text.rpartition("/")
        front, back = (known.get(f"{bare}/{part}") for part in _PARTS)
        if part not in _PARTS or front is None or back is None:
            yield scope
        elif scope is front and front.roles.keys() == {"weights"}:
            roles = {DEPTHWISE: front.roles["weights"], **back.roles}
            yield Scope(Name(bare), roles, back.others)
        elif scope is front:
            yield front
            yield back


def _normed(found: Sequence[Scope]) -> Iterator[Scope]:
    """With each BatchNorm at its kernel, where names and sizes say so throughout."""
    kernels: dict[tuple[str, ...], list[Scope]] = defaultdict(list)
    norms: dict[tuple[str, ...], list[Scope]] = defaultdict(list)
    for scope in found:
        if "weights" in scope.roles:
            kernels[stem(keras_name(scope.name.text))].append(scope)
        elif "mean" in scope.roles and not scope.others:
            norms[stem(keras_name(scope.name.text))].append(scope)
    pairs, wrong = {}, set()
    for key, (kernel, *more) in kernels.items():
        if not more and len(norms.get(key, ())) == 1:
            norm = norms[key][0]
            pairs[kernel] = norm
            if not _norms(kernel.roles["weights"].shape, norm.roles["mean"].shape):
                wrong.add((kernel.name.skeleton, norm.name.skeleton))
    wrong |= _shifted(pairs, kernels, norms)
    taken = set()
    for kernel, norm in list(pairs.items()):
        if (kernel.name.skeleton, norm.name.skeleton) in wrong:
            del pairs[kernel]
        else:
            taken.add(norm)
    for scope in found:
        if scope in pairs:
            yield Scope(scope.name, {**scope.roles, **pairs[scope].roles}, scope.others)
        elif scope not in taken:
            yield scope


def _shifted(
    pairs: Mapping[Scope, Scope],
    kernels: Mapping[tuple[str, ...], Sequence[Scope]],
    norms: Mapping[tuple[str, ...], Sequence[Scope]],
) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Kinds of names that only numbers join, where the numbers could also be joined otherwise.

    Each counts its own: where some layer has no BatchNorm, `batch_normalization_2` need not be that
    of `conv2d_2`. Sizes tell, if there is but one way to have them in one order; and nothing does
    where the file has the two kinds in different orders.
    """
    found = {(kernel.name.skeleton, norm.name.skeleton) for kernel, norm in pairs.items()}
    doubtful = set()
    place = {norm: i for i, norm in enumerate(norm for some in norms.values() for norm in some)}
    for kinds in {(_bare(a), _bare(b)) for a, b in found if a != b}:
        mine, theirs = (
            sorted(
                (s for key, some in groups.items() for s in some if _plain(key, s, kind)),
                key=lambda s: [i.value for i in s.name.indexes],
            )
            for groups, kind in zip((kernels, norms), kinds, strict=True)
        )
        if len(mine) != len(theirs) and _embedded(mine, theirs) != [
            len(mine) - 1 - i for i in reversed(_embedded(mine[::-1], theirs[::-1]))
        ]:
            doubtful.add(kinds)
        numbers = [{keras_name(s.name.text).indexes for s in some} for some in (mine, theirs)]
        places = [place[norm] for kernel, norm in pairs.items() if kernel in mine]
        if not numbers[0] >= numbers[1] or places != sorted(places):
            doubtful.add(kinds)
    return {(a, b) for a, b in found if (_bare(a), _bare(b)) in doubtful}


def _plain(key: tuple[str, ...], scope: Scope, kind: tuple[str, ...]) -> bool:
    """Whether a scope of this kind is one by its number alone."""
    return len(key) <= 1 and _bare(scope.name.skeleton) == kind


def _bare(skeleton: tuple[str, ...]) -> tuple[str, ...]:
    """Without the number at its end."""
    return skeleton[:-1] if skeleton[-1:] == ("#",) else skeleton


def _embedded(kernels: Sequence[Scope], norms: Sequence[Scope]) -> list[int]:
    """For each BatchNorm in turn the place of the first kernel of its size."""
    found = []
    places = iter(range(len(kernels)))
    for norm in norms:
        mean = norm.roles["mean"].shape
        found += next(([i] for i in places if _norms(kernels[i].roles["weights"].shape, mean)), [])
    return found


def _norms(kernel: Shape, mean: Shape) -> bool:
    """Whether statistics are of as many channels as a kernel has outputs."""
    outputs = {kernel[-1], kernel[-1] * kernel[-2]} if len(kernel) > 1 else {*kernel}
    return len(mean) == 1 and mean[0] in outputs
