"""The net that a `.caffemodel` carries, for those who have lost the prototxt.

Forks gave the same field numbers to different things, so a net is taken from a binary file only if
it can be BVLC's alone; else the prototxt, where fields have names, is asked for.
"""

from pathlib import Path
from typing import Any

from tfcaffe.errors import FileFormatError, UnsupportedError
from tfcaffe.files import schema
from tfcaffe.files.caffemodel import NET_LAYER, NET_LAYERS_V1, V0, V1, V1_LAYER_V0, V2, Numbers
from tfcaffe.files.file_kind import is_hdf5
from tfcaffe.files.splits import without_splits
from tfcaffe.files.upgrade import upgrade
from tfcaffe.files.wire import Buffer, WireError, WireType, bytes_field, fields
from tfcaffe.input import map_file

_MAX_NET = 64 << 20  # bytes of a net without its blobs; real ones have some ten thousand
_WAY_OUT = "give the prototxt"

_NET = Numbers(name=0, type=0, blobs=0, bottom=0, top=0)
_WITH_BLOBS = {(_NET, NET_LAYER): V2, (_NET, NET_LAYERS_V1): V1, (V1, V1_LAYER_V0): V0}

# Which layer types read which message. Source: the layers' own code (src/caffe/layers).
_LOSSES = (
    "ContrastiveLoss EuclideanLoss HingeLoss InfogainLoss MultinomialLogisticLoss "
    "SigmoidCrossEntropyLoss SoftmaxWithLoss"
)
_OWNERS = {
    "accuracy_param": "Accuracy",
    "argmax_param": "ArgMax",
    "batch_norm_param": "BatchNorm",
    "bias_param": "Bias",
    "clip_param": "Clip",
    "concat_param": "Concat",
    "contrastive_loss_param": "ContrastiveLoss",
    "convolution_param": "Convolution Deconvolution Im2col",
    "crop_param": "Crop",
    "data_param": "Data",
    "dropout_param": "Dropout",
    "dummy_data_param": "DummyData",
    "eltwise_param": "Eltwise",
    "elu_param": "ELU",
    "embed_param": "Embed",
    "exp_param": "Exp",
    "flatten_param": "Flatten",
    "hdf5_data_param": "HDF5Data",
    "hdf5_output_param": "HDF5Output",
    "hinge_loss_param": "HingeLoss",
    "image_data_param": "ImageData",
    "infogain_loss_param": "InfogainLoss",
    "inner_product_param": "InnerProduct",
    "input_param": "Input",
    "log_param": "Log",
    "loss_param": _LOSSES,
    "lrn_param": "LRN",
    "memory_data_param": "MemoryData",
    "mvn_param": "MVN",
    "parameter_param": "Parameter",
    "pooling_param": "Pooling",
    "power_param": "Power",
    "prelu_param": "PReLU",
    "python_param": "Python",
    "recurrent_param": "LSTM RNN",
    "reduction_param": "Reduction",
    "relu_param": "ReLU",
    "reshape_param": "Reshape",
    "scale_param": "Scale",
    "sigmoid_param": "Sigmoid",
    "slice_param": "Slice",
    "softmax_param": "InfogainLoss Softmax SoftmaxWithLoss",
    "spp_param": "SPP",
    "swish_param": "Swish",
    "tanh_param": "TanH",
    "threshold_param": "Threshold",
    "tile_param": "Tile",
    "transform_param": "Data ImageData MemoryData WindowData",
    "window_data_param": "WindowData",
}
_WITHOUT_PARAM = "AbsVal BNLL BatchReindex Filter LSTMUnit Silence Split"
_TYPES = frozenset(" ".join([*_OWNERS.values(), _LOSSES, _WITHOUT_PARAM]).split())


