"""One Caffe layer while it becomes Keras nodes: what a builder function is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from tfcaffe.bind import bilinear
from tfcaffe.errors import UnsupportedError
from tfcaffe.infer import PlannedLayer
from tfcaffe.layers.base import Param
from tfcaffe.layout import Layout, Pattern, steps
from tfcaffe.memory_order import contiguous
from tfcaffe.names import escape
from tfcaffe.net import Layer
from tfcaffe.tables import add_to, table

Tensor = Any
Weights = Mapping[str, np.ndarray]
Builder = Callable[["Site", Sequence[Tensor]], "Tensor | list[Tensor]"]

_TRAINING = ("_initializer", "_regularizer")  # arguments that do not change what is computed
_ANY_RANK = ("Dense", "Embedding")  # Keras layers that one input's rank does not bind
_BUILDERS: dict[str, Builder] = table()


def builds(*types: str) -> Callable[[Builder], Builder]:
    """Decorator: the function that builds these Caffe types. Twice the same type is an error.

    The function takes a Site and the bottoms (Keras tensors, in the layouts that the plan says)
    and returns the top, or a list of tops.
    """
    return add_to(_BUILDERS, types, "the builder of ")


def builders() -> dict[str, Builder]:
    """All that has been registered so far."""
    return _BUILDERS


@dataclass
class Shared:
    """The Keras layers of a model by what they hold, so that shared blobs stay shared.

    Args:
        holders: the first Caffe layer whose Keras layer holds a blob, by the blob's owner.
        notes: for the user: blobs that are shared in Caffe and apart in Keras.
    """

    layers: dict[Any, Any] = field(default_factory=dict)
    holders: dict[tuple[int, int], Layer] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def hold(self, layer: Layer, blobs: Sequence[tuple[Param, tuple[int, int]]]) -> None:
        """Note that one more Keras layer holds these blobs (each with its owner)."""
        apart = [(param.role, owner) for param, owner in blobs if owner in self.holders]
        if roles := " and ".join(role for role, _ in apart if role):
            self.notes.append(
                f"{layer}: shares its {roles} with {self.holders[apart[0][1]]}; no one Keras layer "
                "does both here, so each has its own copy: with the net's weights the answers are "
                "the same, but training would part the copies"
            )
        for _, owner in blobs:
            self.holders.setdefault(owner, layer)


class Site:
    """Where one Caffe layer is built.

    Args:
        planned: the layer, its layouts and blobs.
        values: its numbers by role in Caffe's layout, or None to leave Keras's initialisers at it.
        plain: whether only ops may be used that run on any CPU, without XLA.
        shared: the model's Keras layers so far.
        merged: the Scale behind a BatchNorm that becomes one Keras layer with it.
        weight_decay: the solver's, which each blob's decay_mult multiplies.
    """

    def __init__(
        self,
        planned: PlannedLayer,
        name: str,
        values: Weights | None,
        *,
        plain: bool,
        shared: Shared,
        merged: Site | None = None,
        weight_decay: float = 0.0,
    ) -> None:
        import keras

        self.keras, self.ops = keras, keras.ops
        self.planned = planned
        self.layer = planned.layer
        self.family: Any = planned.family
        self.options: Any = planned.family.options(planned.layer) if planned.family.field else None
        self.name = name
        self.plain = plain
        self.merged = merged
        self._weight_decay = weight_decay
        self._values = values
        self._shared = shared
        self._helpers = 0

    @property
    def bottom(self) -> Layout:
        """The first bottom's layout."""
        return self.planned.bottoms[0]

    @property
    def top(self) -> Layout:
        """The first top's layout."""
        return self.planned.tops[0]

    def helper(self) -> str:
        """A name for a node that the Caffe layer does not have."""
        self._helpers += 1
        return f"{self.name}>h{self._helpers}"

    def weight(self, role: str) -> np.ndarray | None:
        """The numbers of a role as TensorFlow lays them; None if there are none (no weights)."""
        values = self.caffe_weight(role)
        return None if values is None else self.param(role).to_tf(values)

    def caffe_weight(self, role: str) -> np.ndarray | None:
        """The numbers of a role as Caffe lays them; None if there are none (no weights).

        Without weights a bilinear kernel has numbers nevertheless: Keras cannot draw it.
        """
        if self._values is not None:
            return self._values[role]
        param = next(p for p in self.planned.params if p.role == role)
        said = param.filler and self.options.HasField(param.filler)
        filler = getattr(self.options, param.filler).type if said else ""
        return bilinear(param.shape) if filler == "bilinear" else None

    def param(self, role: str) -> Pattern:
        """The layout of a role's blob."""
        return next(p.layout for p in self.planned.params if p.role == role)

    def shape(self, role: str) -> tuple[int, ...]:
        """Caffe's shape of a role's blob."""
        return next(p.shape for p in self.planned.params if p.role == role)

    def has(self, role: str) -> bool:
        """Whether the layer has a blob of this role."""
        return any(p.role == role for p in self.planned.params)

    def op(self, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Any:
        """Call a `keras.ops` function and name the node that it makes."""
        result = function(*args, **kwargs)
        first = result[0] if isinstance(result, list | tuple) else result
        first._keras_history.operation.name = self.helper()
        return result

    def add(self, layer: str, *inputs: Tensor, **config: Any) -> Tensor:
        """Add a Keras layer without weights, by its class name in `keras.layers`."""
        made = getattr(self.keras.layers, layer)(name=self.helper(), **config)
        return made(inputs[0] if len(inputs) == 1 else list(inputs))

    def learn(
        self,
        layer: str,
        tensor: Tensor,
        weights: Mapping[str, np.ndarray | None],
        *,
        last: bool = True,
        roles: Sequence[str] | None = None,
        trainable: bool | None = None,
        **config: Any,
    ) -> Tensor:
        """Add a Keras layer with these weights, by their names in Keras.

        A layer whose blobs all belong to an earlier Caffe layer is that one's Keras layer again,
        if both apply the same numbers in the same places; else it gets a copy of its own.

        Args:
            last: whether it is the Caffe layer's final node, and so bears its name.
            roles: which of the Caffe layer's blobs it holds, if not all of them.
            trainable: None for what the Caffe layer says.
        """
        cls = getattr(self.keras.layers, layer)
        how = sorted((k, v) for k, v in config.items() if not k.endswith(_TRAINING))
        planned = zip(self.planned.params, self.planned.owners, strict=True)
        blobs = [(p, owner) for p, owner in planned if roles is None or p.role in roles]
        if self.merged is not None:
            merged = self.merged.planned
            blobs += zip(merged.params, merged.owners, strict=True)
        held = tuple((owner, p.shape, p.layout.moves) for p, owner in blobs)
        rank = None if layer in _ANY_RANK else len(tensor.shape)
        key = (layer, self.layer.type, rank, held, repr(how))
        made = self._shared.layers.get(key)
        if made is not None:
            return made(tensor)
        free = is_trainable(self.planned) if trainable is None else trainable
        made = cls(name=self.name if last else self.helper(), trainable=free, **config)
        fill(made, weights, tensor)
        self._shared.layers[key] = made
        self._shared.hold(self.layer, blobs)
        return made(tensor)

    def constant(self, tensor: Tensor, value: float) -> Tensor:
        """The same number in the tensor's shape, whatever the tensor's own numbers are.

        `keras.ops` has functions for it, but a node of theirs that Keras 3.5 writes does not load
        in Keras 3.15.
        """
        bits = self.op(self.ops.cast, self.op(self.ops.greater, tensor, 0.0), "float32")
        return self.add("Rescaling", bits, scale=0.0, offset=value)

    def decay(self, role: str) -> float:
        """The weight decay of a role's blob: the solver's times the blob's own decay_mult.

        A blob whose lr_mult is 0 has none: Caffe multiplies it by that.
        """
        j = next(j for j, p in enumerate(self.planned.params) if p.role == role)
        specs = self.layer.message.param
        if j >= len(specs):
            return self._weight_decay
        return self._weight_decay * specs[j].decay_mult if specs[j].lr_mult else 0.0

    def relaid(self, tensor: Tensor, have: Layout, want: Layout) -> Tensor:
        """The tensor in another layout."""
        for kind, argument in steps(have, want):
            if kind == "reshape":
                tensor = self.reshaped(tensor, argument)
            elif argument[0] == 0:
                tensor = self.add("Permute", tensor, dims=argument[1:])
            else:
                tensor = self.op(self.ops.transpose, tensor, argument)
        return tensor

    def reshaped(self, tensor: Tensor, shape: Sequence[int | None]) -> Tensor:
        """The tensor in another shape; None or -1 is a free size.

        Raises:
            UnsupportedError: two free sizes besides the batch, which no reshape can tell apart.
        """
        sizes = [-1 if s is None else s for s in shape]
        have = [-1 if s is None else s for s in tensor.shape]
        rest = have[1:], sizes[1:]
        kept = rest[1].count(-1) == 1 if -1 in rest[0] else prod(rest[0]) == prod(rest[1])
        if have[:1] == sizes[:1] != [] and kept:
            return self.add("Reshape", tensor, target_shape=tuple(sizes[1:]))
        if sizes.count(-1) > 1:
            raise UnsupportedError(
                f"{self.layer}: its shape depends on two sizes that are left free; fix them with "
                "--input-shape or --batch"
            )
        return self.op(self.ops.reshape, tensor, tuple(sizes))

    def fixed(self, axis: int) -> int:
        """The size of the first bottom's `axis`.

        Raises:
            UnsupportedError: it is left free.
        """
        size = self.bottom.shape[axis]
        if size is None:
            raise UnsupportedError(
                f"{self.layer}: needs the size of its bottom's axis {axis}, which is left free; "
                "fix it with --input-shape or --batch"
            )
        return size


def is_trainable(planned: PlannedLayer) -> bool:
    """False where the net freezes the layer: the lr_mult of each of its blobs is 0."""
    specs = planned.layer.message.param
    count = len(planned.params)
    return not (count and len(specs) >= count and all(s.lr_mult == 0 for s in specs[:count]))


def fill(layer: Any, weights: Mapping[str, np.ndarray | None], tensor: Tensor) -> None:
    """Build a Keras layer with its variables made from these arrays straight away.

    No initialiser runs, and one array at a time is copied. Variables without an array keep
    Keras's initialiser.
    """
    make = layer.add_weight

    def add_weight(*args: Any, name: str | None = None, **kwargs: Any) -> Any:
        array = weights.get(name or "")
        if array is not None:
            shape = kwargs["shape"] if "shape" in kwargs else args[0]
            values = contiguous(np.asarray(array, np.float32)).reshape(shape)
            kwargs["initializer"] = lambda shape, dtype=None: values
        return make(*args, name=name, **kwargs)

    layer.add_weight = add_weight
    try:
        layer.build(tensor.shape)
    finally:
        del layer.add_weight


def escaped(name: str, taken: set[str]) -> str:
    """The Keras name of a Caffe name; a repeated one gets `>d2`, `>d3` … at its end."""
    base = result = escape(name)
    number = 1
    while result in taken:
        number += 1
        result = f"{base}>d{number}"
    taken.add(result)
    return result
