"""Nets whose `.keras` files hold every kind of Keras node that the converter makes."""

from collections.abc import Sequence

from parity import Case, below, positive
from prototxts import data, layer, param

IMAGE = (2, 6, 9, 8)
ONE: dict[str, object] = {"power": 0}
SCALAR: dict[str, object] = {"num_axes": 0, "bias_term": True}


def heads(kind: str, field: str, *settings: dict[str, object], **common: object) -> str:
    """A layer of this type on `data` for each of its settings: every top is an output."""
    return "".join(
        layer(kind, "data", f"{kind}{i}", param(field, **setting, **common))
        for i, setting in enumerate(settings)
    )


def convolutions() -> str:
    """Padding by SAME and by a layer, groups, depthwise, and strides that Keras refuses."""
    return data(*IMAGE) + heads(
        "Convolution",
        "convolution_param",
        {"kernel_size": 3, "pad": 1},
        {"kernel_size": [3, 2], "pad": [0, 2], "stride": [2, 1], "bias_term": False},
        {"kernel_size": 3, "pad": 2, "dilation": 2},
        {"kernel_size": 3, "stride": 2, "dilation": 2},
        {"kernel_size": 3, "group": 2},
        {"kernel_size": 3, "group": 3, "stride": 2, "dilation": [1, 2]},
        {"kernel_size": 3, "group": 6, "pad": 1},
        {"kernel_size": 3, "group": 6, "stride": 2, "dilation": 2, "pad": 2},
        {"kernel_size": 3, "group": 6, "stride": [2, 1]},
        num_output=12,
    )


def deconvolutions() -> str:
    """Keras's own, and those that become zeros between the pixels and a convolution."""
    return data(*IMAGE) + heads(
        "Deconvolution",
        "convolution_param",
        {"kernel_size": 4, "stride": 2, "pad": 1},
        {"kernel_size": 2, "stride": 3, "bias_term": False},
        {"kernel_size": [3, 2], "stride": [1, 2], "group": 2},
        {"kernel_size": 4, "stride": 2, "pad": 1, "group": 6},
        {"kernel_size": 3, "stride": 2, "dilation": 2},
        num_output=6,
    )


def poolings() -> str:
    """Windows as SAME, as VALID, over pads, beyond the edge, and the whole image."""
    window: Sequence[dict[str, object]] = [
        {"kernel_size": 3, "stride": 1, "pad": 1},
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 3, "stride": 2, "pad": 1},
        {"kernel_h": 4, "kernel_w": 3, "stride": 3},
        {"global_pooling": True},
    ]
    tops = [(kind, i, fields) for kind in ("MAX", "AVE") for i, fields in enumerate(window)]
    # Over free sizes an AVE window of this kind is refused: its divisor depends on them.
    tops.append(("MAX", len(window), {"kernel_h": 3, "kernel_w": 2, "stride": 3}))
    return data(*IMAGE) + "".join(
        layer("Pooling", "data", f"{kind}{i}", param("pooling_param", pool=kind, **fields))
        for kind, i, fields in tops
    )


def activations() -> str:
    """Functions of one number."""
    plain = ["Sigmoid", "TanH", "AbsVal", "BNLL"]
    return (
        data(*IMAGE)
        + "".join(layer(kind, "data", kind) for kind in plain)
        + heads("ReLU", "relu_param", {}, {"negative_slope": 0.1}, {"negative_slope": -0.5})
        + heads("PReLU", "prelu_param", {}, {"channel_shared": True})
        + heads("ELU", "elu_param", {}, {"alpha": 0.3})
        + heads("Exp", "exp_param", {}, {"base": 2, "scale": 0.5, "shift": 1})
        + heads("Clip", "clip_param", {"min": 0, "max": 1}, {"min": -0.5, "max": 0.7})
        + heads("Swish", "swish_param", {}, {"beta": 1.5})
        + heads("Threshold", "threshold_param", {"threshold": 0.2})
        + layer("Dropout", "data", "Dropout")
    )


def powers() -> str:
    """Functions of one positive number."""
    return (
        data(*IMAGE)
        + heads("Power", "power_param", {"power": 1.7, "scale": 2, "shift": 1}, {"scale": 3}, ONE)
        + heads("Log", "log_param", {}, {"base": 10, "shift": 1})
    )


def normalisations() -> str:
    """LRN, MVN and BatchNorm, alone and with its Scale."""
    return (
        data(*IMAGE)
        + heads(
            "LRN",
            "lrn_param",
            {"local_size": 5, "alpha": 0.5},
            {"local_size": 3, "k": 2},
            {"local_size": 3, "norm_region": "WITHIN_CHANNEL", "alpha": 2},
        )
        + heads("MVN", "mvn_param", {}, {"normalize_variance": False}, {"across_channels": True})
        + layer("BatchNorm", "data", "norm", name="bn")
        + layer("Scale", "norm", "scaled", param("scale_param", bias_term=True))
        + layer("BatchNorm", "data", "alone", param("batch_norm_param", eps=0.01))
    )


