"""Multiply-adds against arithmetic that uses no rule of ours."""

from math import prod

import pytest

from layer_nets import SMALL
from oracles import Write
from prototxts import data, layer, param
from tfcaffe.load import load_net
from tfcaffe.plan import make_plan


def macs(text: str, write: Write) -> list[int]:
    return [entry.macs for entry in make_plan(load_net(write(text))).layers if entry.params]


@pytest.mark.parametrize("group", [1, 2, 4])
def test_multiply_adds_of_convolutions(group: int, write: Write) -> None:
    fields = {"num_output": 8, "kernel_h": 3, "kernel_w": 2, "stride": 2, "group": group}
    text = SMALL + "".join(
        layer(kind, "data", kind, param("convolution_param", **fields))
        for kind in ("Convolution", "Deconvolution")
    )
    # Each number of the (3, 3) top is a sum over the kernel and its group's channels; the other
    # way, each number of the (7, 6) bottom goes through the kernel into its group's channels.
    forward = 2 * 8 * (3 * 3) * (3 * 2) * (4 // group)
    backward = 2 * 4 * (7 * 6) * (3 * 2) * (8 // group)
    assert macs(text, write) == [forward, backward]


def test_multiply_adds_of_inner_products(write: Write) -> None:
    text = SMALL + "".join(
        layer("InnerProduct", "data", f"y{axis}", f"inner_product_param {{ {fields} }}")
        for axis in (1, 3)
        for fields in [f"num_output: 5 axis: {axis}"]
    )
    assert macs(text, write) == [2 * (4 * 7 * 6) * 5, (2 * 4 * 7) * 6 * 5]


def convolution(bottom: str, top: str, **fields: int) -> str:
    return layer("Convolution", bottom, top, param("convolution_param", **fields))


def pooling(bottom: str, top: str) -> str:
    return layer("Pooling", bottom, top, "pooling_param { kernel_size: 3 stride: 2 }")


def inner_product(bottom: str, top: str, outputs: int) -> str:
    return layer("InnerProduct", bottom, top, f"inner_product_param {{ num_output: {outputs} }}")


ALEXNET = (
    data(1, 3, 227, 227)
    + convolution("data", "1", num_output=96, kernel_size=11, stride=4)
    + pooling("1", "p1")
    + convolution("p1", "2", num_output=256, kernel_size=5, pad=2, group=2)
    + pooling("2", "p2")
    + convolution("p2", "3", num_output=384, kernel_size=3, pad=1)
    + convolution("3", "4", num_output=384, kernel_size=3, pad=1, group=2)
    + convolution("4", "5", num_output=256, kernel_size=3, pad=1, group=2)
    + pooling("5", "p5")
    + inner_product("p5", "6", 4096)
    + inner_product("6", "7", 4096)
    + inner_product("7", "8", 1000)
)


def test_the_well_known_totals_of_alexnet(write: Write) -> None:
    plan = make_plan(load_net(write(ALEXNET)))
    assert sum(entry.macs for entry in plan.layers) == 724_406_816
    assert sum(prod(p.shape) for entry in plan.layers for p in entry.params) == 60_965_224


def test_multiply_adds_do_not_depend_on_what_is_free(write: Write) -> None:
    text = SMALL + layer(
        "Convolution", "data", "y", "convolution_param { num_output: 8 kernel_size: 3 }"
    )
    net = load_net(write(text))
    usual = make_plan(net)
    assert usual.layers[1].macs == 2 * 8 * (5 * 4) * (3 * 3) * 4
    for plan in (make_plan(net, {"data": (None, 4, None, None)}), make_plan(net, batch=2)):
        assert [entry.macs for entry in plan.layers] == [entry.macs for entry in usual.layers]
