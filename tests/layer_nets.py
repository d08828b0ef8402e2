"""Small nets of one layer each, for every supported type, that real Caffe accepts."""

from collections.abc import Iterator, Sequence
from itertools import product

from prototxts import blob_shape, data, layer, param

Net = tuple[str, str]  # what pytest calls it, and its text
SMALL = data(2, 4, 7, 6)
WITHOUT_FIELDS = (
    *("AbsVal", "BNLL", "BatchNorm", "Bias", "Dropout", "ELU", "Exp", "LRN", "Log", "MVN"),
    *("PReLU", "Power", "ReLU", "Scale", "Sigmoid", "Softmax", "Split", "Swish", "TanH"),
    "Threshold",
)
LOSSES = {
    "ContrastiveLoss": [(2, 5), (2, 5), (2,)],
    "EuclideanLoss": [(2, 5), (2, 5)],
    "HingeLoss": [(2, 5), (2,)],
    "InfogainLoss": [(2, 5), (2,), (1, 1, 5, 5)],
    "MultinomialLogisticLoss": [(2, 5), (2,)],
    "SigmoidCrossEntropyLoss": [(2, 5), (2, 5)],
    "SoftmaxWithLoss": [(2, 5), (2,)],
}


def one(kind: str, message: str = "", *, id: str = "", net: str = SMALL, **fields: object) -> Net:
    """A net of one layer of this type with these fields in its message."""
    text = param(message, **fields) if message else ""
    said = " ".join(f"{name}={value}" for name, value in fields.items())
    return f"{kind} {id or said}".strip(), net + layer(kind, "data", "y", text)


def two(kind: str, shapes: Sequence[Sequence[int]], text: str = "", *, tops: int = 1) -> Net:
    """A net of one layer that reads inputs of these shapes."""
    names = [f"in{i}" for i in range(len(shapes))]
    inputs = "".join(data(*shape, name=name) for shape, name in zip(shapes, names, strict=True))
    id = " ".join(filter(None, [kind, *map(str, map(tuple, shapes)), text, f"{tops} tops"]))
    return id, inputs + layer(kind, names, [f"y{i}" for i in range(tops)], text)


def convolutions() -> Iterator[Net]:
    for kind in ("Convolution", "Deconvolution"):
        message = "convolution_param"
        for kernel, stride, pad, dilation in product((1, 3), (1, 2, 3), (0, 1, 2), (1, 2)):
            sizes = {"kernel_size": kernel, "stride": stride, "pad": pad, "dilation": dilation}
            if kind == "Convolution" or kernel > 1:  # else nothing would be left of a small net
                yield one(kind, message, num_output=4, **sizes)
        for group in (1, 2, 4):
            sizes = {"num_output": 8, "kernel_size": 3, "group": group, "bias_term": group != 2}
            yield one(kind, message, **sizes)
        sides = {"kernel_h": 3, "kernel_w": 2, "stride_h": 1, "stride_w": 2, "pad_h": 0, "pad_w": 1}
        yield one(kind, message, num_output=4, **sides)
        yield one(kind, message, num_output=4, kernel_size=(3, 2), stride=(1, 2), pad=(0, 1))
        yield one(kind, message, num_output=4, kernel_size=3, dilation=(1, 2))
        yield one(kind, message, num_output=4, kernel_size=2, net=data(2, 4, 9), id="one axis")
        volume = data(1, 4, 5, 6, 7)
        yield one(kind, message, num_output=4, kernel_size=(2, 3, 1), net=volume)
        yield two(kind, [(1, 2, 5, 4)] * 2, param(message, num_output=3, kernel_size=3), tops=2)


def poolings() -> Iterator[Net]:
    message = "pooling_param"
    for pool, size, kernel, stride, pad in product(
        ("MAX", "AVE"), ((7, 6), (8, 5)), (2, 3), (1, 2, 3), (0, 1)
    ):
        sizes = {"pool": pool, "kernel_size": kernel, "stride": stride, "pad": pad}
        yield one("Pooling", message, net=data(1, 2, *size), id=f"{size} {sizes}", **sizes)
    for stride in (2, 3):
        more = {"kernel_size": 3, "stride": stride, "round_mode": "FLOOR"}
        yield one("Pooling", message, pool="AVE", **more)
    yield one("Pooling", message, pool="AVE", global_pooling=True)
    yield one("Pooling", message, kernel_h=3, kernel_w=2, stride_h=2, stride_w=1, pad_h=1, pad_w=0)


