"""Reshape, Flatten, Crop, Split and Parameter against real Caffe."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from parity import Case, Observed, Parity, Refusal, each, prove_fresh
from prototxts import blob_shape, data, layer, param

Shape = tuple[int, ...]
CONV = layer("Convolution", "data", "c", param("convolution_param", num_output=6, kernel_size=2))
NET = data(2, 3, 5, 7) + CONV  # its blob c is [2, 6, 4, 6] and lies channels last
FC = layer("InnerProduct", "y", "fc", param("inner_product_param", num_output=3))
NEXT = layer("Convolution", "y", "n", param("convolution_param", num_output=2, kernel_size=2))


def reshape(bottom: str, shape: Shape, top: str = "y", **fields: object) -> str:
    """One Reshape."""
    more = " ".join(f"{name}: {value}" for name, value in fields.items())
    return layer("Reshape", bottom, top, f"reshape_param {{ {blob_shape(shape)} {more} }}")


RESHAPES: list[tuple[Shape, dict[str, int]]] = [
    ((0, -1), {}),
    ((0, 0, -1), {}),
    ((0, 0, 0, 0), {}),
    ((0, 6, 24), {}),
    ((0, 6, 6, 4), {}),  # height and width change places in size only
    ((0, 2, 3, 4, 6), {}),  # ShuffleNet's groups
    ((0, 3, 2, 24), {}),
    ((0, 12, 2, 6), {}),  # the channel takes a part of the height
    ((0, 24, 6), {}),
    ((0, 24, -1), {}),
    ((0, 3, -1, 6), {}),
    ((0, 6, 2, 2, 6), {}),
    ((0, 6, 1, 4, 6), {}),
    ((0, 1, 6, 4, 6), {}),
    ((0, 6, 4, 6, 1), {}),
    ((0, 144), {}),
    ((0, 9, 16), {}),  # cuts across all factors
    ((0, 6, 8, 3), {}),
    ((-1, 6, 4, 6), {}),
    ((2, 3), {"axis": 1, "num_axes": 1}),
    ((3, 2), {"axis": 1, "num_axes": 1}),
    ((-1,), {"axis": 1}),
    ((-1,), {"axis": 2}),
    ((-1,), {"axis": 1, "num_axes": 2}),
    ((0, -1), {"axis": 1}),
    ((0, -1), {"axis": 2}),
    ((2, 2), {"axis": 2, "num_axes": 1}),
    ((2, 3), {"axis": 3}),
    ((2, 3), {"axis": -2}),
    ((1,), {"axis": 1, "num_axes": 0}),
    ((1, 1), {"axis": -1, "num_axes": 0}),
]


def reshapes() -> Iterator[Case]:
    """Over an input, and behind a convolution with a layer behind that reads the new shape."""
    for shape, fields in RESHAPES:
        name = "x".join(map(str, shape)) + "".join(f"-{k}{v}" for k, v in fields.items())
        yield Case(f"reshape-{name}", data(2, 6, 4, 6) + reshape("data", shape, **fields))
        yield Case(f"reshape-behind-conv-{name}", NET + reshape("c", shape, **fields) + FC)
    yield Case("reshape-2d-to-4d-conv", data(2, 24) + reshape("data", (0, 2, 3, 4)) + NEXT)
    yield Case("reshape-2d-to-4d-by-axis", data(2, 24) + reshape("data", (2, 3, 4), axis=1) + NEXT)
    yield Case("reshape-3d-to-4d-conv", data(2, 6, 12) + reshape("data", (0, 0, 3, 4)) + NEXT)
    shuffle = (
        reshape("c", (0, 2, 3, -1), "r")
        + layer("Slice", "r", ["a", "b"], param("slice_param", axis=1))
        + layer("Concat", ["a", "b"], "d", param("concat_param", axis=2))
        + reshape("d", (0, 6, 4, 6))
    )
    yield Case("reshape-shuffled", NET + shuffle + NEXT)
    there_and_back = reshape("c", (0, 2, 3, 4, 6), "r") + reshape("r", (0, 6, 4, 6)) + NEXT
    yield Case("reshape-there-and-back", NET + there_and_back)
    yield Case(
        "reshape-composite-and-relu",
        NET
        + reshape("c", (0, -1))
        + layer("ReLU", "y", "y", name="r")
        + reshape("y", (0, 6, 4, 6), "z"),
    )
    fixed = data(2, 6, 4, 6) + reshape("data", (2, -1))
    yield Case("reshape-fixed-rows", fixed)
    merged = data(2, 6, 4, 6) + reshape("data", (-1, 4, 6))
    yield Case("reshape-channels-into-the-batch", merged)
    yield Case("reshape-all", data(2, 6, 4) + reshape("data", (-1,)))


def flattens() -> Iterator[Case]:
    """Every axis and end_axis."""
    for first in range(4):
        for end in range(first, 4):
            for written in {first, first - 4}:
                fields = param("flatten_param", axis=written, end_axis=end)
                name = f"flatten-{written}-to-{end}"
                text = layer("Flatten", "data", "y", fields)
                yield Case(name, data(2, 3, 4, 5) + text)
                if first:
                    behind = layer("Flatten", "c", "y", fields)
                    yield Case(f"{name}-behind-conv", NET + behind + FC)
    for shape in [(2, 5), (2, 3, 4), (2, 3, 2, 4, 3), (2, 3, 1, 1), (2, 1, 3, 4)]:
        name = "x".join(map(str, shape))
        yield Case(f"flatten-{name}", data(*shape) + layer("Flatten", "data", "y") + FC)
    pooled = layer("Pooling", "c", "p", "pooling_param { pool: AVE global_pooling: true }")
    yield Case("flatten-global-pool", NET + pooled + layer("Flatten", "p", "y") + FC)
    twice = layer("Flatten", "c", "f") + layer("Flatten", "f", "y")
    yield Case("flatten-twice", NET + twice)


def crops() -> Iterator[Case]:
    """Every axis, with no, one and all offsets."""
    big, small = data(2, 6, 7, 9, name="x"), (2, 4, 3, 5)
    for axis in (1, 2, 3, -1, -2, -3):
        cropped = 4 - axis % 4
        reference = (*(2, 6, 7, 9)[: axis % 4], *small[axis % 4 :])
        for offsets in dict.fromkeys([(), (1,), (2, 3, 4)[-cropped:], (1, 4, 2)[-cropped:]]):
            fields = param("crop_param", axis=axis, offset=offsets)
            name = f"crop-axis{axis}-offset{'-'.join(map(str, offsets))}"
            text = data(*reference, name="k") + layer("Crop", ["x", "k"], "y", fields)
            yield Case(name, big + text)
    yield Case("crop-default", big + data(2, 6, 3, 5, name="k") + layer("Crop", ["x", "k"], "y"))
    same = data(2, 6, 7, 9, name="k") + layer("Crop", ["x", "k"], "y", param("crop_param", axis=1))
    yield Case("crop-nothing", big + same)
    conv = layer("Convolution", "x", "c", param("convolution_param", num_output=4, kernel_size=3))
    for offset in ((), (1,), (0, 2)):
        fields = param("crop_param", axis=2, offset=offset)
        name = f"crop-to-a-conv-offset{'-'.join(map(str, offset))}"
        yield Case(name, big + conv + layer("Crop", ["x", "c"], "y", fields))
    fields = param("crop_param", axis=1, offset=(1, 2, 0))
    yield Case(
        "crop-a-conv",
        big + conv + data(2, 2, 3, 5, name="k") + layer("Crop", ["c", "k"], "y", fields),
    )
    five = data(2, 3, 4, 6, 5, name="x") + data(2, 3, 2, 3, 4, name="k")
    yield Case(
        "crop-5d", five + layer("Crop", ["x", "k"], "y", param("crop_param", offset=(1, 2, 0)))
    )
    flat = data(2, 9, name="x") + data(2, 4, name="k")
    yield Case(
        "crop-2d", flat + layer("Crop", ["x", "k"], "y", param("crop_param", axis=1, offset=3))
    )


def splits() -> Iterator[Case]:
    """Written out, and made by Caffe itself where a blob is read twice."""
    two = layer("Split", "c", ["a", "b"]) + layer("ReLU", "a", "y") + layer("TanH", "b", "z")
    yield Case("split", NET + two)
    read = layer("ReLU", "c", "a") + layer("TanH", "c", "b") + layer("Eltwise", ["a", "b"], "y")
    yield Case("read-twice", NET + read)
    yield Case(
        "input-read-twice",
        data(2, 3, 5, 7) + layer("ReLU", "data", "a") + layer("TanH", "data", "b"),
    )


def parameters() -> Iterator[Case]:
    """A blob of weights as a top, before and behind the input, alone and used."""
    for shape in [(4,), (3, 5), (2, 3, 4, 5)]:
        text = layer("Parameter", [], "p", f"parameter_param {{ {blob_shape(shape)} }}")
        name = "x".join(map(str, shape))
        used = layer("Power", "p", "y", "power_param { scale: 2 shift: 1 }")
        other = layer("ReLU", "data", "z")
        yield Case(f"parameter-{name}", data(2, 3) + text + used + other)
        yield Case(f"parameter-{name}-first", text + data(2, 3, 4, 5) + used + other)
    gate = layer("Parameter", [], "p", f"parameter_param {{ {blob_shape((6,))} }}")
    by_gate = layer("Scale", ["c", "p"], "y", "scale_param { axis: 1 }")
    yield Case("parameter-scales", NET + gate + by_gate)
    by_term = layer("Bias", ["c", "p"], "y", "bias_param { axis: 1 }")
    yield Case("parameter-shifts", NET + gate + by_term)


def free_sizes() -> Iterator[Case]:
    """Height and width left free."""
    for name, text in {
        "flatten-space": layer("Flatten", "c", "y", param("flatten_param", axis=2)),
        "split": layer("ReLU", "c", "a") + layer("TanH", "c", "b"),
    }.items():
        case = Case(f"free-{name}", NET + text, free={"data": (2, 3, None, None)})
        yield replace(case, sizes=({"data": (2, 3, 8, 4)}, {"data": (3, 3, 6, 9)}))


CASES = [*reshapes(), *flattens(), *crops(), *splits(), *parameters(), *free_sizes()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::8])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[3::15], parity)


def test_a_parameter_is_trained(parity: Parity) -> None:
    text = layer("Parameter", [], "p", f"parameter_param {{ {blob_shape((6,))} }}")
    case = Case("p", NET + text + layer("Scale", ["c", "p"], "y", "scale_param { axis: 1 }"))
    subject = parity.subject(case)
    model = subject.built().model
    model.compile(optimizer="sgd", loss="mse")
    before = [np.array(weight) for weight in model.trainable_weights]
    inputs = subject.inputs(next(subject.sizes()))
    feeds = Observed(model, subject.built().twin).feeds(inputs)
    model.fit(feeds, np.zeros((2, 4, 6, 6), np.float32), verbose=0)
    after = [np.array(weight) for weight in model.trainable_weights]
    assert len(before) == 3
    assert all((b != a).any() for b, a in zip(before, after, strict=True))


def refused() -> Iterator[Refusal]:
    """What Caffe refuses as well, and what Keras cannot say."""
    net = data(2, 3, 4, 5)
    for name, text, words in [
        ("reshape-count", reshape("data", (0, 7, 5)), ("[2, 3, 4, 5]", "[2, 7, 5]")),
        ("reshape-remainder", reshape("data", (0, 7, -1)), ("[2, 3, 4, 5]",)),
        ("reshape-two-unknown", reshape("data", (-1, -1)), ("-1",)),
        ("reshape-copies-nothing", reshape("data", (0, 0, 0, 0, 0)), ("dim 4",)),
        ("reshape-axis", reshape("data", (1,), axis=5), ("axis 5",)),
        ("reshape-in-place", layer("Reshape", "data", "data", name="y"), ("in place",)),
        ("flatten-in-place", layer("Flatten", "data", "data", name="y"), ("in place",)),
    ]:
        yield Refusal(name, net + text, ("'y'", *words))
    turned = net + layer("Flatten", "data", "y", "flatten_param { axis: 2 end_axis: 1 }")
    yield Refusal("flatten-end", turned, ("'y'", "end_axis"), ours=True)
    small = net + data(2, 3, 2, 9, name="k")
    yield Refusal(
        "crop-too-large", small + layer("Crop", ["data", "k"], "y"), ("'y'", "axis 3", "9")
    )
    flat = net + data(2, 3, name="k")
    yield Refusal("crop-ranks", flat + layer("Crop", ["data", "k"], "y"), ("'y'", "4 and 2 axes"))
    offsets = layer("Crop", ["data", "k"], "y", "crop_param { axis: 1 offset: 1 offset: 1 }")
    yield Refusal("crop-offsets", net + data(2, 2, 2, 2, name="k") + offsets, ("'y'", "2 offsets"))
    alone = layer("Parameter", [], "y", f"parameter_param {{ {blob_shape((2, 3))} }}")
    yield Refusal("parameter-without-input", alone, ("'y'", "no input"), ours=True)


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
