"""Convolution against real Caffe: kernel × stride × pad × dilation × size × group, 1-D to 3-D."""

from collections.abc import Iterator
from itertools import product

import pytest

from kernel_cases import Pair, free, kernel_case, one_axis, pairs, three_axes, two_bottoms
from parity import Case, Parity, Refusal, each, prove_fresh
from prototxts import data, layer, param


def convolution(name: str, shape: tuple[int, ...], **fields: object) -> Case:
    """One Convolution, of 6 outputs if nothing else is said."""
    return kernel_case("Convolution", name, shape, **{"num_output": 6, **fields})


def two_dimensional() -> Iterator[Case]:
    """Every kernel with every stride, pad and size, and a dilation that takes turns."""
    kernels: list[Pair] = [(1, 1), (3, 3), (2, 3), (4, 1)]
    strides: list[Pair] = [(1, 1), (2, 2), (1, 2), (3, 2)]
    pads: list[Pair] = [(0, 0), (1, 1), (0, 2), (3, 1)]
    sizes: list[Pair] = [(8, 11), (9, 6)]
    dilations: list[Pair] = [(1, 1), (2, 2), (1, 2), (2, 1), (1, 1)]
    for number, (k, s, p, size) in enumerate(product(kernels, strides, pads, sizes)):
        d = dilations[number % len(dilations)]
        name = f"{pairs(k, s, p, d)}-on{size[0]}x{size[1]}"
        yield convolution(name, (2, 3, *size), kernel_size=k, stride=s, pad=p, dilation=d)


def grouped() -> Iterator[Case]:
    """Groups of several channels, depthwise, and more outputs per channel."""
    channels_groups_outputs = [(4, 2, 6), (6, 3, 6), (6, 6, 6), (3, 3, 6), (20, 10, 20), (9, 9, 9)]
    geometries: list[tuple[Pair, Pair, Pair, Pair]] = [
        ((3, 2), (1, 1), (1, 0), (1, 1)),
        ((3, 3), (2, 2), (1, 1), (1, 1)),
        ((2, 3), (2, 1), (0, 1), (1, 1)),
        ((3, 3), (1, 1), (2, 2), (2, 2)),
        ((3, 2), (2, 2), (1, 2), (1, 2)),
        ((3, 3), (1, 2), (2, 1), (2, 1)),
    ]
    for (channels, group, out), (k, s, p, d) in product(channels_groups_outputs, geometries):
        yield convolution(
            f"c{channels}g{group}n{out}-{pairs(k, s, p, d)}",
            (2, channels, 7, 9),
            num_output=out,
            group=group,
            kernel_size=k,
            stride=s,
            pad=p,
            dilation=d,
        )


