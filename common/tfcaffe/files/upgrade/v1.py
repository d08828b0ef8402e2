"""V1 nets (`layers { type: CONVOLUTION … }`) become V2 nets.

Source: upgrade_proto.cpp (UpgradeNetDataTransformation, UpgradeV1LayerParameter,
UpgradeV1LayerType).
"""

from typing import Any

from tfcaffe.errors import NetError

_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}

# The forks' own V1 types, under the names that the same forks' V2 nets use.
_FORK_TYPES = {
    "BN": "BN",
    "CCCP": "CCCPPooling",
    "CROP": "Crop",
    "DENSE_CRF": "DenseCRF",
    "ELTWISE_ACCURACY": "EltwiseAccuracy",
    "IMAGE_SEG_DATA": "ImageSegData",
    "INTERP": "Interp",
    "MCWINDOW_DATA": "MCWindowData",
    "MULTI_STAGE_MEANFIELD": "MultiStageMeanfield",
    "NAMCWINDOW_DATA": "NAMCWindowData",
    "RELU6": "ReLU6",
    "UNPOOLING": "Unpooling",
    "WINDOW_SEG_DATA": "WindowSegData",
}

_DATA_PARAMS = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
# V1 field: the field of ParamSpec that its i-th value goes to
_PARAM_FIELDS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}
_COPIED = ("bottom", "top", "include", "exclude", "blobs", "loss_weight")


def has_data_transforms(net: Any) -> bool:
    """Whether a V1 data layer holds preprocessing that belongs into its transform_param."""
    return any(
        param.HasField(field)
        for layer in net.layers
        if (param := _data_param(layer)) is not None
        for field in _TRANSFORM_FIELDS
    )


def move_data_transforms(net: Any) -> None:
    """Moves scale, mean_file, crop_size and mirror into transform_param, in place."""
    for layer in net.layers:
        param = _data_param(layer)
        if param is None:
            continue
        param.SetInParent()
        layer.transform_param.SetInParent()
        for field in _TRANSFORM_FIELDS:
            if param.HasField(field):
                setattr(layer.transform_param, field, getattr(param, field))
                param.ClearField(field)


def upgrade_layer(old: Any, new: Any, notes: list[str]) -> None:
    """Fills the V2 layer `new` from the V1 layer `old`.

    Raises:
        NetError: the layer's parameters have no place in a V2 layer.
    """
    for field in _COPIED:
        getattr(new, field).extend(getattr(old, field))
    for field, spec_field in _PARAM_FIELDS.items():
        for i, value in enumerate(getattr(old, field)):
            while len(new.param) <= i:
                new.param.add()
            setattr(new.param[i], spec_field, value)
    for field, value in old.ListFields():
        if field.name == "name":
            new.name = value
        elif field.name == "type":
            new.type = type_string(_type_name(old))
        elif field.name.endswith("_param"):
            _copy_param(field, value, new)
        elif field.name not in (*_COPIED, *_PARAM_FIELDS):
            notes.append(
                f"layer {old.name!r}: {field.name} has no meaning in a V2 net and is ignored"
            )


def type_string(name: str) -> str:
    """The V2 type of a V1 type: `type_string("RELU")` is "ReLU"; unknown ones keep their name."""
    return _TYPES.get(name, _FORK_TYPES.get(name, name))


def _copy_param(field: Any, value: Any, new: Any) -> None:
    target = new.DESCRIPTOR.fields_by_name.get(field.name)
    if target is None or target.message_type is not field.message_type:
        raise NetError(f"layer {new.name!r}: a V2 layer has no {field.name} of this kind")
    getattr(new, field.name).CopyFrom(value)


def _type_name(layer: Any) -> str:
    return str(layer.LayerType.Name(layer.type))


def _data_param(layer: Any) -> Any:
    name = _DATA_PARAMS.get(_type_name(layer))
    return None if name is None else getattr(layer, name)
