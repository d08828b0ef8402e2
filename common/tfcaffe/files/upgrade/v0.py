"""V0 nets (`layers { layer { type: "conv" … } bottom: … }`) become V1 nets.

Source: upgrade_proto.cpp (UpgradeV0PaddingLayers, UpgradeV0LayerParameter, UpgradeV0LayerType).
"""

from typing import Any

from tfcaffe.errors import NetError

_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

# The forks' own V0 types: DSN's cascaded cross-channel pooling, a grouped 1x1 convolution
_FORK_TYPES = {"cccp": "CCCP"}

_WEIGHTED = {
    "conv": "convolution_param",
    "innerproduct": "inner_product_param",
    "cccp": "convolution_param",
}
_WINDOWED = {"conv": "convolution_param", "pool": "pooling_param"}
_DROPOUT = {"dropout": "dropout_param"}
_LRN = {"lrn": "lrn_param"}
_IMAGES = {"images": "image_data_param"}
_WINDOW_DATA = {"window_data": "window_data_param"}
_BATCHED = {
    "data": "data_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "window_data": "window_data_param",
}

# V0 field: (the field's name in V1, the V1 message that holds it for each V0 layer type)
_FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "num_output": ("num_output", _WEIGHTED),
    "biasterm": ("bias_term", _WEIGHTED),
    "weight_filler": ("weight_filler", _WEIGHTED),
    "bias_filler": ("bias_filler", _WEIGHTED),
    "pad": ("pad", _WINDOWED),
    "kernelsize": ("kernel_size", _WINDOWED),
    "group": ("group", {"conv": "convolution_param", "cccp": "convolution_param"}),
    "stride": ("stride", _WINDOWED),
    "pool": ("pool", {"pool": "pooling_param"}),
    "dropout_ratio": ("dropout_ratio", _DROPOUT),
    "mean_on_test": ("mean_on_test", _DROPOUT),  # DSN's
    "mean_on_train": ("mean_on_train", _DROPOUT),
    "local_size": ("local_size", _LRN),
    "alpha": ("alpha", _LRN),
    "beta": ("beta", _LRN),
    "k": ("k", _LRN),
    "source": ("source", {**_BATCHED, "infogain_loss": "infogain_loss_param"}),
    "batchsize": ("batch_size", _BATCHED),
    "rand_skip": ("rand_skip", {"data": "data_param", **_IMAGES}),
    "shuffle_images": ("shuffle", _IMAGES),
    "new_height": ("new_height", _IMAGES),
    "new_width": ("new_width", _IMAGES),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", _WINDOW_DATA),
    "det_bg_threshold": ("bg_threshold", _WINDOW_DATA),
    "det_fg_fraction": ("fg_fraction", _WINDOW_DATA),
    "det_context_pad": ("context_pad", _WINDOW_DATA),
    "det_crop_mode": ("crop_mode", _WINDOW_DATA),
}
_TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}
_CARRIED = frozenset({"name", "type", "blobs", "blobs_lr", "weight_decay", "hdf5_output_param"})


def is_v0(net: Any) -> bool:
    """Whether any of the net's layers is a V0 layer."""
    return any(layer.HasField("layer") for layer in net.layers)


def upgrade(net: Any, notes: list[str]) -> tuple[Any, tuple[int, ...]]:
    """A V1 net, and for each of its layers the index in `net.layers` that it comes from.

    Raises:
        NetError: an unknown layer type, a padding layer before anything but one convolution or
            pooling, or an unknown bottom.
    """
    upgraded = type(net)()
    origins = tuple(i for i, layer in enumerate(net.layers) if layer.layer.type != "padding")
    pads = _pads(net)
    for i in origins:
        _upgrade_layer(net.layers[i], pads.get(i), upgraded.layers.add(), notes)
    for name in ("name", "force_backward"):
        if net.HasField(name):
            setattr(upgraded, name, getattr(net, name))
    upgraded.input.extend(net.input)
    upgraded.input_dim.extend(net.input_dim)
    dropped = [name for name in ("input_shape", "state", "debug_info") if _is_set(net, name)]
    if dropped:
        notes.append(f"Caffe drops these fields of a V0 net, and so do we: {', '.join(dropped)}")
    return upgraded, origins


def _is_set(message: Any, name: str) -> bool:
    return any(field.name == name for field, _ in message.ListFields())


def _pads(net: Any) -> dict[int, Any]:
    """For each layer that reads a padding layer, that padding layer."""
    made_by: dict[str, int] = dict.fromkeys(net.input, -1)
    pads: dict[int, Any] = {}
    for i, layer in enumerate(net.layers):
        for bottom in layer.bottom:
            if bottom not in made_by:
                raise NetError(f"layer {layer.layer.name!r} reads {bottom!r}, which no layer makes")
            source = made_by[bottom]
            if source >= 0 and net.layers[source].layer.type == "padding":
                _check_padding(net.layers[source], layer)
                pads[i] = net.layers[source]
        made_by.update(dict.fromkeys(layer.top, i))
    return pads


def _check_padding(padding: Any, reader: Any) -> None:
    name, kind = padding.layer.name, reader.layer.type
    if kind not in _WINDOWED:
        raise NetError(
            f"the padding layer {name!r} feeds {reader.layer.name!r} of type {kind!r}: "
            "Caffe allows padding before convolution and pooling only"
        )
    if len(reader.bottom) != 1 or len(padding.bottom) != 1 or len(padding.top) != 1:
        raise NetError(
            f"the padding layer {name!r} and its reader {reader.layer.name!r} must have "
            "one bottom each, and the padding one top"
        )


def _upgrade_layer(old: Any, padding: Any, new: Any, notes: list[str]) -> None:
    v0 = type(old.layer)()
    v0.CopyFrom(old.layer)
    new.bottom.extend(old.bottom)
    new.top.extend(old.top)
    if padding is not None:
        v0.pad = padding.layer.pad
        new.bottom[0] = padding.bottom[0]
    if not old.HasField("layer"):
        raise NetError(
            f"layer {old.name!r} is of another generation than the V0 layers around it, and Caffe "
            "loses its type there: write all layers in one form"
        )
    new.name = v0.name
    kind = _TYPES.get(v0.type) or _FORK_TYPES.get(v0.type)
    if kind is None or kind not in dict(new.LayerType.items()):
        raise NetError(f"layer {v0.name!r}: {v0.type!r} is not a V0 layer type that Caffe upgrades")
    new.type = new.LayerType.Value(kind)
    new.blobs.extend(v0.blobs)
    new.blobs_lr.extend(v0.blobs_lr)
    new.weight_decay.extend(v0.weight_decay)
    for field, value in v0.ListFields():
        if field.name in _TRANSFORM:
            setattr(new.transform_param, _TRANSFORM[field.name], value)
        elif field.name == "hdf5_output_param" and v0.type == "hdf5_output":
            new.hdf5_output_param.CopyFrom(value)
        elif field.name in _FIELDS and v0.type in _FIELDS[field.name][1]:
            name, holders = _FIELDS[field.name]
            _assign(getattr(new, holders[v0.type]), name, value)
        elif field.name not in _CARRIED or field.name == "hdf5_output_param":
            notes.append(
                f"layer {v0.name!r}: {field.name} means nothing to V0 type {v0.type!r} and is "
                "ignored, as Caffe does"
            )


def _assign(message: Any, name: str, value: Any) -> None:
    target = getattr(message, name)
    if hasattr(target, "append"):
        target.append(value)
    elif hasattr(target, "CopyFrom"):
        target.CopyFrom(value)
    else:
        setattr(message, name, value)
