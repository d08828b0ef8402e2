"""Deconvolution against real Caffe: strides beyond the kernel, groups, dilation, 1-D to 3-D."""

from collections.abc import Iterator
from itertools import product

from kernel_cases import Pair, free, kernel_case, one_axis, pairs, three_axes, two_bottoms
from parity import Case, Parity, each, prove_fresh


def deconvolution(name: str, shape: tuple[int, ...], **fields: object) -> Case:
    """One Deconvolution, of 4 outputs if nothing else is said."""
    return kernel_case("Deconvolution", name, shape, **{"num_output": 4, **fields})


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
    yield from one_axis(deconvolution, (2, 4, 6), (1, 2, 3))
    geometries = [
        ((2, 3, 1), (1, 1, 1), (0, 1, 0), (1, 1, 1), 1),
        ((3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), 1),
        ((1, 2, 3), (2, 3, 1), (0, 1, 1), (1, 1, 1), 1),
        ((2, 2, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2), 1),
        ((2, 3, 2), (2, 1, 2), (1, 1, 0), (1, 1, 1), 2),
        ((2, 3, 2), (1, 2, 1), (1, 1, 0), (1, 1, 1), 4),
    ]
    yield from three_axes(deconvolution, (2, 4, 3, 5, 4), geometries)


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
    yield from two_bottoms("Deconvolution", (2, 4, 3, 5), (1, 4))


def free_sizes() -> Iterator[Case]:
    """Height and width left free."""
    for k, s, p in [(4, 2, 1), (3, 3, 0), (2, 3, 0), (3, 1, 1)]:
        case = deconvolution(f"free-k{k}-s{s}-p{p}", (2, 4, 4, 5), kernel_size=k, stride=s, pad=p)
        yield free(case, (2, 4, 6, 3), (3, 4, 5, 8))


CASES = [*two_dimensional(), *other_ranks(), *ways_to_write_it(), *free_sizes()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::12])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[5::25], parity)
