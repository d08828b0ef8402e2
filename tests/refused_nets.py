"""Small nets that contradict themselves, and that real Caffe refuses."""

from collections.abc import Iterator

from layer_nets import SMALL, Net, one, two
from prototxts import blob_shape, data, layer, param


def refused() -> Iterator[Net]:
    conv, pool = "convolution_param", "pooling_param"
    for kind in ("Convolution", "Deconvolution"):
        for fields in (
            {},
            {"kernel_size": 3, "kernel_h": 3, "kernel_w": 3},
            {"kernel_h": 3},
            {"kernel_size": (3, 3, 3)},
            {"kernel_size": 0},
            {"kernel_size": 3, "stride": 0},
            {"kernel_size": 3, "stride": 1, "stride_h": 1, "stride_w": 1},
            {"kernel_size": 3, "pad": 1, "pad_h": 1, "pad_w": 1},
            {"kernel_size": 3, "group": 3},
            {"kernel_size": 3, "group": 4},
        ):
            yield one(kind, conv, num_output=6, **fields)  # type: ignore[arg-type]
        yield one(kind, conv, kernel_size=3)
        shapes = [(1, 2, 5, 4), (1, 2, 5, 4)]
        yield two(kind, shapes, param(conv, num_output=3, kernel_size=3))
        shapes[1] = (1, 2, 5, 5)
        yield two(kind, shapes, param(conv, num_output=3, kernel_size=3), tops=2)
        yield one(
            kind, conv, net=data(2, 4, 9), num_output=4, kernel_h=3, kernel_w=3, id="one axis"
        )
    yield one("Convolution", conv, num_output=4, kernel_size=9)
    yield one("Deconvolution", conv, num_output=4, kernel_size=3, pad=9)
    for fields in (
        {},
        {"kernel_h": 2},
        {"kernel_size": 2, "kernel_h": 2, "kernel_w": 2},
        {"kernel_size": 0},
        {"kernel_size": 2, "pad": 2},
        {"kernel_size": 2, "pad": 1, "pad_h": 1, "pad_w": 1},
        {"kernel_size": 2, "stride": 2, "stride_h": 2, "stride_w": 2},
        {"kernel_size": 2, "stride_h": 2},
        {"global_pooling": True, "kernel_size": 2},
        {"global_pooling": True, "pad": 1},
        {"global_pooling": True, "stride": 2},
    ):
        yield one("Pooling", pool, **fields)  # type: ignore[arg-type]
    yield one("Pooling", pool, net=data(2, 4, 9), kernel_size=2, id="three axes")
    yield one("InnerProduct", "inner_product_param", num_output=4, axis=4)
    yield one("InnerProduct", "inner_product_param", num_output=4, axis=-5)
    yield one("Embed", "embed_param", num_output=4)
    yield one("Embed", "embed_param", input_dim=4)
    yield one("Softmax", "softmax_param", axis=4)
    yield one("LRN", "lrn_param", local_size=4)
    yield one("LRN", net=data(2, 3), id="two axes")
    yield one("BatchNorm", net=data(3), id="one axis")
    yield one("PReLU", net=data(3), id="one axis")
    yield one("Clip", "clip_param", min=0)
    yield one("Exp", "exp_param", base=0)
    yield one("Exp", "exp_param", base=-2)
    yield one("Log", "log_param", base=0)
    yield one("Tile", "tile_param", axis=4, tiles=2)
    yield one("Tile", "tile_param", tiles=0)
    yield one("Reduction", "reduction_param", axis=5)
    for fields in ({"top_k": 0}, {"top_k": 169}, {"axis": 1, "top_k": 5}, {"axis": 4}):
        yield one("ArgMax", "argmax_param", **fields)  # type: ignore[arg-type]
    yield one("Flatten", "flatten_param", axis=5)
    for shape, axis, axes in (
        ((-1, -1), 0, -1),
        ((-2, 4), 0, -1),
        ((2, 4, 41), 0, -1),
        ((5, -1), 0, -1),
        ((0, 0, 0, 0, 0), 0, -1),
        ((1,), 5, 0),
        ((1,), 0, 5),
        ((-1,), 0, -2),
        ((-1,), -6, -1),
    ):
        text = f"reshape_param {{ {blob_shape(shape)} axis: {axis} num_axes: {axes} }}"
        yield f"Reshape {shape} {axis} {axes}", SMALL + layer("Reshape", "data", "y", text)
    for kind in ("Reshape", "Flatten", "AbsVal"):
        yield f"{kind} in place", SMALL + layer(kind, "data", "data", name="y")
    for fields in ({"axis": 4}, {"num_axes": 4}, {"num_axes": -2}):
        yield one("Scale", "scale_param", **fields)
        yield one("Bias", "bias_param", **fields)
    for kind in ("Scale", "Bias"):
        yield two(kind, [(2, 4, 7, 6), (5,)])
        yield two(kind, [(2, 4, 7, 6), (4, 6)])
    yield two("Eltwise", [(2, 4)])
    yield two("Eltwise", [(2, 4), (2, 1)])
    yield two("Eltwise", [(2, 4)] * 2, "eltwise_param { coeff: 1 }")
    yield two("Eltwise", [(2, 4)] * 2, "eltwise_param { operation: PROD coeff: 1 coeff: 1 }")
    yield two("Concat", [(2, 4), (2, 4, 1)])
    yield two("Concat", [(2, 4, 5), (2, 4, 6)])
    yield two("Concat", [(2, 4), (2, 4)], "concat_param { axis: 2 }")
    yield two("Concat", [(2, 4), (2, 4)], "concat_param { axis: 1 concat_dim: 1 }")
    for points, tops in (((2, 2), 3), ((3, 2), 3), ((2,), 3), ((0, 2), 3)):
        yield two("Slice", [(2, 4)], param("slice_param", slice_point=points), tops=tops)
    yield two("Slice", [(2, 4)], tops=3)
    yield two("Slice", [(2, 4)], "slice_param { axis: 1 slice_dim: 1 }", tops=2)
    yield two("Crop", [(2, 4, 7, 6), (2, 4, 8, 6)])
    yield two("Crop", [(2, 4, 7, 6), (2, 4, 7)])
    yield two("Crop", [(2, 4, 7, 6), (2, 4, 5, 5)], "crop_param { offset: 3 }")
    yield two("Crop", [(2, 4, 7, 6), (2, 4, 5, 5)], param("crop_param", offset=(1, 1, 1)))
    yield two("ReLU", [(2, 4)] * 2)
    yield two("ReLU", [(2, 4)], tops=2)
    yield two("Softmax", [(2, 4)], tops=2)
    for kind in ("LSTM", "RNN"):
        units = param("recurrent_param", num_output=6)
        yield two(kind, [(3, 2, 5), (3, 2)])
        yield two(kind, [(3, 2, 5)], units)
        yield two(kind, [(3, 2), (3, 2)], units)
        yield two(kind, [(3, 2, 5), (3, 1)], units)
        yield two(kind, [(3, 2, 5), (3, 2, 1)], units)
        yield two(kind, [(3, 2, 5), (3, 2), (3, 4)], units)
        yield two(kind, [(3, 2, 5), (3, 2), (2,)], units)
        yield two(kind, [(3, 2, 5), (3, 2)], units, tops=2)
        exposed = param("recurrent_param", num_output=6, expose_hidden=True)
        states = [(1, 2, 5)] * (2 if kind == "LSTM" else 1)
        yield two(kind, [(3, 2, 5), (3, 2), *states], exposed, tops=1 + len(states))
    shapes_of_two = f"input_param {{ {blob_shape((2,))} {blob_shape((3,))} }}"
    yield "Input of three", layer("Input", [], ["a", "b", "c"], shapes_of_two)


REFUSED = list(refused())
