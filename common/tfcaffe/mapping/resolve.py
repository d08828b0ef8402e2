"""A mapping held against a net and a file of variables: every pair, and all that does not fit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from tfcaffe.errors import MappingError
from tfcaffe.infer import PlannedLayer
from tfcaffe.layers.base import Param
from tfcaffe.layout import Shape
from tfcaffe.mapping import transform as transforms
from tfcaffe.mapping.document import Place
from tfcaffe.mapping.mapping_file import Ignored, MappingFile, Rule, Value
from tfcaffe.mapping.template import Values
from tfcaffe.mapping.transform import LayoutError, Transform
from tfcaffe.plan import Plan

_COLOURS = 3  # channels that have an order
_NEAREST = 3  # names to show


@dataclass(frozen=True, eq=False)
class Blob:
    """One of Caffe's blobs that has a role and an owner.

    Args:
        layer, index: the layer's number in the plan, and the blob's in the layer.
    """

    layer: int
    index: int
    name: str
    type: str
    param: Param

    @property
    def role(self) -> str:
        """`weights`, `bias` …"""
        return self.param.role

    def __str__(self) -> str:
        return f"{self.name}.{self.param.role}"


@dataclass(frozen=True)
class Pair:
    """A blob and what it is in TensorFlow.

    Args:
        variables: their names; none for a constant.
        minus: the variable that is folded in, or "".
        transform: None for a constant.
    """

    blob: Blob
    value: Value
    variables: tuple[str, ...] = ()
    minus: str = ""
    transform: Transform | None = None

    @property
    def words(self) -> str:
        """What happens on the way, for people."""
        if self.transform is None:
            return f"constant {self.value.constant:g}"
        said = transforms.words(self.transform, self.blob.param)
        return f"{said}, minus {self.minus}" if self.minus else said


@dataclass(frozen=True)
class Problem:
    """Something that does not fit, in the user's terms."""

    text: str
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


@dataclass(frozen=True)
class Resolved:
    """What a mapping is for one net (and one file of variables).

    Args:
        problems: why it does not fit; none if it does.
        lone_blobs: blobs that nothing fills; lone_variables: variables that nothing reads.
        left_blobs, left_variables: those that the mapping leaves out by name.
        zeros: variables left out that have to be one number everywhere.
    """

    mapping: MappingFile
    plan: Plan
    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]
    lone_blobs: tuple[Blob, ...]
    lone_variables: tuple[str, ...]
    left_blobs: tuple[Blob, ...]
    left_variables: tuple[str, ...]
    zeros: Mapping[str, float]

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


def resolve(
    mapping: MappingFile,
    plan: Plan,
    shapes: Mapping[str, Shape] | None = None,
    *,
    apart: Iterable[str] = (),
    partial: bool = False,
) -> Resolved:
    """Hold a mapping against a net and, where they are known, variables.

    Args:
        shapes: of every variable by name; None where the mapping alone says which there are.
        apart: variables that belong to training only (slots, counters), which may stay unnamed.
        partial: whether blobs may be left out (`--base` has them).

    Raises:
        MappingError: the mapping itself is wrong (a name with two readings).
    """
    blobs = list(blobs_of(plan))
    pairs: list[Pair] = []
    problems: list[Problem] = []
    named: set[Blob] = set()
    mentioned: dict[str, tuple[Blob, Value]] = {}
    for blob, value, values in _matched(mapping, blobs, problems):
        named.add(blob)
        names, minus = _names(value, values)
        for variable in filter(None, (*names, minus)):
            if variable in mentioned:
                other, where = mentioned[variable]
                text = f"{other} ({where.place}) and for {blob}"
                problems.append(Problem(f"{variable} stands for {text}", value.place))
            mentioned[variable] = blob, value
        try:
            pairs.append(_pair(mapping, plan, blob, value, names, minus, shapes, problems))
        except LayoutError as error:
            problems.append(Problem(f"{blob} {_sizes(blob.param.shape)}: {error}", value.place))
    left_blobs = [b for b in blobs if _ignored(mapping.blobs, str(b))]
    lone = [blob for blob in blobs if blob not in named and blob not in left_blobs]
    for blob in left_blobs if not partial else ():
        problems.append(
            Problem(f"{blob} is left out by name, so its numbers must come from --base OLD")
        )
    left: dict[str, Ignored] = {}
    lone_variables: list[str] = []
    for name in shapes or ():
        found = _ignored(mapping.variables, name)
        if name in mentioned:
            continue
        if found is not None:
            left[name] = found
        elif name not in set(apart):
            lone_variables.append(name)
    if not partial:
        problems += [_lone_blob(blob, shapes, lone_variables) for blob in lone]
    problems += [_lone_variable(name, (shapes or {})[name], lone) for name in lone_variables]
    zeros = {name: i.must_be for name, i in left.items() if i.must_be is not None}
    return Resolved(
        mapping,
        plan,
        tuple(pairs),
        tuple(problems),
        tuple(lone),
        tuple(lone_variables),
        tuple(left_blobs),
        tuple(left),
        zeros,
    )


