"""What a rule is given: its node, the blobs that it reads, and ways to add Caffe layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from tf2caffe.dialect import Dialect, faults_of
from tf2caffe.graph import Array, Graph, Node, Tensor
from tf2caffe.net import axes, families
from tf2caffe.net.moving import moved
from tf2caffe.net.sizes import Sizes
from tf2caffe.net.value import Blob, NewLayer, Numbers, Value
from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.files import weights as files
from tfcaffe.layers.base import Param
from tfcaffe.layout import Layout
from tfcaffe.net import Layer

_T = TypeVar("_T")


@dataclass
class Builder:
    """The net in the making.

    Args:
        values: the tensors that have been said.
        sizes: for which other heights and widths the net is right.
        shuffled: of blobs [N, K] in an order of their own (which only products with a constant
            read), TensorFlow's number of each of the K.
    """

    graph: Graph
    dialect: Dialect
    layers: list[NewLayer] = field(default_factory=list)
    values: dict[Tensor, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sizes: Sizes = field(default_factory=Sizes)
    shuffled: dict[Blob, Array] = field(default_factory=dict)
    readers: Mapping[Tensor, list[Node]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.readers = self.graph.readers()


class Site:
    """One node that is being said in Caffe's layers."""

    def __init__(self, builder: Builder, node: Node) -> None:
        self.builder, self.node = builder, node
        self.graph, self.dialect = builder.graph, builder.dialect

    # -- what the node reads

    @property
    def attrs(self) -> Any:
        return self.node.attrs

    def is_constant(self, index: int) -> bool:
        """Whether an input depends on no input of the net."""
        return self.graph.is_constant(self.node.inputs[index])

    def constant(self, index: int) -> Array:
        """An input's numbers.

        Raises:
            UnsupportedError: it depends on the net's inputs.
        """
        if not self.is_constant(index):
            raise self.refusal(
                f"its input {index} is computed from the net's inputs; Caffe wants a fixed value "
                "there"
            )
        return self.graph.constant(self.node.inputs[index])

    def value(self, index: int = 0) -> Value:
        """An input as a blob."""
        tensor = self.node.inputs[index]
        if tensor not in self.builder.values and tensor.op == "Placeholder":
            raise self.refusal(
                f"it reads the input {tensor.node.origin or tensor.node.name!r}, which --inputs "
                "leaves out; name that there, too, or say with --outputs what is wanted"
            )
        if tensor not in self.builder.values:
            raise self.refusal(
                f"its input {index} is a constant, which no layer of stock Caffe makes a blob of; "
                "cut the net with --outputs, or move the constant into a layer's weights"
            )
        return self.builder.values[tensor]

    def image(self, index: int = 0) -> Value:
        """An input as a blob with the channels on axis 1, by the node's `data_format`."""
        value = self.value(index)
        return self.to(value, self.image_layout(value.tf_shape))

    def image_layout(self, tf_shape: Sequence[int]) -> Layout:
        """How a tensor of this shape lies in a blob with the channels on axis 1."""
        return Layout.of_tensor(tf_shape) if self.channels_last else Layout.caffe(tf_shape)

    @property
    def channels_last(self) -> bool:
        """What the node's `data_format` says."""
        return self.node.channels_last

    def spatial(self, numbers: Sequence[_T]) -> tuple[_T, ...]:
        """Of one entry for each of the tensor's dimensions, those of the spatial ones."""
        return tuple(numbers[1:-1] if self.channels_last else numbers[2:])

    # -- what it becomes

    def layer(self, kind: str, *bottoms: Value, **how: Any) -> Blob:
        """Add a layer with one top; all else is as for `layers`."""
        (top,) = self.layers(kind, *bottoms, **how)
        return top

    def layers(
        self,
        kind: str,
        *bottoms: Value,
        weights: Mapping[str, Numbers] | None = None,
        caffe: Mapping[str, Numbers] | None = None,
        hint: str = "",
        tops: int = 1,
        **options: Any,
    ) -> list[Blob]:
        """Add a layer; gives its tops.

        Args:
            kind: Caffe's type.
            weights: the numbers of its blobs by role, as TensorFlow lays them (or who gives them).
            caffe: those that are given as Caffe lays them.
            hint: what it does, where a node needs several layers.
            options: fields of the type's own parameter message.

        Raises:
            UnsupportedError: the dialect has no such type, or Caffe refuses the layer.
        """
        family = families.family(kind)
        message = families.message(kind)
        message.name = self.node.origin or self.node.name
        own = getattr(message, family.field) if family.field else None
        _set(message if own is None else own, options)
        if own is not None and kind in ("Concat", "Slice"):
            own.axis = options["axis"]  # MNN wants a Slice's said, default or not
        elif own is not None and not own.ListFields():
            message.ClearField(family.field)
        rank = len(bottoms[0].shape) if bottoms else 0
        if faults := faults_of(self.dialect, kind, len(bottoms), own, axes=rank):
            raise self.refusal(
                f"is said by {faults[0]}, which the dialect {self.dialect.name} does not have; "
                "choose another --dialect, cut the net with --outputs, or change the layer"
            )
        names = [f"t{i}" for i in range(tops)]
        layer = Layer(message.name, kind, tuple("b" * len(bottoms)), tuple(names), message)
        try:
            family.check(layer)
            shapes = family.shapes(layer, [value.shape for value in bottoms])
            params = family.params(layer, [value.layout for value in bottoms])
        except NetError as error:
            raise self.refusal(f"Caffe refuses what it would be: {error}") from error
        blobs = [
            files.Blob(param.shape, partial(_numbers, param, weights or {}, caffe or {}))
            for param in params
        ]
        made = [Blob(tuple(shape)) for shape in shapes]
        new = NewLayer(kind, message, [v.blob for v in bottoms], made, blobs, message.name, hint)
        new.learned = bool(weights)
        for blob in made:
            blob.maker = new
        self.builder.layers.append(new)
        return made

    def slices(
        self, value: Value, axis: int, points: Sequence[int], hint: str = "slice"
    ) -> list[Value]:
        """The blob cut at these points of an axis: parts for their own sake."""
        tops = self.layers(
            "Slice",
            value.blob.raw,
            hint=hint,
            tops=len(points) + 1,
            axis=axis,
            slice_point=list(points),
        )
        return [top.raw for top in tops]

    def like(self, blob: Blob, value: Value) -> Value:
        """A blob that lies as another does."""
        return Value(blob, value.layout)

    def image_of(self, blob: Blob) -> Value:
        """A blob with the channels on axis 1, by the node's `data_format`."""
        lies = Layout.channels_last if self.channels_last else Layout.caffe
        return Value(blob, lies(blob.shape))

    def to(self, value: Value, want: Layout) -> Value:
        """The same tensor in another layout: nothing, a Reshape, or layers that move numbers."""
        if value.layout == want:
            return value
        if not axes.alike(value.layout, want):
            return moved(self, value, want)
        return Value(self.reshape(value, axes.fixed(want.shape)).blob, want)

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """The blob's numbers in another shape of Caffe's, the layout as Caffe has it."""
        if value.shape == tuple(shape):
            return value.blob.raw
        dims = [0 if shape[0] == value.shape[0] else -1, *shape[1:]]  # the batch stays free
        top = self.layer("Reshape", value, hint="reshape", shape={"dim": dims})
        return top.raw

    def power(
        self,
        value: Value,
        scale: float = 1.0,
        shift: float = 0.0,
        power: float = 1.0,
        hint: str = "",
    ) -> Value:
        """(shift + scale · x) ^ power."""
        top = self.layer(
            "Power", value, hint=hint or "power", scale=scale, shift=shift, power=power
        )
        return self.like(top, value)

    def product(self, a: Value, b: Value, hint: str = "") -> Value:
        """a · b, both lying alike."""
        return self.like(self.layer("Eltwise", a, b, hint=hint or "prod", operation="PROD"), a)

    def square(self, x: Value) -> Value:
        """x · x: Caffe's Power takes twenty times as long, by `pow` of the C library."""
        return self.product(x, x, hint="square")

    def sum(self, a: Value, b: Value, hint: str = "") -> Value:
        """a + b, both lying alike."""
        return self.like(self.layer("Eltwise", a, b, hint=hint or "sum", operation="SUM"), a)

    def difference(self, a: Value, b: Value, hint: str = "") -> Value:
        """a - b, both lying alike."""
        top = self.layer("Eltwise", a, b, hint=hint or "sub", operation="SUM", coeff=[1.0, -1.0])
        return self.like(top, a)

    def fixes(self, value: Value) -> None:
        """What the node becomes holds for the sizes that a blob has."""
        self.builder.sizes.fixed.append((self.node.origin, value.blob))

    def changes_by(self, value: Value, strides: Sequence[int]) -> None:
        """What the node becomes holds where a blob's sizes change by multiples of these."""
        self.builder.sizes.strides.append((value.blob, tuple(strides)))

    def refusal(self, reason: str) -> UnsupportedError:
        """What to raise where the node cannot be said exactly."""
        return UnsupportedError(f"{self.node}: {reason}")


def _set(message: Any, options: Mapping[str, Any]) -> None:
    """Set fields; those at the schema's default stay unsaid, but `_h` and `_w` come as a pair."""
    for name, value in options.items():
        field_ = message.DESCRIPTOR.fields_by_name[name]
        if isinstance(value, Mapping):
            _set(getattr(message, name), value)
        elif hasattr(getattr(message, name), "extend"):  # a repeated field
            getattr(message, name).extend(value if isinstance(value, list | tuple) else [value])
        elif field_.enum_type is not None:
            setattr(message, name, field_.enum_type.values_by_name[value].number)
        else:
            default = getattr(message, name)
            setattr(message, name, value)
            if getattr(message, name) == default and not name.endswith(("_h", "_w")):
                message.ClearField(name)


def _numbers(param: Param, weights: Mapping[str, Numbers], caffe: Mapping[str, Numbers]) -> Array:
    """A blob's numbers as Caffe lays them, read when they are written."""
    if not param.role:
        return param.unspoken()
    given = caffe.get(param.role, weights.get(param.role))
    array = np.asarray(given() if callable(given) else given, np.float32)
    laid = array if param.role in caffe else param.layout.to_caffe(array)
    return np.ascontiguousarray(laid).reshape(param.shape)