def other_ranks() -> Iterator[Case]:
    """One and three spatial axes."""
    yield from one_axis(convolution, (2, 4, 11), (1, 2), num_output=8)
    geometries = [
        ((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1),
        ((2, 3, 1), (1, 1, 1), (0, 1, 0), (1, 1, 1), 1),
        ((3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
        ((3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), 1),
        ((1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 1, 1), 1),
        ((2, 2, 2), (1, 1, 1), (1, 0, 1), (1, 2, 2), 1),
        ((2, 2, 2), (2, 1, 2), (1, 1, 1), (2, 1, 2), 1),
        ((2, 3, 2), (1, 1, 1), (1, 1, 0), (1, 1, 1), 2),
        ((2, 3, 2), (1, 2, 1), (1, 1, 0), (1, 1, 1), 4),
    ]
    yield from three_axes(convolution, (2, 4, 5, 7, 6), geometries, num_output=8)


def ways_to_write_it() -> Iterator[Case]:
    """How the fields may be written, and what else the layer may have."""
    shape = (2, 3, 8, 9)
    yield convolution("scalar-fields", shape, kernel_size=3, stride=2, pad=1, dilation=2)
    yield convolution(
        "h-and-w-fields",
        shape,
        kernel_h=3,
        kernel_w=2,
        stride_h=1,
        stride_w=2,
        pad_h=2,
        pad_w=0,
    )
    yield convolution("pad-h-only", shape, kernel_size=3, pad_h=1)
    yield convolution("pad-w-only", shape, kernel_size=3, pad_w=1)
    yield convolution("stride-h-and-w", shape, kernel_size=2, stride_h=3, stride_w=2)
    for group in (1, 3):
        yield convolution(f"no-bias-g{group}", shape, kernel_size=3, group=group, bias_term=False)
    yield convolution("one-output", shape, num_output=1, kernel_size=3)
    yield convolution("one-channel", (2, 1, 8, 9), num_output=2, kernel_size=3)
    yield convolution("batch-of-one", (1, 3, 8, 9), kernel_size=3, pad=1)
    yield convolution("kernel-as-the-image", shape, kernel_size=(8, 9))
    yield convolution("kernel-in-the-pad", (2, 3, 2, 3), kernel_size=5, pad=2)
    yield convolution("pad-beyond-kernel", (2, 3, 4, 5), kernel_size=(2, 1), pad=(3, 2))
    yield from two_bottoms("Convolution", (2, 4, 6, 7), (1, 2))


def free_sizes() -> Iterator[Case]:
    """Height and width left free."""
    for group, k, s, p, d in [
        (1, 3, 1, 1, 1),
        (1, 3, 2, 1, 1),
        (1, 5, 2, 2, 1),
        (1, 2, 2, 0, 1),
        (1, 3, 1, 2, 2),
        (1, 3, 2, 2, 2),
        (2, 3, 2, 1, 1),
        (4, 3, 1, 1, 1),
        (4, 3, 2, 1, 1),
    ]:
        case = convolution(
            f"free-k{k}-s{s}-p{p}-d{d}-g{group}",
            (2, 4, 8, 9),
            num_output=8,
            kernel_size=k,
            stride=s,
            pad=p,
            dilation=d,
            group=group,
        )
        yield free(case, (2, 4, 11, 7), (3, 4, 6, 12))


CASES = [*two_dimensional(), *grouped(), *other_ranks(), *ways_to_write_it(), *free_sizes()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::12])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[5::20], parity)


@pytest.mark.parametrize("group", [2, 4])
def test_a_group_is_one_keras_layer(group: int, parity: Parity) -> None:
    case = convolution("g", (2, 4, 6, 7), num_output=8, kernel_size=3, group=group)
    kinds = [type(la).__name__ for la in parity.subject(case).built().model.layers]
    assert kinds == ["InputLayer", "Conv2D" if group == 2 else "DepthwiseConv2D"]


def refused() -> Iterator[Refusal]:
    """Values without an exact counterpart, and what Caffe refuses as well."""
    shape = (2, 4, 6, 7)
    case = convolution("axis", shape, kernel_size=3, axis=2)
    yield Refusal("axis", case.net, ("'y'", "convolution_param.axis 2"), ours=True)
    case = convolution("four-spatial-axes", (2, 3, 4, 4, 4, 4), kernel_size=2)
    yield Refusal(case.id, case.net, ("'y'", "[2, 3, 4, 4, 4, 4]"), ours=True)
    for name, fields, words in [
        ("group-does-not-divide-channels", {"kernel_size": 3, "group": 3}, ("group 3", "4")),
        ("group-does-not-divide-outputs", {"kernel_size": 3, "group": 4}, ("group 4", "6")),
        ("kernel-beyond-the-image", {"kernel_size": 9}, ("[9, 9]", "[2, 4, 6, 7]")),
        ("no-outputs", {"kernel_size": 3, "num_output": 0}, ("num_output",)),
        ("no-kernel", {}, ("kernel_size",)),
        ("kernel-0", {"kernel_size": 0}, ("kernel",)),
        ("stride-0", {"kernel_size": 3, "stride": 0}, ("stride",)),
        ("three-kernels", {"kernel_size": (1, 2, 3)}, ("kernel_size",)),
        ("kernel-twice", {"kernel_size": 3, "kernel_h": 3, "kernel_w": 3}, ("kernel_size",)),
        (
            "stride-twice",
            {"kernel_size": 3, "stride": 1, "stride_h": 1, "stride_w": 1},
            ("stride",),
        ),
    ]:
        yield Refusal(name, convolution(name, shape, **fields).net, ("'y'", *words))
    yield Refusal(
        "bottoms-of-two-shapes",
        data(2, 4, 6, 7, name="a")
        + data(2, 4, 5, 7, name="b")
        + layer(
            "Convolution",
            ["a", "b"],
            ["y", "z"],
            param("convolution_param", num_output=4, kernel_size=3),
        ),
        ("'y'", "'b'", "[2, 4, 5, 7]", "[2, 4, 6, 7]"),
    )


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
