"""Softmax, Concat, Slice, Tile, Reduction and ArgMax against real Caffe, on every axis."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from parity import Case, Parity, Refusal, each, prove_fresh
from prototxts import data, layer, param

SHAPES = {"4d": (2, 4, 6, 5), "2d": (4, 6), "3d": (2, 6, 4), "5d": (2, 4, 2, 6, 3)}
CONV = layer("Convolution", "data", "c", param("convolution_param", num_output=4, kernel_size=2))
NET = data(2, 3, 5, 7) + CONV  # its blob c is [2, 4, 4, 6] and lies channels last
FLAT = NET + layer("Flatten", "c", "f")


def axes(rank: int) -> Iterator[tuple[str, int]]:
    """Every axis, from the front and from the end, with its id."""
    for axis in range(-rank, rank):
        yield f"axis{axis}", axis


def softmaxes() -> Iterator[Case]:
    for rank, shape in SHAPES.items():
        for name, axis in axes(len(shape)):
            text = layer("Softmax", "data", "y", param("softmax_param", axis=axis))
            yield Case(f"softmax-{rank}-{name}", data(*shape) + text)
    yield Case("softmax-default", data(3, 5) + layer("Softmax", "data", "y"))
    yield Case("softmax-default-4d", data(2, 3, 4, 5) + layer("Softmax", "data", "y"))
    yield Case("softmax-flattened", FLAT + layer("Softmax", "f", "y"))
    yield Case("softmax-in-place", NET + layer("Softmax", "c", "c", name="s"))
    for name, axis in axes(4):
        text = layer("Softmax", "c", "y", param("softmax_param", axis=axis))
        yield Case(f"softmax-behind-conv-{name}", NET + text)


def concats() -> Iterator[Case]:
    for rank, shape in SHAPES.items():
        for name, axis in axes(len(shape)):
            other = list(shape)
            other[axis] += 2 if axis % len(shape) else shape[0]
            net = data(*shape, name="a") + data(*other, name="b")
            yield Case(
                f"concat-{rank}-{name}",
                net + layer("Concat", ["a", "b"], "y", param("concat_param", axis=axis)),
            )
    net = data(2, 3, 4, 5, name="a") + data(2, 1, 4, 5, name="b") + data(2, 2, 4, 5, name="d")
    for bottoms in (["a", "b", "d"], ["d", "a", "b"], ["b", "d", "b", "a"], ["a"]):
        yield Case(
            f"concat-{''.join(bottoms)}", net_of(net, bottoms) + layer("Concat", bottoms, "y")
        )
    one = data(2, 3, 4, 5, name="a")
    for dim in (1, 2, 3):
        text = layer("Concat", ["a", "a"], "y", param("concat_param", concat_dim=dim))
        yield Case(f"concat-dim{dim}", one + text)
    yield Case(
        "concat-two-convs",
        NET
        + layer("Convolution", "data", "d", param("convolution_param", num_output=3, kernel_size=2))
        + layer("Concat", ["d", "c"], "y"),
    )
    fc = layer("InnerProduct", "data", "i", param("inner_product_param", num_output=7))
    yield Case("concat-flattened-and-fc", FLAT + fc + layer("Concat", ["f", "i"], "y"))
    yield Case(
        "concat-two-flattened",
        FLAT + layer("Flatten", "data", "g") + layer("Concat", ["g", "f"], "y"),
    )
    for axis in (0, 1, 2, 3):
        text = layer("Concat", ["c", "c"], "y", param("concat_param", axis=axis))
        yield Case(f"concat-behind-conv-axis{axis}", NET + text)


def net_of(net: str, blobs: list[str]) -> str:
    """The inputs of a net that are among these blobs: Caffe calls the others its outputs."""
    lines = net.splitlines(keepends=True)
    return "".join(line for line in lines if any(f'top: "{blob}"' in line for blob in blobs))


def slices() -> Iterator[Case]:
    for rank, shape in SHAPES.items():
        for name, axis in axes(len(shape)):
            size = shape[axis]
            if axis % len(shape) == 0:
                continue  # cutting the batch: below
            fields = param("slice_param", axis=axis, slice_point=1)
            yield Case(
                f"slice-{rank}-{name}", data(*shape) + layer("Slice", "data", ["y", "z"], fields)
            )
            parts = [f"y{i}" for i in range(size)]
            text = layer("Slice", "data", parts, param("slice_param", axis=axis))
            yield Case(f"slice-{rank}-{name}-into-all", data(*shape) + text)
    shape = (2, 9, 4, 5)
    for points in ((1, 3), (4, 8), (2, 5)):
        text = layer("Slice", "data", ["a", "b", "d"], param("slice_param", slice_point=points))
        yield Case(f"slice-at-{points[0]}-and-{points[1]}", data(*shape) + text)
    yield Case("slice-equal", data(*shape) + layer("Slice", "data", ["a", "b", "d"]))
    yield Case("slice-one-top", data(*shape) + layer("Slice", "data", "y"))
    for dim in (1, 3):
        fields = param("slice_param", slice_dim=dim, slice_point=2)
        yield Case(f"slice-dim{dim}", data(*shape) + layer("Slice", "data", ["a", "b"], fields))
    batch = param("slice_param", axis=0, slice_point=1)
    cut = data(3, 4, 5, 2) + layer("Slice", "data", ["a", "b"], batch)
    yield Case("slice-batch", cut)
    equal = data(4, 3, 5, 2) + layer("Slice", "data", ["a", "b"], param("slice_param", axis=0))
    yield Case("slice-batch-equal", equal)
    for axis in (1, 2, 3):
        fields = param("slice_param", axis=axis, slice_point=3)
        text = layer("Slice", "c", ["a", "b"], fields) + layer("ReLU", "b", "b", name="r")
        yield Case(f"slice-behind-conv-axis{axis}", NET + text)
    fields = param("slice_param", slice_point=(5, 50))
    yield Case("slice-flattened", FLAT + layer("Slice", "f", ["a", "b", "d"], fields))
    swapped = layer("Slice", "c", ["a", "b"]) + layer("Concat", ["b", "a"], "y")
    yield Case("slice-concat", NET + swapped)


def tiles() -> Iterator[Case]:
    for rank, shape in SHAPES.items():
        for name, axis in axes(len(shape)):
            text = layer("Tile", "data", "y", param("tile_param", axis=axis, tiles=3))
            yield Case(f"tile-{rank}-{name}", data(*shape) + text)
    yield Case(
        "tile-once", data(2, 3, 4, 5) + layer("Tile", "data", "y", "tile_param { tiles: 1 }")
    )
    for axis in (1, 2, 3):
        text = layer("Tile", "c", "y", param("tile_param", axis=axis, tiles=2))
        yield Case(f"tile-behind-conv-axis{axis}", NET + text)
    yield Case("tile-flattened", FLAT + layer("Tile", "f", "y", "tile_param { tiles: 2 }"))


def reductions() -> Iterator[Case]:
    for operation, (rank, shape) in product(("SUM", "ASUM", "SUMSQ", "MEAN"), SHAPES.items()):
        for name, axis in axes(len(shape)):
            coeff = None if axis % 2 else -1.7
            fields = param("reduction_param", operation=operation, axis=axis, coeff=coeff)
            text = data(*shape) + layer("Reduction", "data", "y", fields)
            yield Case(f"{operation.lower()}-{rank}-{name}", text)
        yield Case(
            f"{operation.lower()}-{rank}-default",
            data(*shape)
            + layer("Reduction", "data", "y", param("reduction_param", operation=operation)),
        )
    for axis in (0, 1, 2, 3):
        text = layer("Reduction", "c", "y", param("reduction_param", axis=axis))
        yield Case(f"sum-behind-conv-axis{axis}", NET + text)
    text = layer("Reduction", "f", "y", param("reduction_param", axis=1, operation="MEAN"))
    yield Case("mean-flattened", FLAT + text)


def ties(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Few numbers again and again, others in every image."""
    return rng.integers(0, shape[-1] * 3, shape) + np.arange(shape[0]).reshape(
        -1, *[1] * (len(shape) - 1)
    )