def blobs_of(plan: Plan) -> Iterator[Blob]:
    """Every blob that has a role, at the layer that owns it, in the net's order."""
    for i, entry in enumerate(plan.layers):
        for j, param in enumerate(entry.params):
            if param.role and entry.owners[j] == (i, j):
                yield Blob(i, j, entry.layer.name, entry.layer.type, param)


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


def _names(value: Value, values: Values) -> tuple[tuple[str, ...], str]:
    """The variables that a role names, and the one that is folded in (or "").

    Raises:
        MappingError: a name that reads back in two ways.
    """
    templates = (*value.variables, *filter(None, [value.minus]))
    names = tuple(template.render(values, "tensorflow") for template in templates)
    for template, name in zip(templates, names, strict=True):
        template.read(name, "tensorflow")
    count = len(value.variables)
    return names[:count], "".join(names[count:])


def _pair(
    mapping: MappingFile,
    plan: Plan,
    blob: Blob,
    value: Value,
    names: tuple[str, ...],
    minus: str,
    shapes: Mapping[str, Shape] | None,
    problems: list[Problem],
) -> Pair:
    if value.constant is not None:
        return Pair(blob, value)
    transform = _transform(mapping, plan, blob, value, len(names))
    if shapes is not None:
        transform = _fitted(blob, value, transform, names, shapes, problems)
        if minus:
            _known(minus, value, shapes, problems)
            if shapes.get(minus, blob.param.shape) != blob.param.shape:
                raise LayoutError(f"{minus} is {_sizes(shapes[minus])}, so it cannot be subtracted")
    elif transform.along is not None and not transform.parts:
        raise LayoutError(f"{len(names)} variables of unknown sizes do not share it evenly")
    return Pair(blob, value, names, minus, transform)


def _transform(mapping: MappingFile, plan: Plan, blob: Blob, value: Value, count: int) -> Transform:
    """What the family says, with what the mapping adds."""
    param, entry = blob.param, plan.layers[blob.layer]
    for word in ("part", "gates", "forget_bias"):
        if getattr(value, word) not in ("", None):
            raise LayoutError(f"`{word}` is for recurrent layers, and this is a {blob.type}")
    if value.rearrange:
        found = transforms.rearranged(param, value.rearrange)
    elif value.flatten:
        found = transforms.flattened(param, value.flatten)
    elif value.layout:
        found = transforms.relaid(param, value.layout)
    else:
        found = transforms.default(param)
    flips = [transforms.axis_of(found, letter) for letter in value.reverse]
    if mapping.flips and reads_colours(plan, entry, blob):
        flips.append(transforms.axis_of(found, "I"))
    found = replace(found, flips=tuple(flips), delta=_delta(mapping, value, entry, blob))
    if count > 1:
        at = transforms.dimension(found, transforms.axis_of(found, value.along))
        size, rest = divmod(found.joined[at], count)
        parts = () if rest else (size,) * count
        found = replace(found, along=at, parts=parts)
    return found