def inner_products() -> Iterator[Net]:
    message = "inner_product_param"
    for axis, transpose, bias in product((1, 2, -1, 0), (False, True), (False, True)):
        yield one(
            "InnerProduct", message, num_output=5, axis=axis, transpose=transpose, bias_term=bias
        )
    for bias in (False, True):
        yield one("Embed", "embed_param", num_output=5, input_dim=9, bias_term=bias)


def elementwise() -> Iterator[Net]:
    for kind in WITHOUT_FIELDS:
        yield one(kind)
    yield one("Clip", "clip_param", min=0, max=1)
    yield one("LRN", "lrn_param", norm_region="WITHIN_CHANNEL", local_size=3)
    yield one("PReLU", "prelu_param", channel_shared=True)
    for shape in ((3,), (3, 2), (2, 3, 4), (1, 2, 3, 4, 5)):
        for kind in ("ReLU", "Sigmoid", "Power", "Dropout"):
            yield one(kind, net=data(*shape), id=str(shape))
    yield one("BatchNorm", net=data(2, 3), id="(2, 3)")
    for axis in (0, 1, 2, 3, -1, -4):
        yield one("Softmax", "softmax_param", axis=axis)
    for shapes in ([(2, 3)] * 2, [(1, 2, 3, 4)] * 3):
        yield two("Eltwise", shapes)


def coefficients() -> Iterator[Net]:
    for axis, axes in ((0, 1), (1, 1), (1, 2), (1, -1), (1, 3), (2, 2), (3, 0), (-1, 1), (0, 4)):
        yield one("Bias", "bias_param", axis=axis, num_axes=axes)
        yield one("Scale", "scale_param", axis=axis, num_axes=axes, bias_term=axis != 0)
    for shape, axis in (((4,), 1), ((4, 7), 1), ((2, 4, 7, 6), 0), ((2,), 0), ((6,), -1), ((), 1)):
        yield two("Bias", [(2, 4, 7, 6), shape], param("bias_param", axis=axis))
        fields = param("scale_param", axis=axis, bias_term=True)
        yield two("Scale", [(2, 4, 7, 6), shape], fields)


def along_an_axis() -> Iterator[Net]:
    for axis in (0, 1, 2, 3, -1, -3):
        shapes = [[2, 4, 7, 6], [2, 4, 7, 6]]
        shapes[1][axis] = 3
        yield two("Concat", shapes, param("concat_param", axis=axis))
    yield two("Concat", [(2, 4), (2, 5), (2, 1)], "concat_param { concat_dim: 1 }")
    yield two("Concat", [(2, 4, 7, 6)])
    for axis, tops in ((1, 2), (1, 4), (-1, 3), (0, 2), (2, 7)):
        yield two("Slice", [(2, 4, 7, 6)], param("slice_param", axis=axis), tops=tops)
    yield two("Slice", [(2, 4, 7, 6)], param("slice_param", axis=2, slice_point=(1, 5)), tops=3)
    yield two("Slice", [(2, 4, 7, 6)], param("slice_param", slice_dim=3), tops=2)
    for axis, tiles in ((0, 2), (1, 3), (3, 2), (-1, 1)):
        yield one("Tile", "tile_param", axis=axis, tiles=tiles)
    for axis, operation in ((0, "SUM"), (1, "ASUM"), (2, "SUMSQ"), (3, "MEAN"), (-2, "SUM")):
        yield one("Reduction", "reduction_param", axis=axis, operation=operation)
    for top_k, out_max_val in product((1, 3), (False, True)):
        for shape in ((2, 5), (2, 3, 4), (2, 4, 3, 2)):
            fields = {"top_k": top_k, "out_max_val": out_max_val}
            yield one("ArgMax", "argmax_param", net=data(*shape), id=f"{shape} {fields}", **fields)
            for axis in (1, -1):
                if shape[axis] >= top_k:
                    yield one(
                        "ArgMax",
                        "argmax_param",
                        net=data(*shape),
                        id=f"{shape} {axis} {fields}",
                        axis=axis,
                        **fields,
                    )