def carried_net(path: str | Path) -> Any:
    """The net inside a caffemodel as a V2 NetParameter without blobs, fit for any phase.

    Split layers that Caffe put in are taken out, and so is the phase that it noted in each layer.

    Raises:
        UsageError: There is no such file.
        FileFormatError: It is no caffemodel, or a damaged one.
        NetError: Caffe would refuse the net.
        UnsupportedError: It may be a fork's net; with the layer and the field.
    """
    path = Path(path)
    if is_hdf5(path):
        raise UnsupportedError(f"{path}: HDF5 files carry no net: {_WAY_OUT}")
    _, buffer = map_file(path)
    message = schema.bvlc().message("NetParameter")()
    try:
        message.ParseFromString(_without_blobs(buffer, 0, len(buffer), _NET))
    except (WireError, _decode_error()) as error:
        raise FileFormatError(f"{path}: is no caffemodel, or a damaged one: {error}") from error
    _refuse_unknown_fields(path, message)
    net = upgrade(message)
    for layer in net.layer:
        _check_layer(path, layer)
        layer.ClearField("phase")
    return without_splits(net)


def _without_blobs(buffer: Buffer, start: int, end: int, numbers: Numbers) -> bytes:
    kept = bytearray()
    for entry in fields(buffer, start, end):
        inner = _WITH_BLOBS.get((numbers, entry.number))
        if entry.number == numbers.blobs:
            continue
        if inner is not None and entry.wire_type is WireType.BYTES:
            bare = _without_blobs(buffer, entry.start, entry.end, inner)
            piece = bytes_field(entry.number, bare)
        else:
            piece = buffer[entry.tag : min(entry.end, entry.tag + _MAX_NET + 1)]
        kept += piece
        if len(kept) > _MAX_NET:
            raise WireError(entry.tag, f"the bare net has more than {_MAX_NET} bytes")
    return bytes(kept)


def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError


def _refuse_unknown_fields(path: Path, net: Any) -> None:
    for layer in [*net.layer, *net.layers]:
        unknown = _unknown_field(layer)
        if unknown is not None:
            raise UnsupportedError(
                f"{path}: layer {_name(layer)!r}: field {unknown} is not BVLC Caffe's, and "
                f"forks disagree on what it is: {_WAY_OUT}"
            )
    unknown = _unknown_field(net)
    if unknown is not None:
        raise UnsupportedError(f"{path}: the net's field {unknown} is not BVLC's: {_WAY_OUT}")


def _name(layer: Any) -> str:
    """The name of a layer of any generation; a V0 one has it in the message inside."""
    inner = getattr(layer, "layer", None)
    return str(inner.name if inner is not None and inner.name else layer.name)


def _unknown_field(message: Any) -> str | None:
    """The first field in `message` or below it that the schema lacks, as "106.99"."""
    own = type(message)()
    own.CopyFrom(message)
    for descriptor, _ in message.ListFields():
        own.ClearField(descriptor.name)
    unknown = own.SerializePartialToString()  # the schema's fields are cleared, these remain
    if unknown:
        return str(next(fields(unknown, 0, len(unknown))).number)
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for inner in [value] if hasattr(value, "ListFields") else value:
            found = _unknown_field(inner)
            if found is not None:
                return f"{descriptor.number}.{found}"
    return None


def _check_layer(path: Path, layer: Any) -> None:
    where = f"{path}: layer {layer.name!r}"
    names = (layer.name, layer.type, *layer.bottom, *layer.top)
    if not all(isinstance(name, str) for name in names):  # protobuf gives bytes then
        raise FileFormatError(f"{where}: its names are not UTF-8: {_WAY_OUT}")
    if layer.type not in _TYPES:
        raise UnsupportedError(f"{where}: its type {layer.type!r} is not BVLC's: {_WAY_OUT}")
    for descriptor, _ in layer.ListFields():
        owners = _OWNERS.get(descriptor.name)
        if owners is not None and layer.type not in owners.split():
            raise UnsupportedError(
                f"{where}: a {layer.type} layer has no {descriptor.name} (field "
                f"{descriptor.number}) in BVLC Caffe: {_WAY_OUT}"
            )
