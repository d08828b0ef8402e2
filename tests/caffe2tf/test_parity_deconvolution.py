"""Deconvolution against real Caffe: strides beyond the kernel, groups, dilation, 1-D to 3-D."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from parity import Case, Parity, each, prove_fresh
from prototxts import data, layer, param

Pair = tuple[int, int]


def deconvolution(name: str, shape: tuple[int, ...], **fields: object) -> Case:
    """One Deconvolution, of 4 outputs if nothing else is said."""
    fields = {"num_output": 4, **fields}
    net = data(*shape) + layer("Deconvolution", "data", "y", param("convolution_param", **fields))
    return Case(name, net)


def pairs(*values: Pair) -> str:
    """Kernel, stride, pad and dilation as part of an id."""
    return "-".join(f"{n}{h}x{w}" for n, (h, w) in zip("kspd", values, strict=True))


def two_dimensional() -> Iterator[Case]:
    """Every kernel with every stride and pad, in one group, several, and one per channel."""
    kernels: list[Pair] = [(1, 1), (2, 2), (4, 3), (2, 5)]
    strides: list[Pair] = [(1, 1), (2, 2), (3, 1), (2, 3)]
    pads: list[Pair] = [(0, 0), (1, 1), (0, 2)]
    dilations: list[Pair] = [(1, 1), (2, 1), (1, 1), (2, 2), (1, 1)]
    for group, number_and_fields in product((1, 2, 4), enumerate(product(kernels, strides, pads))):
        number, (k, s, p) = number_and_fields
        d = dilations[number % len(dilations)]
        yield deconvolution(
            f"{pairs(k, s, p, d)}-g{group}",
            (2, 4, 5, 7),
            num_output=8 if number % 2 else 4,
            kernel_size=k,
            stride=s,
            pad=p,
            dilation=d,
            group=group,
        )


def other_ranks() -> Iterator[Case]:
    """One and three spatial axes."""
    for k, s, p, d, group in product((1, 2, 3), (1, 2, 3), (0, 1), (1, 2), (1, 2, 4)):
        name = f"1d-k{k}-s{s}-p{p}-d{d}-g{group}"
        fields = {"kernel_size": k, "stride": s, "pad": p, "dilation": d, "group": group}
        yield deconvolution(name, (2, 4, 6), **fields)
    for k, s, p, d, group in [
        ((2, 3, 1), (1, 1, 1), (0, 1, 0), (1, 1, 1), 1),
        ((3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), 1),
        ((1, 2, 3), (2, 3, 1), (0, 1, 1), (1, 1, 1), 1),
        ((2, 2, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2), 1),
        ((2, 3, 2), (2, 1, 2), (1, 1, 0), (1, 1, 1), 2),
        ((2, 3, 2), (1, 2, 1), (1, 1, 0), (1, 1, 1), 4),
    ]:
        sizes = ["x".join(map(str, values)) for values in (k, s, p, d)]
        name = "3d-" + "-".join(f"{n}{v}" for n, v in zip("kspd", sizes, strict=True))
        given = {"kernel_size": k, "stride": s, "pad": p, "dilation": d, "group": group}
        yield deconvolution(f"{name}-g{group}", (2, 4, 3, 5, 4), **given)


def ways_to_write_it() -> Iterator[Case]:
    """How the fields may be written, and what else the layer may have."""
    shape = (2, 3, 4, 5)
    yield deconvolution("scalar-fields", shape, kernel_size=3, stride=2, pad=1)
    yield deconvolution("h-and-w-fields", shape, kernel_h=4, kernel_w=3, stride_h=1, stride_w=2)
    for group in (1, 3):
        yield deconvolution(
            f"no-bias-g{group}",
            shape,
            num_output=3,
            kernel_size=3,
            stride=2,
            group=group,
            bias_term=False,
        )
    yield deconvolution(
        "fcn-upsampling",
        (1, 5, 3, 4),
        num_output=5,
        group=5,
        kernel_size=8,
        stride=4,
        bias_term=False,
    )
    yield deconvolution("one-pixel", (2, 3, 1, 1), kernel_size=(4, 5))
    yield deconvolution("batch-of-one", (1, 3, 4, 5), kernel_size=3, stride=2)
    for group in (1, 4):
        yield Case(
            f"two-bottoms-one-kernel-g{group}",
            data(2, 4, 3, 5, name="a")
            + data(2, 4, 3, 5, name="b")
            + layer(
                "Deconvolution",
                ["a", "b"],
                ["y", "z"],
                param("convolution_param", num_output=4, kernel_size=3, stride=2, group=group),
            ),
        )


def free_sizes() -> Iterator[Case]:
    """Height and width left free."""
    for k, s, p in [(4, 2, 1), (3, 3, 0), (2, 3, 0), (3, 1, 1)]:
        case = deconvolution(f"free-k{k}-s{s}-p{p}", (2, 4, 4, 5), kernel_size=k, stride=s, pad=p)
        yield replace(
            case,
            free={"data": (2, 4, None, None)},
            sizes=({"data": (2, 4, 6, 3)}, {"data": (3, 4, 5, 8)}),
        )


CASES = [*two_dimensional(), *other_ranks(), *ways_to_write_it(), *free_sizes()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::12])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[5::25], parity)