def arg_maxima() -> Iterator[Case]:
    """Values that differ, and values of which many are equal: then the larger index counts."""
    for draw, values in (("", None), ("-ties", ties)):
        draws = {"data": values} if values else {}
        for rank, shape in SHAPES.items():
            for k, out in product((1, 3), (False, True)):
                fields = {"top_k": k, "out_max_val": out}
                name = f"argmax-{rank}-top{k}{'-values' * out}{draw}"
                text = layer("ArgMax", "data", "y", param("argmax_param", **fields))
                yield Case(name, data(*shape) + text, draws)
                for axis in range(1 - len(shape), len(shape)):
                    if not axis or (shape[axis] < k):
                        continue
                    text = layer("ArgMax", "data", "y", param("argmax_param", axis=axis, **fields))
                    yield Case(f"{name}-axis{axis}", data(*shape) + text, draws)
    for axis in (None, 1, 2, 3):
        text = layer("ArgMax", "c", "y", param("argmax_param", axis=axis, top_k=2))
        yield Case(f"argmax-behind-conv-axis{axis}", NET + text)
    yield Case("argmax-flattened", FLAT + layer("ArgMax", "f", "y", param("argmax_param", top_k=4)))
    soft = layer("Softmax", "c", "p") + layer("ArgMax", "p", "y", param("argmax_param", axis=1))
    yield Case("argmax-of-softmax", NET + soft)


