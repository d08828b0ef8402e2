"""Nets of Caffe's older generations are brought to the V2 form, as Caffe itself does on loading.

Works on nets from text and from binary files alike; blobs are carried along.
Source: upgrade_proto.cpp (UpgradeNetAsNeeded).
"""

from dataclasses import dataclass
from typing import Any

from tfcaffe.errors import NetError
from tfcaffe.files.upgrade import v0, v1


@dataclass(frozen=True)
class Upgraded:
    """A net in the V2 form and how it came about."""

    net: Any  # a NetParameter
    notes: tuple[str, ...]  # what was changed, in Caffe's order
    origins: tuple[int | None, ...]
    """For each of `net.layer` the index in the original's `layer` or `layers`, None if made."""


def upgrade(net: Any) -> Any:
    """The V2 form of a NetParameter of any generation, as a new message.

    Raises:
        NetError: Caffe refuses the net, too: `layer` mixed with `layers`, unknown V0 types,
            inputs without enough dimensions.
    """
    return trace(net).net


def trace(net: Any) -> Upgraded:
    """As `upgrade`, with notes and the origin of each layer.

    Raises:
        NetError: see `upgrade`.
    """
    if net.layer and net.layers:
        raise NetError(
            "the net mixes `layer` and `layers`, and Caffe refuses that: `layer` takes a string "
            '(type: "ReLU"), `layers` a name (type: RELU); write all layers in one form'
        )
    notes: list[str] = []
    origins: tuple[int | None, ...] = tuple(range(len(net.layer) or len(net.layers)))
    if v0.is_v0(net):
        net, origins = v0.upgrade(net, notes)
        notes.append("upgraded from V0 layers")
    else:
        net = _copy(net)
    if v1.has_data_transforms(net):
        v1.move_data_transforms(net)
        notes.append("data layers' scale, mean_file, crop_size, mirror moved to transform_param")
    if net.layers:
        for layer in net.layers:
            v1.upgrade_layer(layer, net.layer.add(), notes)
        net.ClearField("layers")
        notes.append("upgraded from V1 layers")
    if net.input:
        net, added = _upgrade_inputs(net, notes)
        origins = (None,) * added + origins
    _upgrade_batch_norms(net, notes)
    return Upgraded(net, tuple(notes), origins)


def _copy(net: Any) -> Any:
    copy = type(net)()
    copy.CopyFrom(net)
    return copy


def _upgrade_inputs(net: Any, notes: list[str]) -> tuple[Any, int]:
    """`input` with input_shape or input_dim becomes one Input layer, the net's first."""
    upgraded = type(net)()
    if net.input_shape or net.input_dim:
        layer = upgraded.layer.add(name="input", type="Input", top=net.input)
        for i in range(len(net.input)):
            layer.input_param.shape.add(dim=_input_dims(net, i))
        notes.append("input fields became an Input layer")
    else:
        notes.append(f"inputs without a shape were dropped: {', '.join(net.input)}")
    added = len(upgraded.layer)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)
    upgraded.MergeFrom(net)
    return upgraded, added


def _input_dims(net: Any, i: int) -> list[int]:
    """The shape of input `i`: input_shape goes before input_dim, which is always 4-D."""
    name, count = net.input[i], len(net.input)
    if net.input_shape:
        if i < len(net.input_shape):
            return list(net.input_shape[i].dim)
        raise NetError(f"input {name!r} has no input_shape: {count} inputs need one each")
    dims = list(net.input_dim[4 * i : 4 * i + 4])
    if len(dims) < 4:
        raise NetError(
            f"input {name!r} has {len(dims)} of its 4 input_dim: {count} inputs need "
            f"{4 * count} in all, the net has {len(net.input_dim)}"
        )
    return dims


def _upgrade_batch_norms(net: Any, notes: list[str]) -> None:
    """BatchNorm with three `param` (the layer's older form): its statistics are never learned."""
    changed = False
    for layer in net.layer:
        if layer.type != "BatchNorm" or len(layer.param) != 3:
            continue
        for spec in layer.param:
            changed = changed or spec.lr_mult != 0 or spec.decay_mult != 0
            spec.lr_mult = spec.decay_mult = 0.0
    if changed:
        notes.append("BatchNorm layers with three param: lr_mult and decay_mult set to 0")