def scales() -> str:
    """Learnt factors and terms, and those from a second bottom."""
    return (
        data(*IMAGE)
        + data(*IMAGE[:2], name="gate")
        + heads("Scale", "scale_param", {"bias_term": True}, {"axis": 2, "num_axes": 2}, SCALAR)
        + layer("Scale", ["data", "gate"], "gated", param("scale_param", axis=0))
        + heads("Bias", "bias_param", {}, {"axis": 2})
        + layer("Bias", ["data", "gate"], "moved", param("bias_param", axis=0))
    )


def axes() -> str:
    """Layers along an axis."""
    pair = ["data", "data"]
    return (
        data(*IMAGE)
        + heads("Softmax", "softmax_param", {}, {"axis": 2})
        + layer("Concat", pair, "twice")
        + layer("Slice", "data", ["s1", "s2", "s3"], param("slice_param", slice_point=[1, 3]))
        + layer("Concat", ["s3", "s1"], "back")
        + heads("Tile", "tile_param", {"tiles": 3}, {"tiles": 2, "axis": 3})
        + heads("ArgMax", "argmax_param", {}, {"axis": 1}, {"top_k": 2, "out_max_val": True})
        + "".join(
            layer("Reduction", "data", op, param("reduction_param", operation=op, axis=1, coeff=2))
            for op in ("SUM", "MEAN", "ASUM", "SUMSQ")
        )
        + "".join(
            layer("Eltwise", pair, f"each{op}", param("eltwise_param", operation=op, coeff=c))
            for op, c in (("SUM", [0.5, 2]), ("PROD", None), ("MAX", None))
        )
        + layer("Power", "data", "double", param("power_param", scale=2))
        + layer("Eltwise", ["data", "double"], "less", param("eltwise_param", coeff=[1, -1]))
    )


def shapes() -> str:
    """Other shapes of the same numbers, parts of them, and what multiplies across them."""
    product = "inner_product_param"
    return (
        data(*IMAGE)
        + data(2, 3, 5, 4, name="small")
        + layer("Flatten", "data", "flat")
        + layer("Reshape", "data", "long", "reshape_param { shape { dim: 0 dim: -1 } }")
        + layer("InnerProduct", "data", "fc", param(product, num_output=5))
        + layer("InnerProduct", "fc", "fc2", param(product, num_output=4, bias_term=False))
        + layer("InnerProduct", "data", "rows", param(product, num_output=4, axis=3))
        + layer("Crop", ["data", "small"], "cropped", param("crop_param", axis=2, offset=[1, 2]))
        + layer("Crop", ["data", "small"], "fewer", param("crop_param", axis=1, offset=2))
    )


def words() -> str:
    """Whole numbers that choose rows of a table."""
    return data(2, 7, name="words") + layer(
        "Embed", "words", "rows", param("embed_param", input_dim=9, num_output=5)
    )


def lenet() -> str:
    """Convolution, pooling, inner products."""
    return (
        data(2, 1, 16, 14)
        + convolved("data", "conv1", num_output=8, kernel_size=5)
        + layer("Pooling", "conv1", "pool1", param("pooling_param", kernel_size=2, stride=2))
        + layer("InnerProduct", "pool1", "ip1", param("inner_product_param", num_output=20))
        + layer("ReLU", "ip1", "ip1", name="relu1")
        + layer("Dropout", "ip1", "ip1", name="drop1")
        + layer("InnerProduct", "ip1", "ip2", param("inner_product_param", num_output=10))
        + layer("Softmax", "ip2", "prob")
    )


def googlenet() -> str:
    """An inception module with its LRN, pools and names with slashes."""
    pool = param("pooling_param", pool="MAX", kernel_size=3, stride=1, pad=1)
    branches = ["inception/1x1", "inception/3x3", "inception/pool_proj"]
    return (
        data(2, 3, 19, 17)
        + convolved("data", "conv1/7x7_s2", num_output=8, kernel_size=7, stride=2, pad=3)
        + layer("Pooling", "conv1/7x7_s2", "pool1", param("pooling_param", kernel_size=3, stride=2))
        + layer("LRN", "pool1", "pool1/norm1", param("lrn_param", local_size=5, alpha=0.1))
        + convolved("pool1/norm1", "inception/1x1", num_output=4, kernel_size=1)
        + convolved("pool1/norm1", "inception/3x3_reduce", num_output=3, kernel_size=1)
        + convolved("inception/3x3_reduce", "inception/3x3", num_output=6, kernel_size=3, pad=1)
        + layer("Pooling", "pool1/norm1", "inception/pool", pool)
        + convolved("inception/pool", "inception/pool_proj", num_output=4, kernel_size=1)
        + layer("Concat", branches, "inception/output")
        + layer(
            "Pooling", "inception/output", "pool5", "pooling_param { pool: AVE kernel_size: 4 }"
        )
        + layer("InnerProduct", "pool5", "fc", param("inner_product_param", num_output=7))
        + layer("Softmax", "fc", "prob")
    )


