"""The Caffe side of each shipped mapping: a prototxt of the corpus, and what it must be changed in.

The changes are those that the mapping's comment names as its condition; without them Caffe computes
another function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcaffe.files import prototxt

Net = Any  # a NetParameter
Change = Callable[[Net], None]


@dataclass(frozen=True)
class CaffeSide:
    """A prototxt.

    Args:
        net: its name in the corpus.
        conditions: what a user has to change in it, so that both sides compute the same.
        setup: what only makes it the net that is meant (another input size, layers left out).
    """

    net: str
    conditions: tuple[Change, ...] = ()
    setup: tuple[Change, ...] = ()

    def write(
        self, corpus: Path, path: Path, *, changed: bool = True, also: tuple[Change, ...] = ()
    ) -> Path:
        """The prototxt, with its conditions met or as it was published."""
        net = prototxt.read(corpus / "prototxt" / f"{self.net}.prototxt").net
        for change in (*self.setup, *(self.conditions if changed else ()), *also):
            change(net)
        path.write_text(prototxt.dump(net), encoding="utf-8")
        return path


def _layer(net: Net, name: str) -> Any:
    return next(layer for layer in net.layer if layer.name == name)


def _insert(net: Net, behind: str, new: Sequence[dict[str, Any]]) -> None:
    """Layers behind a layer, each said as `LayerParameter`'s keywords."""
    at = next(i for i, layer in enumerate(net.layer) if layer.name == behind) + 1
    later = [type(layer).FromString(layer.SerializeToString()) for layer in net.layer[at:]]
    del net.layer[at:]
    for words in new:
        net.layer.add(**words)
    net.layer.extend(later)


def fed(*dims: int) -> Change:
    """The layer `data` as an input of this shape."""

    def change(net: Net) -> None:
        layer = _layer(net, "data")
        layer.Clear()
        layer.name, layer.type = "data", "Input"
        layer.top.append("data")
        layer.input_param.shape.add().dim.extend(dims)

    return change


def without(*names: str) -> Change:
    """Leaves out layers of one bottom; what read them reads their bottom."""

    def change(net: Net) -> None:
        for name in names:
            gone = _layer(net, name)
            old, new = gone.top[0], gone.bottom[0]
            net.layer.remove(gone)
            for layer in net.layer:
                if old in layer.bottom:
                    if old in layer.top:  # in place
                        layer.top[:] = [new if top == old else top for top in layer.top]
                    layer.bottom[:] = [new if bottom == old else bottom for bottom in layer.bottom]

    return change


def put(name: str, param: str, **values: Any) -> Change:
    """Other fields of one layer's parameters; None clears one."""

    def change(net: Net) -> None:
        message = getattr(_layer(net, name), param)
        for field, value in values.items():
            if hasattr(getattr(message, field), "append"):
                getattr(message, field)[:] = [value]
            elif value is None:
                message.ClearField(field)
            else:
                setattr(message, field, value)

    return change


def pad_before(name: str, pad: int) -> Change:
    """A convolution of stride 2 whose first window begins `pad` before the image.

    Caffe pads both sides alike: two rows and columns more, and the first of what they make cut off.
    """

    def change(net: Net) -> None:
        layer = _layer(net, name)
        top = layer.top[0]
        layer.convolution_param.pad[:] = [pad + 2]
        layer.top[0] = f"{top}_wide"
        cut = []
        for axis, old, new in ((2, f"{top}_wide", f"{top}_rows"), (3, f"{top}_rows", top)):
            off = f"{new}_off{axis}"
            slicing = {"axis": axis, "slice_point": [1]}
            cut.append({"name": f"{name}_cut{axis}", "type": "Slice", "bottom": [old]})
            cut[-1] |= {"top": [off, new], "slice_param": slicing}
            cut.append({"name": f"{off}_silence", "type": "Silence", "bottom": [off]})
        _insert(net, name, cut)

    return change


def relu6(net: Net) -> None:
    """Every ReLU with what is above 6 subtracted."""
    for name in [layer.name for layer in net.layer if layer.type == "ReLU"]:
        layer = _layer(net, name)
        top = layer.top[0]
        positive, above, clipped = f"{top}_positive", f"{top}_above", f"{top}_clipped"
        behind = False
        for other in net.layer:
            if behind:
                other.bottom[:] = [clipped if b == top else b for b in other.bottom]
                other.top[:] = [clipped if t == top else t for t in other.top]
            behind = behind or other.name == name
        layer.top[0] = positive
        power = {"shift": -6.0}
        both = [positive, above]
        _insert(
            net,
            name,
            [
                {"name": f"{name}_less", "type": "Power", "bottom": [positive], "top": [above]}
                | {"power_param": power},
                {"name": f"{name}_above", "type": "ReLU", "bottom": [above], "top": [above]},
                {"name": f"{name}_6", "type": "Eltwise", "bottom": both, "top": [clipped]}
                | {"eltwise_param": {"coeff": [1.0, -1.0]}},
            ],
        )


def average_without_pad(name: str) -> Change:
    """An average pooling that does not count its pad: divided by what it makes of ones."""

    def change(net: Net) -> None:
        layer = _layer(net, name)
        layer.pooling_param.pool = layer.pooling_param.AVE
        bottom, top = layer.bottom[0], layer.top[0]
        layer.top[0] = f"{top}_all"
        ones, share, inverse = f"{top}_ones", f"{top}_share", f"{top}_inverse"
        again = {"pooling_param": layer.pooling_param}
        both = [f"{top}_all", inverse]
        _insert(
            net,
            name,
            [
                {"name": ones, "type": "Power", "bottom": [bottom], "top": [ones]}
                | {"power_param": {"scale": 0.0, "shift": 1.0}},
                {"name": share, "type": "Pooling", "bottom": [ones], "top": [share]} | again,
                {"name": inverse, "type": "Power", "bottom": [share], "top": [inverse]}
                | {"power_param": {"power": -1.0}},
                {"name": f"{name}_true", "type": "Eltwise", "bottom": both, "top": [top]}
                | {"eltwise_param": {"operation": 0}},
            ],
        )

    return change


