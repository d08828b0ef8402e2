"""One pair of a mapping: a blob, its variables, and the transform between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from tfcaffe.infer import PlannedLayer
from tfcaffe.layers.base import Param
from tfcaffe.layout import Shape
from tfcaffe.mapping import layouts
from tfcaffe.mapping import transform as transforms
from tfcaffe.mapping.document import Place
from tfcaffe.mapping.flow import Flow
from tfcaffe.mapping.layouts import LayoutError
from tfcaffe.mapping.mapping_file import MappingFile
from tfcaffe.mapping.template import Values
from tfcaffe.mapping.transform import Move, Transform
from tfcaffe.mapping.values import Value
from tfcaffe.plan import Plan

NEAREST = 3  # names to show
PARTS = {"input": "input_weights", "recurrent": "recurrent_weights"}  # of one kernel, in order
_COLOURS = 3  # channels that have an order


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
    def names(self) -> tuple[str, ...]:
        """All its variables."""
        return (*self.variables, *filter(None, [self.minus]))

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


def blobs_of(plan: Plan) -> Iterator[Blob]:
    """Every blob that has a role, at the layer that owns it, in the net's order."""
    for i, entry in enumerate(plan.layers):
        for j, param in enumerate(entry.params):
            if param.role and entry.owners[j] == (i, j):
                yield Blob(i, j, entry.layer.name, entry.layer.type, param)


def names_of(value: Value, values: Values) -> tuple[tuple[str, ...], str]:
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


def pair_of(
    mapping: MappingFile,
    plan: Plan,
    blob: Blob,
    value: Value,
    names: tuple[str, ...],
    minus: str,
    shapes: Mapping[str, Shape] | None,
    flow: Flow,
) -> Pair:
    if value.constant is not None:
        return Pair(blob, value)
    transform = _transform(mapping, plan, blob, value, len(names), flow)
    if shapes is not None:
        transform = _fitted(blob, value, transform, names, shapes)
        if minus and shapes.get(minus, blob.param.shape) != blob.param.shape:
            raise LayoutError(f"{minus} is {sizes_of(shapes[minus])}, so it cannot be subtracted")
    return Pair(blob, value, names, minus, transform)


