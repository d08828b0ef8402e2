"""How kernel, stride, pad and dilation are read; what they do to shapes is in test_shapes."""

import pytest

from prototxts import data, layer
from tfcaffe import geometry
from tfcaffe import net as nets
from tfcaffe.errors import NetError
from tfcaffe.files import prototxt
from tfcaffe.geometry import Geometry
from tfcaffe.net import Layer


def written(kind: str, fields: str) -> Layer:
    file = prototxt.parse(data(1, 2, 9, 8) + layer(kind, "data", "y", fields))
    return nets.from_message(file.net, file.lines).layers[1]


@pytest.mark.parametrize(
    ("fields", "axes", "expected"),
    [
        ("kernel_size: 3", 2, Geometry((3, 3), (1, 1), (0, 0), (1, 1))),
        ("kernel_size: 3 kernel_size: 5", 2, Geometry((3, 5), (1, 1), (0, 0), (1, 1))),
        (
            "kernel_h: 3 kernel_w: 5 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 4",
            2,
            Geometry((3, 5), (1, 2), (0, 4), (1, 1)),
        ),
        (
            "kernel_size: 3 stride: 2 pad: 1 dilation: 1 dilation: 4",
            2,
            Geometry((3, 3), (2, 2), (1, 1), (1, 4)),
        ),
        ("kernel_size: 3 pad: 2", 1, Geometry((3,), (1,), (2,), (1,))),
        (
            "kernel_size: 1 kernel_size: 2 kernel_size: 3 stride: 2",
            3,
            Geometry((1, 2, 3), (2, 2, 2), (0, 0, 0), (1, 1, 1)),
        ),
    ],
)
def test_convolution(fields: str, axes: int, expected: Geometry) -> None:
    conv = written("Convolution", f"convolution_param {{ num_output: 1 {fields} }}")
    assert geometry.convolution(conv, conv.message.convolution_param, axes) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("kernel_size: 3", Geometry((3, 3), (1, 1), (0, 0), (1, 1))),
        (
            "kernel_h: 3 kernel_w: 2 stride_h: 4 stride_w: 5 pad_h: 2 pad_w: 1",
            Geometry((3, 2), (4, 5), (2, 1), (1, 1)),
        ),
        ("global_pooling: true", Geometry((9, 8), (1, 1), (0, 0), (1, 1))),
    ],
)
def test_pooling(fields: str, expected: Geometry) -> None:
    pool = written("Pooling", f"pooling_param {{ {fields} }}")
    assert geometry.pooling(pool, pool.message.pooling_param, (9, 8)) == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("", "kernel_size is given 0 times; it takes one for all or one for each of 2"),
        ("kernel_size: 3 kernel_h: 3 kernel_w: 3", "give kernel_size, or kernel_h and kernel_w"),
        ("kernel_size: 3 stride: 0", "stride must be at least 1"),
        ("kernel_size: 3 pad: 1 pad: 1 pad: 1", "pad is given 3 times"),
    ],
)
def test_errors_name_layer_and_field(fields: str, message: str) -> None:
    conv = written("Convolution", f"convolution_param {{ num_output: 1 {fields} }}")
    with pytest.raises(NetError) as error:
        geometry.convolution(conv, conv.message.convolution_param, 2)
    assert str(error.value).startswith("layer 'y' (Convolution, line 2): ")
    assert message in str(error.value)


def test_extent_counts_the_holes() -> None:
    assert Geometry((3, 5), (1, 1), (0, 0), (2, 3)).extent == (5, 13)