def _floor(name: str) -> Change:
    """Max pooling with a pad of 1 that rounds down."""

    def change(net: Net) -> None:
        pooling = _layer(net, name).pooling_param
        pooling.ClearField("ceil_mode")
        pooling.pad = 1
        pooling.round_mode = 1

    return change


def smaller(net: Net) -> None:
    """Fully connected layers of few outputs: a mapping knows no sizes."""
    for layer in net.layer:
        if layer.type == "InnerProduct":
            layer.inner_product_param.num_output = min(40, layer.inner_product_param.num_output)


def renamed(**names: str) -> Change:
    """Layers whose names end so, called otherwise."""

    def change(net: Net) -> None:
        for layer in net.layer:
            for old, new in names.items():
                if layer.name.endswith(old):
                    layer.name = layer.name.removesuffix(old) + new

    return change


# SqueezeNet v1.0 is in the corpus under other names only.
_V1_0 = renamed(
    conv1x1_1="squeeze1x1", conv1x1_2="expand1x1", conv3x3_2="expand3x3", conv_final="conv10"
)
_VGG19 = (fed(1, 3, 224, 224),)  # the prototxt reads from memory
_VGG_A = tuple(
    name
    for block, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3))
    for name in (f"conv{block}_{n}", f"relu{block}_{n}")
)
_HALVING = ("conv1", "conv2_2/dw", "conv3_2/dw", "conv4_2/dw", "conv5_6/dw")
_HALVING_V2 = ("conv1", "conv2_2/dwise", "conv3_2/dwise", "conv4_3/dwise", "conv5_3/dwise")
_EXPANSION = ("conv2_1/expand", "conv2_1/expand/bn", "conv2_1/expand/scale", "relu2_1/expand")
_AVERAGES = (
    *(f"inception_a{i}_pool" for i in (1, 2, 3)),
    *(f"inception_b{i}_pool_ave" for i in (1, 2, 3, 4)),
    *(f"inception_c{i}_pool" for i in (1, 2)),
)

SHIPPED: dict[str, CaffeSide] = {
    "vgg16_keras": CaffeSide("vgg16"),
    "vgg19_keras": CaffeSide("vgg19", setup=_VGG19),
    "resnet50_keras": CaffeSide("resnet50", (_floor("pool1"),)),
    "resnet101_keras": CaffeSide("resnet101", (_floor("pool1"),)),
    "resnet152_keras": CaffeSide("resnet152", (_floor("pool1"),)),
    "mobilenet_v1_keras": CaffeSide(
        "mobilenet_v1", (*(pad_before(name, 0) for name in _HALVING), relu6)
    ),
    "mobilenet_v2_keras": CaffeSide(
        "mobilenet_v2",
        (
            without(*_EXPANSION),
            put("conv4_3/dwise", "convolution_param", stride=2),
            put("conv4_7/dwise", "convolution_param", stride=1),
            *(pad_before(name, 0) for name in _HALVING_V2),
            relu6,
        ),
    ),
    "densenet121_keras": CaffeSide("densenet121", (_floor("pool1"),)),
    "inception_v3_keras": CaffeSide(
        "inception_v3", tuple(average_without_pad(name) for name in _AVERAGES)
    ),
    "xception_keras": CaffeSide("xception"),
    "vgg16_slim": CaffeSide("vgg16"),
    "vgg19_slim": CaffeSide("vgg19", setup=_VGG19),
    "vgg_a_slim": CaffeSide("vgg16", setup=(without(*_VGG_A),)),
    "resnet50_slim": CaffeSide("resnet50"),
    "resnet101_slim": CaffeSide("resnet101"),
    "resnet152_slim": CaffeSide("resnet152"),
    "mobilenet_v1_slim": CaffeSide("mobilenet_v1", (relu6,)),
    "inception_v1_slim": CaffeSide(
        "inception_v1_tf",
        (pad_before("conv1_7x7_s2", 2), put("pool4_3x3_s2", "pooling_param", kernel_size=2)),
    ),
    "vgg19_tflearn": CaffeSide("vgg19", setup=(fed(1, 3, 112, 112),)),
    "caffenet_keras_groups": CaffeSide("caffenet"),
    "lenet_caffe_tensorflow": CaffeSide("lenet"),
    "alexnet_caffe_tensorflow": CaffeSide("alexnet"),
    "caffenet_caffe_tensorflow": CaffeSide("caffenet"),
    "nin_caffe_tensorflow": CaffeSide("v1_nin_imagenet"),
    "googlenet_caffe_tensorflow": CaffeSide("googlenet"),
    "squeezenet_v1_0_caffe_tensorflow": CaffeSide("squeezenet_deep_compression", setup=(_V1_0,)),
    "squeezenet_v1_1_caffe_tensorflow": CaffeSide(
        "squeezenet_v1.1",
        setup=(without("prob"),),  # a softmax of averages hardly moves
    ),
    "squeezenet_deep_compression_caffe_tensorflow": CaffeSide("squeezenet_deep_compression"),
    "vgg16_caffe_tensorflow": CaffeSide("vgg16"),
    "resnet50_caffe_tensorflow": CaffeSide("resnet50"),
}
