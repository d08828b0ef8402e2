"""A mapping held against a net and a file of variables: every pair, and all that does not fit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from tfcaffe.errors import MappingError
from tfcaffe.layout import Shape
from tfcaffe.mapping.conditions import unmet
from tfcaffe.mapping.flow import follow
from tfcaffe.mapping.hints import Hints
from tfcaffe.mapping.layouts import LayoutError
from tfcaffe.mapping.mapping_file import Ignored, MappingFile, Rule
from tfcaffe.mapping.model_says import other_epsilon, other_order
from tfcaffe.mapping.orders import colours
from tfcaffe.mapping.pairs import (
    NEAREST,
    PARTS,
    Blob,
    Pair,
    Problem,
    blobs_of,
    names_of,
    pair_of,
    sizes_of,
)
from tfcaffe.mapping.template import Values
from tfcaffe.mapping.values import Value
from tfcaffe.plan import Plan
from tfcaffe.variables.keras_config import Ordering


@dataclass(frozen=True)
class Resolved:
    """What a mapping is for one net (and one file of variables).

    Args:
        unfit: blobs whose variables have a wrong shape, or are said to be what they cannot be.
        shapes: of all variables, where they are known.
        problems: why it does not fit; none if it does.
        lone_blobs: blobs that nothing fills; lone_variables: variables that nothing reads.
        left_blobs, left_variables: those that the mapping leaves out by name.
        zeros: variables left out that have to be one number everywhere.
    """

    mapping: MappingFile
    plan: Plan
    pairs: tuple[Pair, ...]
    unfit: tuple[Pair, ...]
    shapes: Mapping[str, Shape] | None
    problems: tuple[Problem, ...]
    lone_blobs: tuple[Blob, ...]
    lone_variables: tuple[str, ...]
    left_blobs: tuple[Blob, ...]
    left_variables: tuple[str, ...]
    zeros: Mapping[str, Ignored]

    @property
    def fits(self) -> bool:
        """Whether every blob and every variable has its place."""
        return not self.problems

    def check(self) -> None:
        """Raises:
        MappingError: it does not fit; with all the reasons.
        """
        if self.problems:
            listed = "\n".join(f"  {problem}" for problem in self.problems)
            raise MappingError(f"{self.mapping.path}: does not fit {self.plan.net.path}:\n{listed}")

    def check_sizes(self) -> None:
        """Raises:
        MappingError: variables are joined whose sizes nobody tells, so that none can be written.
        """
        for pair in self.pairs:
            transform = pair.transform
            if transform and transform.along is not None and not transform.parts:
                raise MappingError(
                    f"{pair.value.place}: {pair.blob}: how large each of "
                    f"{', '.join(pair.variables)} is, nobody tells; give --like FILE, a file that "
                    "has these variables"
                )

    def check_filled(self) -> None:
        """Raises:
        MappingError: blobs are left out by name, so that variables alone make no caffemodel.
        """
        if self.left_blobs:
            raise MappingError(f"{self.mapping.path}: {self.left_out}")

    @property
    def left_out(self) -> str:
        """What it takes that blobs are left out."""
        count, names = len(self.left_blobs), [str(blob) for blob in self.left_blobs[:NEAREST]]
        more = f" and {count - NEAREST} more" if count > NEAREST else ""
        said = f"{', '.join(names)}{more}: left out by name, so a caffemodel needs their numbers"
        return f"{said} from an old one (--base OLD)"


def resolve(
    mapping: MappingFile,
    plan: Plan,
    shapes: Mapping[str, Shape] | None = None,
    *,
    apart: Collection[str] = frozenset(),
    epsilons: Mapping[str, float] | None = None,
    ordering: Ordering | None = None,
    partial: bool = False,
) -> Resolved:
    """Hold a mapping against a net and, where they are known, variables.

    Args:
        shapes: of every variable by name; None where the mapping alone says which there are.
        apart: variables that belong to training only (slots, counters), which may stay unnamed.
        epsilons: those that the model of the variables says, by layer name.
        ordering: how it departs from TensorFlow's usual order.
        partial: whether blobs may be left out (`--base` has them).

    Raises:
        MappingError: the mapping itself is wrong (a name with two readings).
    """
    blobs = list(blobs_of(plan))
    pairs: list[Pair] = []
    unfit: list[Pair] = []
    problems: list[Problem] = []
    named: set[Blob] = set()
    mentioned: dict[str, tuple[Blob, Value]] = {}
    parts: dict[str, dict[str, tuple[Blob, Value]]] = {}
    flow = follow(plan)
    for blob, value, values in _matched(mapping, blobs, problems):
        named.add(blob)
        names, minus = names_of(value, values)
        for variable in filter(None, (*names, minus)):
            if variable in mentioned and not _together(mentioned[variable], (blob, value)):
                other, where = mentioned[variable]
                text = f"{other} ({where.place}) and for {blob}"
                problems.append(Problem(f"{variable} stands for {text}", value.place))
            mentioned[variable] = blob, value
        try:
            pairs.append(pair_of(mapping, plan, blob, value, names, minus, shapes, flow))
            for variable in names if value.part else ():
                parts.setdefault(variable, {})[value.part] = blob, value
        except LayoutError as error:
            unfit.append(Pair(blob, value, names, minus))
            problems.append(Problem(f"{blob} {sizes_of(blob.param.shape)}: {error}", value.place))
    problems += [*unmet(mapping, plan), *colours(mapping, plan)]
    problems += [p for pair in pairs if (p := other_epsilon(mapping, plan, pair, epsilons or {}))]
    problems += [p for pair in pairs if (p := other_order(pair, ordering or Ordering()))]
    problems += [
        _lone_part(name, *found)
        for name, both in parts.items()
        if len(both) == 1
        for found in both.values()
    ]
    left_blobs = [b for b in blobs if b not in named and _ignored(mapping.blobs, str(b))]
    lone = [blob for blob in blobs if blob not in named and blob not in left_blobs]
    left: dict[str, Ignored] = {}
    lone_variables: list[str] = []
    for name in shapes or ():
        found = _ignored(mapping.variables, name)
        if name in mentioned:
            continue
        if found is not None:
            left[name] = found
        elif name not in apart:
            lone_variables.append(name)
    hints = Hints(shapes or {}, apart, lone_variables, lone, pairs)
    problems += hints.missing() if shapes is not None else ()
    problems += [hints.lone_blob(blob) for blob in lone if not partial]
    problems += map(hints.lone_variable, lone_variables)
    problems += _scope(mentioned, shapes or ())
    zeros = {name: i for name, i in left.items() if i.must_be is not None}
    return Resolved(
        mapping,
        plan,
        tuple(pairs),
        tuple(unfit),
        shapes,
        tuple(problems),
        tuple(lone),
        tuple(lone_variables),
        tuple(left_blobs),
        tuple(left),
        zeros,
    )


def _matched(
    mapping: MappingFile, blobs: Sequence[Blob], problems: list[Problem]
) -> Iterator[tuple[Blob, Value, Values]]:
    """Which entry says what a blob is; an exact key wins over patterns."""
    roles: dict[str, dict[str, Blob]] = defaultdict(dict)
    for blob in blobs:
        roles[blob.name][blob.role] = blob
    exact = {rule.key.parts[0]: rule for rule in mapping.rules if rule.key.exact}
    matched: set[str] = set()
    for name, mine in roles.items():
        found = [(exact[name], {})] if name in exact else list(_reading(mapping, name))
        taken: dict[str, Rule] = {}
        for rule, values in found:
            matched.add(rule.key.text)
            for role, value in rule.roles.items():
                place = rule.role_places[role]
                if role not in mine:
                    problems.append(Problem(_no_role(name, role, mine), place))
                elif role in taken:
                    problems.append(
                        Problem(
                            f"{name}.{role} is said by two entries: {taken[role].key.text!r} "
                            f"({taken[role].key.place}) and {rule.key.text!r}",
                            place,
                        )
                    )
                else:
                    taken[role] = rule
                    yield mine[role], value, values
    for rule in mapping.rules:
        if rule.key.text not in matched:
            problems.append(Problem(_no_layer(rule, roles), rule.key.place))


def _reading(mapping: MappingFile, name: str) -> Iterator[tuple[Rule, Values]]:
    for rule in mapping.rules:
        if not rule.key.exact:
            values = rule.key.read(name, "caffe")
            if values is not None:
                yield rule, values


def _together(one: tuple[Blob, Value], other: tuple[Blob, Value]) -> bool:
    """Whether a variable may stand in both entries: as the two parts of one layer's kernel."""
    parts = {one[1].part, other[1].part}
    return parts == set(PARTS) and one[0].layer == other[0].layer