def _transform(
    mapping: MappingFile, plan: Plan, blob: Blob, value: Value, count: int, flow: Flow
) -> Transform:
    """What the family says, with what the mapping adds."""
    entry = plan.layers[blob.layer]
    param, moves = _followed(blob, value, flow)
    if value.rearrange:
        found = layouts.rearranged(param, value.rearrange)
    elif value.flatten:
        found = layouts.flattened(param, value.flatten, value.layout)
    elif value.layout:
        found = layouts.relaid(param, value.layout)
    else:
        found = layouts.default(param)
    flips = [layouts.axis_of(found, letter) for letter in value.reverse]
    if mapping.flips and reads_colours(plan, entry, blob):
        flips.append(layouts.axis_of(found, "I"))
    if twice := [axis.upper() for axis in flips if flips.count(axis) > 1]:
        raise LayoutError(
            f"the axis {twice[0]} is turned round twice: `reverse` names each axis once, and "
            "`channels` turns round the inputs of a kernel that reads colours"
        )
    found = replace(found, flips=tuple(flips), delta=_delta(mapping, value, entry, blob))
    found = replace(found, moves=moves)
    if count > 1:
        at = layouts.dimension(found, layouts.axis_of(found, value.along))
        equal = _groups(entry) == count and not found.joined[at] % count
        parts = (found.joined[at] // count,) * count if equal else ()
        found = replace(found, along=at, parts=parts)
    return _recurrent(value, blob, entry, found)


def _followed(blob: Blob, value: Value, flow: Flow) -> tuple[Param, tuple[Move, ...]]:
    """The blob, and what moves in it, where the net flattens or reshapes.

    Raises:
        LayoutError: nobody can tell, and the mapping does not say.
    """
    order = flow.blobs.get((blob.layer, blob.index))
    if order is None or value.rearrange:  # which says all of it
        return blob.param, ()
    if value.flatten:
        return blob.param, order.outputs
    if order.known:
        return order.param, (*order.inputs, *order.outputs)
    fc = blob.type == "InnerProduct"
    raise LayoutError(
        "its numbers were flattened, reshaped or joined, and Caffe counts them in another order "
        "than TensorFlow does unless your code transposes; say how the variable lies by "
        + ("`flatten: [H=…, W=…, C=…]` or " if fc else "")
        + f'`rearrange: "{_plain(blob.param)}"`, if that is it, and let `mapping check --run` tell'
    )


def _plain(param: Param) -> str:
    """Caffe's order as a pattern, but for the kernel's axes."""
    text = layouts.default(param).pattern.text
    inputs = transforms.inputs_of(text)
    return re.sub(r"\([^()]*\)", "i", text) if inputs else text


def _groups(entry: PlannedLayer) -> int:
    """In how many equal parts a layer's outputs are made."""
    options = entry.family.options(entry.layer) if entry.family.field else None
    return int(getattr(options, "group", 1))


def _recurrent(value: Value, blob: Blob, entry: PlannedLayer, found: Transform) -> Transform:
    """With what an entry says that only recurrent layers have.

    Raises:
        LayoutError: this blob has no gates, no forget gate's bias, or is no part of a kernel.
    """
    param, other = blob.param, f"and this is {blob.role} of a {blob.type}"
    if param.gates and value.minus is not None:
        raise LayoutError(f"`minus` is for blobs without gates, {other}")
    if value.gates:
        if not param.gates:
            raise LayoutError(f"`gates` is for recurrent layers that have gates (LSTM), {other}")
        found = replace(found, gates=layouts.gate_order(param, value.gates))
    if value.forget_bias is not None:
        if not param.gates or blob.role != "bias":
            raise LayoutError(f"`forget_bias` is for the bias of an LSTM, {other}")
        units, gate = param.shape[0] // len(param.gates), param.gates.index("f")
        among = gate * units, (gate + 1) * units
        found = replace(found, delta=value.forget_bias, among=among)
    if value.part:
        if blob.role != PARTS[value.part]:
            raise LayoutError(
                f"`part: {value.part}` is for {PARTS[value.part]} of recurrent layers, {other}"
            )
        inputs, states = (
            next(p.shape[1] for p in entry.params if p.role == role) for role in PARTS.values()
        )
        first = 0 if value.part == "input" else inputs
        found = replace(found, part=layouts.part_of(found, first, inputs + states))
    return found


def _fitted(
    blob: Blob,
    value: Value,
    transform: Transform,
    names: Sequence[str],
    shapes: Mapping[str, Shape],
) -> Transform:
    """With the sizes of the variables that are joined.

    Raises:
        LayoutError: a variable of another shape than the blob wants.
    """
    if any(name not in shapes for name in names):
        return transform
    if transform.along is not None and len({len(shapes[name]) for name in names}) == 1:
        parts = tuple(
            shapes[name][transform.along] for name in names if transform.along < len(shapes[name])
        )
        if sum(parts) == transform.joined[transform.along]:
            transform = replace(transform, parts=parts)
    if transform.along is not None and not transform.parts:
        listed = " and ".join(f"{name} {sizes_of(shapes[name])}" for name in names)
        joined = sizes_of(transform.joined)
        raise LayoutError(f"{listed}, joined along {value.along}, do not make {joined}")
    for name, wanted in zip(names, transform.variable_shapes, strict=True):
        if shapes[name] != wanted:
            others = list(layouts.fitting(blob.param, shapes[name])) if len(names) == 1 else []
            raise LayoutError(
                f"{name} is {sizes_of(shapes[name])}, wanted is {sizes_of(wanted)}"
                f" ({transforms.words(transform, blob.param)}); "
                + _instead(others, shapes[name], wanted, shapes)
            )
    return transform


def _instead(ways: Sequence[str], shape: Shape, wanted: Shape, shapes: Mapping[str, Shape]) -> str:
    """What to write where a variable has another shape than is wanted."""
    if ways:
        return f"with {' or '.join(ways)} it would fit"
    if prod(shape) == prod(wanted):
        return "it has as many numbers: say by `rearrange` how they lie"
    equal = [name for name, shape in shapes.items() if shape == wanted]
    if equal:
        more = f" and {len(equal) - NEAREST} more" if len(equal) > NEAREST else ""
        return f"of the wanted shape: {', '.join(equal[:NEAREST])}{more}"
    return "no variable has the wanted shape: is this another net's checkpoint or prototxt?"


def _delta(mapping: MappingFile, value: Value, entry: PlannedLayer, blob: Blob) -> float:
    """TensorFlow's epsilon minus Caffe's, for a variance."""
    if not is_variance(blob):
        if value.epsilon is not None:
            raise LayoutError("`epsilon` is for the variance of a BatchNorm")
        return 0.0
    caffe = caffe_epsilon(entry)
    said = said_epsilon(mapping, value)
    return 0.0 if said is None or same_epsilon(said, caffe) else said - caffe


def is_variance(blob: Blob) -> bool:
    return blob.type == "BatchNorm" and blob.role == "variance"


def said_epsilon(mapping: MappingFile, value: Value) -> float | None:
    return value.epsilon if value.epsilon is not None else mapping.epsilon


def caffe_epsilon(entry: PlannedLayer) -> float:
    return float(entry.family.options(entry.layer).eps)


def same_epsilon(a: float, b: float) -> bool:
    """Whether two epsilons are one number, which a prototxt holds as a float32."""
    return abs(a - b) < 1e-6 * abs(b)


def reads_colours(plan: Plan, entry: PlannedLayer, blob: Blob) -> bool:
    """Whether a kernel reads an input of three channels directly."""
    if blob.type != "Convolution" or blob.role != "weights":
        return False
    source = plan.net.sources[blob.layer][0]
    shape = plan.shapes[source.layer][source.top]
    return plan.layers[source.layer].family.source and shape[1] == _COLOURS


def sizes_of(shape: Sequence[int]) -> str:
    return str(list(shape))