def free_sizes() -> Iterator[Case]:
    """Height and width left free."""
    for name, text in {
        "softmax": layer("Softmax", "c", "y"),
        "concat": layer("Concat", ["c", "c"], "y"),
        "slice": layer("Slice", "c", ["a", "b"]),
        "tile": layer("Tile", "c", "y", "tile_param { tiles: 2 }"),
        "argmax": layer("ArgMax", "c", "y", param("argmax_param", axis=1)),
        "mean": layer("Reduction", "c", "y", param("reduction_param", axis=2, operation="MEAN")),
    }.items():
        yield Case(
            f"free-{name}",
            NET + text,
            free={"data": (2, 3, None, None)},
            sizes=({"data": (2, 3, 8, 4)}, {"data": (3, 3, 6, 9)}),
        )


CASES = [
    *softmaxes(),
    *concats(),
    *slices(),
    *tiles(),
    *reductions(),
    *arg_maxima(),
    *free_sizes(),
]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::10])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[3::20], parity)


def refused() -> Iterator[Refusal]:
    """What Caffe refuses as well, and sizes that must not be free."""
    net = data(2, 4, 5, 6)
    for name, kind, tops, fields, words in [
        ("softmax-axis", "Softmax", "y", param("softmax_param", axis=4), ("axis 4",)),
        ("slice-uneven", "Slice", ["y", "b", "d"], "", ("4", "3")),
        (
            "slice-order",
            "Slice",
            ["y", "b", "d"],
            param("slice_param", slice_point=(3, 1)),
            ("slice_point", "[3, 1]"),
        ),
        (
            "slice-count",
            "Slice",
            ["y", "b", "d"],
            param("slice_param", slice_point=1),
            ("slice_point", "[1]"),
        ),
        ("tile-0", "Tile", "y", param("tile_param", tiles=0), ("tiles",)),
        ("argmax-k", "ArgMax", "y", param("argmax_param", axis=1, top_k=5), ("top_k 5", "4")),
        ("argmax-k-0", "ArgMax", "y", param("argmax_param", top_k=0), ("top_k 0",)),
        ("reduction-axis", "Reduction", "y", param("reduction_param", axis=-5), ("axis -5",)),
    ]:
        yield Refusal(name, net + layer(kind, "data", tops, fields), ("'y'", *words))
    two = data(2, 4, 5, 6, name="a") + data(2, 4, 3, 6, name="b")
    yield Refusal(
        "concat-shapes", two + layer("Concat", ["a", "b"], "y"), ("'b'", "[2, 4, 3, 6]", "axis 1")
    )
    for name, fields in {"argmax": "", "argmax-axis": param("argmax_param", axis=2)}.items():
        yield Refusal(
            f"free-{name}",
            net + layer("ArgMax", "data", "y", fields),
            ("'y'", "axis 2", "left free", "--input-shape"),
            ours=True,
            free={"data": (None, 4, None, None)},
        )


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