def _fitted(
    blob: Blob,
    value: Value,
    transform: Transform,
    names: Sequence[str],
    shapes: Mapping[str, Shape],
    problems: list[Problem],
) -> Transform:
    """With the sizes of the variables that are joined.

    Raises:
        LayoutError: a variable of another shape than the blob wants.
    """
    for name in names:
        _known(name, value, shapes, problems)
    if any(name not in shapes for name in names):
        return transform
    if transform.along is not None and len({len(shapes[name]) for name in names}) == 1:
        parts = tuple(
            shapes[name][transform.along] for name in names if transform.along < len(shapes[name])
        )
        if sum(parts) == transform.joined[transform.along]:
            transform = replace(transform, parts=parts)
    for name, wanted in zip(names, transform.variable_shapes, strict=True):
        if shapes[name] != wanted:
            others = list(transforms.fitting(blob.param, shapes[name])) if len(names) == 1 else []
            hint = f"; with {' or '.join(others)} it would fit" if others else ""
            raise LayoutError(
                f"{name} is {_sizes(shapes[name])}, wanted is {_sizes(wanted)}"
                f" ({transforms.words(transform, blob.param)}){hint}"
            )
    return transform


def _known(name: str, value: Value, shapes: Mapping[str, Shape], problems: list[Problem]) -> None:
    if name not in shapes:
        near = get_close_matches(name, shapes, _NEAREST)
        hint = f"; the nearest names are {', '.join(near)}" if near else ""
        problems.append(Problem(f"there is no variable {name}{hint}", value.place))


def _delta(mapping: MappingFile, value: Value, entry: PlannedLayer, blob: Blob) -> float:
    """TensorFlow's epsilon minus Caffe's, for a variance."""
    is_variance = blob.type == "BatchNorm" and blob.role == "variance"
    if value.epsilon is not None and not is_variance:
        raise LayoutError("`epsilon` is for the variance of a BatchNorm")
    said = value.epsilon if value.epsilon is not None else mapping.epsilon
    if said is None or not is_variance:
        return 0.0
    caffe = float(entry.family.options(entry.layer).eps)
    delta = said - caffe
    return 0.0 if abs(delta) < 1e-6 * caffe else delta  # eps is a float32 in the prototxt


def reads_colours(plan: Plan, entry: PlannedLayer, blob: Blob) -> bool:
    """Whether a kernel reads an input of three channels directly."""
    if blob.type != "Convolution" or blob.role != "weights":
        return False
    source = plan.net.sources[blob.layer][0]
    shape = plan.shapes[source.layer][source.top]
    return plan.layers[source.layer].family.source and shape[1] == _COLOURS


def _ignored(items: Sequence[Ignored], name: str) -> Ignored | None:
    return next((item for item in items if _glob(item.glob).fullmatch(name)), None)


def _glob(text: str) -> re.Pattern[str]:
    """`*` within one component of a path, `**` across them, `{*}` a star."""
    parts = re.split(r"(\{\*\}|\*\*/?|\*)", text)
    known = {"{*}": r"\*", "**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts))


def _lone_blob(blob: Blob, shapes: Mapping[str, Shape] | None, lone: Sequence[str]) -> Problem:
    text = f"no entry for {blob} {_sizes(blob.param.shape)}"
    if shapes is not None:
        wanted = transforms.default(blob.param).joined
        near = get_close_matches(str(blob), lone, _NEAREST, 0.4)
        equal = [name for name in lone if shapes[name] == wanted and name not in near]
        listed = [f"{name} {_sizes(shapes[name])}" for name in (*near, *equal)[: 2 * _NEAREST]]
        text += f"; perhaps {', '.join(listed)}" if listed else ""
    return Problem(text)


def _lone_variable(name: str, shape: Shape, lone: Sequence[Blob]) -> Problem:
    text = f"the variable {name} {_sizes(shape)} goes nowhere; map it, or name it under `ignore`"
    equal = [str(b) for b in lone if transforms.default(b.param).joined == shape][:_NEAREST]
    return Problem(text + (f"; of its shape: {', '.join(equal)}" if equal else ""))


def _no_role(layer: str, role: str, mine: Mapping[str, Blob]) -> str:
    kind = next(iter(mine.values())).type
    return f"the layer {layer} ({kind}) has no blob {role!r}; it has {', '.join(mine)}"


def _no_layer(rule: Rule, roles: Mapping[str, object]) -> str:
    what = "no layer with weights is called" if rule.key.exact else "no layer with weights matches"
    near = get_close_matches(rule.key.text, roles, _NEAREST)
    return f"{what} {rule.key.text!r}" + (f"; the nearest are {', '.join(near)}" if near else "")


def _sizes(shape: Sequence[int]) -> str:
    return str(list(shape))