def _lone_part(name: str, blob: Blob, value: Value) -> Problem:
    (rest,) = set(PARTS) - {value.part}
    text = f"only `part: {value.part}` of {name} has a place; {blob.name}.{PARTS[rest]} wants"
    return Problem(f"{text} {{variable: {name}, part: {rest}}}", value.place)


def _ignored(items: Sequence[Ignored], name: str) -> Ignored | None:
    """The pattern that leaves a name out; what has to be a number is not hidden by others."""
    found = [item for item in items if _left_out(item.glob, name)]
    strict = [item for item in found if item.must_be is not None]
    return next(iter(strict or found), None)


def _left_out(glob: str, name: str) -> bool:
    """`*` within one component of a path, `**` across them, `{*}` a star.

    All ways are followed at once, so that no pattern takes long.
    """
    at = {0}
    for part in filter(None, re.split(r"(\{\*\}|\*\*/?|\*)", glob)):
        if not at:
            return False
        if part == "**/":
            at |= {i + 1 for i in range(min(at), len(name)) if name[i] == "/"}
        elif part == "**":
            at = set(range(min(at), len(name) + 1))
        elif part == "*":
            at = {end for start in at for end in range(start, (name + "/").index("/", start) + 1)}
        else:
            text = "*" if part == "{*}" else part
            at = {i + len(text) for i in at if name.startswith(text, i)}
    return len(name) in at


def _scope(mentioned: Iterable[str], shapes: Collection[str]) -> list[Problem]:
    """Where every variable is there, but below one scope more."""
    missing = [name for name in mentioned if name not in shapes]
    if not missing:
        return []
    scopes = {name.removesuffix(f"/{missing[0]}") for name in shapes} - set(shapes)
    found = (s for s in sorted(scopes) if all(f"{s}/{name}" in shapes for name in missing))
    return [Problem(f"they are all there below {s}/: give --prefix {s}") for s in islice(found, 1)]


def _no_role(layer: str, role: str, mine: Mapping[str, Blob]) -> str:
    kind = next(iter(mine.values())).type
    return f"the layer {layer} ({kind}) has no blob {role!r}; it has {', '.join(mine)}"


def _no_layer(rule: Rule, roles: Mapping[str, object]) -> str:
    what = "no layer with weights is called" if rule.key.exact else "no layer with weights matches"
    near = get_close_matches(rule.key.text, roles, NEAREST)
    return f"{what} {rule.key.text!r}" + (f"; the nearest are {', '.join(near)}" if near else "")