def resnet() -> str:
    """Two residual blocks, the first with a projection."""
    return (
        data(2, 3, 21, 17)
        + normalised("data", "conv1", num_output=8, kernel_size=7, stride=2, pad=3)
        + layer("ReLU", "conv1", "conv1", name="conv1_relu")
        + layer("Pooling", "conv1", "pool1", param("pooling_param", kernel_size=3, stride=2))
        + normalised("pool1", "branch1", num_output=12, kernel_size=1, stride=2)
        + normalised("pool1", "branch2a", num_output=12, kernel_size=3, stride=2, pad=1)
        + layer("Eltwise", ["branch1", "branch2a"], "sum1")
        + layer("ReLU", "sum1", "sum1", name="relu_sum1")
        + normalised("sum1", "branch2b", num_output=12, kernel_size=3, pad=1)
        + layer("Eltwise", ["sum1", "branch2b"], "sum2")
        + layer("Pooling", "sum2", "pool5", param("pooling_param", pool="AVE", global_pooling=True))
        + layer("InnerProduct", "pool5", "fc", param("inner_product_param", num_output=7))
        + layer("Softmax", "fc", "prob")
    )


def convolved(bottom: str, top: str, **fields: object) -> str:
    """Convolution and ReLU."""
    return layer("Convolution", bottom, top, param("convolution_param", **fields)) + layer(
        "ReLU", top, top, name=f"relu_{top}"
    )


def normalised(bottom: str, top: str, **fields: object) -> str:
    """Convolution, BatchNorm and Scale."""
    return (
        layer("Convolution", bottom, top, param("convolution_param", bias_term=False, **fields))
        + layer("BatchNorm", top, top, name=f"bn_{top}")
        + layer("Scale", top, top, "scale_param { bias_term: true }", name=f"scale_{top}")
    )


# Words of Python, members of the backends' classes, and what escapes.
PYTHON = ("class", "lambda", "self")
MEMBERS = ("forward", "train", "to", "call", "weight", "name")
ESCAPED = ("a b", "a/b", "a.b", "a__b", "a\\b", "_", "/", "x>x", ">h1", "'", '"', "{x}", "%s", ":0")
NAMES = (*PYTHON, *MEMBERS, *ESCAPED, "1", "-1", "état", "层")


def names() -> str:
    """A layer with weights, and one without, of every name in a row."""
    text, bottom = data(2, 4, 5, 3), "data"
    for name in NAMES:
        text += layer(
            "Convolution", bottom, name, "convolution_param { num_output: 4 kernel_size: 1 }"
        )
        text += layer("TanH", name, f"{name}.tanh")
        bottom = f"{name}.tanh"
    return text


def training() -> str:
    """A layer that learns, a frozen one, and one before statistics that stand fixed."""
    frozen = "param { lr_mult: 0 }"
    fixed = "batch_norm_param { use_global_stats: true }"
    text, bottom = data(4, 3, 12, 11), "data"
    for name, convolution, norm, scale in [
        ("free", "bias_term: false", frozen * 3, ""),  # what BatchNorm takes away has no gradient
        ("frozen", "", "", frozen * 2),
        ("fixed", "", fixed, ""),
    ]:
        kernel = f"convolution_param {{ num_output: 4 kernel_size: 3 {convolution} }}"
        kernel += frozen * 2 if name == "frozen" else ""
        text += layer("Convolution", bottom, name, kernel)
        text += layer("BatchNorm", name, f"{name}_bn", norm)
        text += layer(
            "Scale", f"{name}_bn", f"{name}_scale", "scale_param { bias_term: true }" + scale
        )
        bottom = f"{name}_scale"
    return (
        text
        + layer("PReLU", bottom, "prelu")
        + layer("Dropout", "prelu", "dropout")
        + layer("InnerProduct", "dropout", "fc", "inner_product_param { num_output: 5 }")
    )


TRAINING = Case("training", training())
LEARNS = {"free", "free_bn", "fixed", "prelu", "fc"}
COLLECTS = {"free_bn"}  # statistics, while training

CASES = [
    *(
        Case(net.__name__, net())
        for net in (lenet, googlenet, resnet, convolutions, deconvolutions, poolings, activations)
    ),
    *(Case(net.__name__, net()) for net in (normalisations, scales, axes, shapes, names)),
    Case("powers", powers(), draws={"data": positive}, constant=frozenset({"Power2"})),
    Case("free-resnet", resnet(), free={"data": (2, 3, None, None)}),
    Case("free-poolings", poolings(), free={"data": (2, 6, None, None)}),
    Case("words", words(), draws={"words": below(9)}),
]
