"""The net inside a caffemodel: taken when it is surely BVLC's, refused when it may be a fork's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from corpus import CORPUS, needs_corpus
from oracles import caffe  # noqa: F401
from tfcaffe.errors import FileFormatError, NetError, UnsupportedError
from tfcaffe.files import caffe_hdf5, schema
from tfcaffe.files import carried_net as carried_net_module
from tfcaffe.files.carried_net import carried_net
from tfcaffe.files.splits import without_splits
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.oracle.pycaffe import Caffe
from weights_files import BLOBS, GENERATIONS, counted, inside, v2

SPLIT = """
name: "n"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 5 } } }
layer { name: "relu/1" type: "ReLU" bottom: "data" top: "r" phase: TRAIN }
layer { name: "r_relu/1_0_split" type: "Split" bottom: "r"
        top: "r_relu/1_0_split_0" top: "r_relu/1_0_split_1" }
layer { name: "a" type: "TanH" bottom: "r_relu/1_0_split_0" top: "a" }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "r_relu/1_0_split_1" top: "sum" }
"""
WHOLE = """
name: "n"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 5 } } }
layer { name: "relu/1" type: "ReLU" bottom: "data" top: "r" }
layer { name: "a" type: "TanH" bottom: "r" top: "a" }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "r" top: "sum" }
"""
Write = Callable[[bytes], Path]


def net_of(text: str) -> Any:
    return text_format.Parse(text, schema.bvlc().message("NetParameter")())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts bytes into a file."""

    def put(content: bytes) -> Path:
        path = tmp_path / "net.caffemodel"
        path.write_bytes(content)
        return path

    return put


def test_caffes_splits_and_phases_go(write: Write) -> None:
    assert carried_net(write(net_of(SPLIT).SerializeToString())) == net_of(WHOLE)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_without_its_blobs(generation: str, write: Write) -> None:
    content = GENERATIONS[generation].file(BLOBS["unpacked"])
    (layer,) = carried_net(write(content)).layer
    assert (layer.name, layer.type, len(layer.blobs)) == ("c", "Convolution", 0)


@pytest.mark.parametrize(
    "text",
    [
        'layer { name: "mine" type: "Split" bottom: "r" top: "x" top: "y" }',
        'layer { name: "r_relu_0_split" type: "Split" bottom: "r" top: "x" top: "y" }',
        'layer { name: "r_other_0_split" type: "Split" bottom: "r" '
        'top: "r_other_0_split_0" top: "r_other_0_split_1" }',
    ],
    ids=["own name", "own tops", "other layer"],
)
def test_the_users_own_splits_stay(text: str) -> None:
    net = net_of('layer { name: "relu" type: "ReLU" top: "r" }' + text)
    assert without_splits(net) == net


def test_a_loss_weight_goes_back_to_its_layer() -> None:
    net = net_of("""
        layer { name: "loss" type: "SoftmaxWithLoss" top: "x" top: "l" }
        layer { name: "l_loss_1_split" type: "Split" bottom: "l"
                top: "l_loss_1_split_0" top: "l_loss_1_split_1" loss_weight: 3 loss_weight: 0 }
        layer { name: "more" type: "Power" bottom: "l_loss_1_split_1" top: "m" }
    """)
    loss, more = without_splits(net).layer
    assert list(loss.loss_weight) == [0, 3]
    assert list(more.bottom) == ["l"]


def test_a_blob_written_over_cannot_be_rewired() -> None:
    net = net_of("""
        layer { name: "a" type: "ReLU" top: "x" }
        layer { name: "x_a_0_split" type: "Split" bottom: "x"
                top: "x_a_0_split_0" top: "x_a_0_split_1" }
        layer { name: "b" type: "ReLU" bottom: "x" top: "x" }
        layer { name: "c" type: "ReLU" bottom: "x_a_0_split_0" top: "c" }
    """)
    with pytest.raises(NetError, match=r"layer 'c' reads 'x_a_0_split_0'.*'b' wrote over it"):
        without_splits(net)


def layer_of(kind: bytes, *more: bytes) -> bytes:
    return inside(100, inside(1, b"l") + inside(2, kind) + b"".join(more))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (layer_of(b"Upsample"), "layer 'l': its type 'Upsample'"),
        (layer_of(b"ReLU", inside(149, b"")), "layer 'l': field 149"),
        (layer_of(b"Pooling", inside(121, counted(14, 1))), "layer 'l': field 121.14"),
        (layer_of(b"Pooling", inside(121, counted(1, 77))), "layer 'l': field 121.1 "),
        (layer_of(b"ReLU", inside(147, b"")), "ReLU layer has no swish_param .field 147"),
        (layer_of(b"ReLU") + counted(9, 1), "the net's field 9"),
        (inside(2, inside(4, b"l") + counted(5, 40)), "layer 'l': field 5"),
        (inside(2, inside(1, inside(1, b"l") + counted(99, 1))), "layer 'l': field 1.99"),
    ],
    ids=["type", "field", "inner field", "enum", "other's", "net", "V1 type", "V0 field"],
)
def test_what_may_be_a_forks_is_refused(content: bytes, reason: str, write: Write) -> None:
    with pytest.raises(UnsupportedError, match=f"{reason}.*give the prototxt"):
        carried_net(write(content))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"layer {}", "no caffemodel"),
        (v2(b"")[:-3], "no caffemodel"),
        (layer_of(b"ReLU", inside(123, b"\xff")), "no caffemodel"),
        (layer_of(b"ReLU", inside(3, b"caf\xe9")), "UTF-8|no caffemodel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_damaged_files_are_refused(content: bytes, reason: str, write: Write) -> None:
    with pytest.raises(FileFormatError, match=reason):
        carried_net(write(content))


def test_a_bare_net_of_many_megabytes_is_refused(write: Write) -> None:
    path = write(b"")
    with path.open("wb") as file:
        file.write(b"\xa2\x06\x85\x80\x80\x20\x1a\x80\x80\x80\x20")  # a bottom of 64 MiB
        file.truncate(file.tell() + (64 << 20))
    with pytest.raises(FileFormatError, match="bare net"):
        carried_net(path)


def test_hdf5_carries_no_net(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    caffe_hdf5.write(path, [LayerBlobs("c", "", Blobs.of([np.ones(3)]))])
    with pytest.raises(UnsupportedError, match="carry no net: give the prototxt"):
        carried_net(path)


def test_every_message_of_a_layer_has_its_owner() -> None:
    fields = schema.bvlc().message("LayerParameter").DESCRIPTOR.fields_by_name
    assert {name for name in fields if name.endswith("_param")} == carried_net_module._OWNERS.keys()


def test_the_types_are_real_caffes(caffe: Caffe) -> None:  # noqa: F811
    newer_than_1_0 = {"Clip", "Swish"}
    assert carried_net_module._TYPES - set(caffe.layer_types) <= newer_than_1_0


@needs_corpus
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lenet/lenet_iter_10000", 9),
        ("vdsr/VDSR_Adam", 42),
        ("opencv_extra_caffe_layers/layer_concat_optim", 6),
    ],
)
def test_nets_of_the_corpus(name: str, layers: int) -> None:
    net = carried_net(CORPUS / "models" / f"{name}.caffemodel")
    assert len(net.layer) == layers
    assert "Split" not in {layer.type for layer in net.layer}


@needs_corpus
@pytest.mark.parametrize("name", ["mtcnn_det1/det1", "ultraface_rfb320/RFB-320"])
def test_forks_of_the_corpus(name: str) -> None:
    with pytest.raises(UnsupportedError, match="field"):
        carried_net(CORPUS / "models" / f"{name}.caffemodel")
