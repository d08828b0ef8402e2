"""What a mapping cannot see: orders of numbers between layers, and readers of pictures."""

from pathlib import Path

import pytest

from mapped import plan_of
from tfcaffe.mapping import orders
from tfcaffe.mapping.check import check
from tfcaffe.mapping.mapping_file import parse_mapping
from tfcaffe.mapping.resolve import resolve

PICTURE = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
"""
VECTOR = PICTURE.replace("dim: 3 dim: 6 dim: 5", "dim: 60")
RESHAPED = """layer { name: "r" type: "Reshape" bottom: "data" top: "r"
  reshape_param { shape { dim: 0 dim: 3 dim: 4 dim: 5 } } }
"""
CHANNELS = "mapping: 1\nchannels: {caffe: bgr, tensorflow: rgb}\nlayers: {c: {weights: w}}\n"


def layer(kind: str, name: str, bottoms: str, more: str = "") -> str:
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {read} top: "{name}" {more} }}\n'


def conv(name: str, bottom: str, more: str = "") -> str:
    said = f"num_output: 6 kernel_size: 3 bias_term: false {more}"
    return layer("Convolution", name, bottom, f"convolution_param {{ {said} }}")


def fc(name: str, bottoms: str) -> str:
    return layer("InnerProduct", name, bottoms, "inner_product_param { num_output: 60 }")


FLAT = PICTURE + conv("c", "data") + layer("Flatten", "flat", "c")


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (FLAT + layer("BatchNorm", "bn", "flat") + fc("fc", "bn"), "bn (BatchNorm) reads"),
        (FLAT + layer("PReLU", "p", "flat"), "p (PReLU) reads"),
        (FLAT + layer("Softmax", "soft", "flat") + fc("fc", "soft"), "soft (Softmax) reads"),
        (FLAT + fc("a", "data") + layer("Concat", "both", "flat a") + fc("fc", "both"), "both"),
        (VECTOR + RESHAPED + conv("c", "r"), "c (Convolution) reads"),
        (VECTOR + fc("fc", "data") + RESHAPED.replace('m: "data"', 'm: "fc"'), "the output r is"),
    ],
)
def test_an_order_that_nobody_can_tell_is_noted(net: str, words: str, tmp_path: Path) -> None:
    (note,) = orders.notes(plan_of(net, tmp_path))
    assert note.startswith(words) and "--run" in note
    (tmp_path / "m.yaml").write_text("mapping: 1\nlayers:\n")
    assert note in check(tmp_path / "m.yaml", tmp_path / "net.prototxt").notes


@pytest.mark.parametrize(
    "net",
    [
        FLAT + layer("ReLU", "relu", "flat") + layer("Dropout", "drop", "relu") + fc("fc", "drop"),
        FLAT + layer("Softmax", "soft", "flat"),
        PICTURE + conv("c", "data") + fc("fc", "c") + layer("BatchNorm", "bn", "fc"),
        VECTOR
        + RESHAPED.replace("dim: 3 dim: 4 dim: 5", "dim: -1 dim: 1 dim: 1")
        + conv("c", "r", "pad: 1"),
    ],
)
def test_orders_that_follow_are_not(net: str, tmp_path: Path) -> None:
    assert orders.notes(plan_of(net, tmp_path)) == ()


@pytest.mark.parametrize(
    ("net", "reader"),
    [
        (PICTURE + conv("c", "data", "group: 3"), "c (Convolution)"),
        (PICTURE + layer("BatchNorm", "bn", "data") + conv("c", "bn"), "bn (BatchNorm)"),
        (PICTURE + layer("Power", "p", "data") + conv("c", "p"), "p (Power)"),
        (PICTURE + fc("c", "data"), "c (InnerProduct)"),
    ],
)
def test_pictures_that_channels_does_not_turn(net: str, reader: str, tmp_path: Path) -> None:
    mapping = parse_mapping(CHANNELS, tmp_path / "m.yaml")
    said = [str(problem) for problem in resolve(mapping, plan_of(net, tmp_path)).problems]
    assert len([text for text in said if f"`channels`: {reader} reads" in text]) == 1


@pytest.mark.parametrize("net", [PICTURE + conv("c", "data"), VECTOR + fc("c", "data")])
def test_pictures_that_it_turns(net: str, tmp_path: Path) -> None:
    mapping = parse_mapping(CHANNELS, tmp_path / "m.yaml")
    assert not list(orders.colours(mapping, plan_of(net, tmp_path)))


def test_a_number_for_each_channel_can_be_turned_by_hand(tmp_path: Path) -> None:
    net = PICTURE + layer("BatchNorm", "bn", "data") + layer("Scale", "s", "bn")
    turned = "reverse: [C]"
    text = (
        f"mapping: 1\nlayers:\n  bn: {{mean: {{variable: m, {turned}}}, "
        f"variance: {{variable: v, {turned}}}}}\n  s: {{gamma: {{variable: g, {turned}}}}}\n"
    )
    found = resolve(parse_mapping(text, tmp_path / "m.yaml"), plan_of(net, tmp_path))
    assert found.fits
    assert all("turned round" in pair.words for pair in found.pairs)