def rearranged() -> Iterator[Net]:
    for axis, end in ((1, -1), (0, -1), (2, 3), (1, 2), (-2, -1), (2, 2), (0, 0)):
        yield one("Flatten", "flatten_param", axis=axis, end_axis=end)
    for shape, axis, axes in (
        ((0, -1), 0, -1),
        ((2, 4, 42), 0, -1),
        ((0, 2, 2, -1), 0, -1),
        ((-1,), 0, -1),
        ((6, 7), 2, -1),
        ((2, 2), 1, 1),
        ((42,), 2, 2),
        ((1,), 4, 0),
        ((1, 1), -1, -1),
        ((1,), 0, 0),
        ((0, 1), 2, 1),
        ((), 1, 0),
    ):
        text = f"reshape_param {{ {blob_shape(shape)} axis: {axis} num_axes: {axes} }}"
        yield f"Reshape {shape} {axis} {axes}", SMALL + layer("Reshape", "data", "y", text)
    for axis, offset in ((2, ()), (2, (1,)), (2, (1, 2)), (1, (0, 1, 2)), (3, (2,)), (-1, ())):
        shape = [2, 4, 7, 6]
        for i in range(axis % 4, 4):
            shape[i] -= 2
        yield two("Crop", [(2, 4, 7, 6), shape], param("crop_param", axis=axis, offset=offset))


def sources() -> Iterator[Net]:
    yield "Parameter", layer("Parameter", [], "y", "parameter_param { shape { dim: 3 dim: 2 } }")
    for fields in (
        "shape { dim: 2 dim: 3 }",
        "shape { dim: 2 dim: 3 } shape { dim: 4 }",
        "num: 2 channels: 3 height: 4 width: 5",
        "num: 2 num: 1 channels: 3 channels: 1 height: 4 height: 1 width: 5 width: 1",
    ):
        yield (
            f"DummyData {fields}",
            layer(
                "DummyData",
                [],
                ["a", "b"][: max(fields.count("shape"), fields.count("num"))],
                f"dummy_data_param {{ {fields} }}",
            ),
        )
    fields = "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }"
    yield "MemoryData", layer("MemoryData", [], ["a", "b"], fields)
    yield "Input of two", layer("Input", [], ["a", "b"], f"input_param {{ {blob_shape((2, 3))} }}")
    yield "Input of no axes", data() + data(2, 3, name="x") + layer("ReLU", "x", "y")


def recurrent() -> Iterator[Net]:
    x, cont, static = (3, 2, 5), (3, 2), (2, 4)
    for kind, states in (("LSTM", 2), ("RNN", 1)):
        plain, exposed = (param("recurrent_param", num_output=6, expose_hidden=e) for e in (0, 1))
        for shapes in ([x, cont], [x, cont, static], [(3, 2, 4, 5, 2), cont, (2, 3, 4)]):
            yield two(kind, shapes, plain)
            hidden = [(1, 2, 6)] * states
            yield two(kind, [*shapes, *hidden], exposed, tops=1 + states)


def training() -> Iterator[Net]:
    for kind, shapes in LOSSES.items():
        yield two(kind, shapes)
    yield two("InfogainLoss", LOSSES["InfogainLoss"], "loss_weight: 1 loss_weight: 0", tops=2)
    yield two("Accuracy", [(2, 5), (2,)])
    yield two("Accuracy", [(2, 5), (2,)], tops=2)
    yield two("Accuracy", [(2, 5, 3, 4), (2, 1, 3, 4)], "accuracy_param { axis: 1 }", tops=2)
    yield "Silence", SMALL + layer("Silence", "data", [], name="hush")


ACCEPTED: list[Net] = [
    net
    for family in (
        convolutions,
        poolings,
        inner_products,
        elementwise,
        coefficients,
        along_an_axis,
        rearranged,
        sources,
        recurrent,
        training,
    )
    for net in family()
]
