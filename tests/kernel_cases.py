"""What the parity cases of Convolution and Deconvolution share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from parity import Case
from prototxts import data, layer, param

Pair = tuple[int, int]
Triple = tuple[int, int, int]
Shape = tuple[int, ...]
Make = Callable[..., Case]


def kernel_case(kind: str, name: str, shape: Shape, **fields: object) -> Case:
    """One layer of a type with `convolution_param`."""
    net = data(*shape) + layer(kind, "data", "y", param("convolution_param", **fields))
    return Case(name, net)


def pairs(*values: Pair) -> str:
    """Kernel, stride, pad and dilation as part of an id."""
    return "-".join(f"{n}{h}x{w}" for n, (h, w) in zip("kspd", values, strict=True))


def one_axis(make: Make, shape: Shape, strides: Sequence[int], **more: object) -> Iterator[Case]:
    """Every kernel with every stride, pad, dilation and group along a single axis."""
    for k, s, p, d, group in product((1, 2, 3), strides, (0, 1), (1, 2), (1, 2, 4)):
        name = f"1d-k{k}-s{s}-p{p}-d{d}-g{group}"
        fields = {"kernel_size": k, "stride": s, "pad": p, "dilation": d, "group": group}
        yield make(name, shape, **fields, **more)


def three_axes(
    make: Make,
    shape: Shape,
    geometries: Iterable[tuple[Triple, Triple, Triple, Triple, int]],
    **more: object,
) -> Iterator[Case]:
    """These kernels, strides, pads, dilations and groups, in this order."""
    for k, s, p, d, group in geometries:
        sizes = ["x".join(map(str, values)) for values in (k, s, p, d)]
        name = "3d-" + "-".join(f"{n}{v}" for n, v in zip("kspd", sizes, strict=True))
        fields = {"kernel_size": k, "stride": s, "pad": p, "dilation": d, "group": group}
        yield make(f"{name}-g{group}", shape, **fields, **more)


def two_bottoms(kind: str, shape: Shape, groups: Sequence[int]) -> Iterator[Case]:
    """One kernel for two blobs."""
    for group in groups:
        fields = param("convolution_param", num_output=4, kernel_size=3, stride=2, group=group)
        yield Case(
            f"two-bottoms-one-kernel-g{group}",
            data(*shape, name="a")
            + data(*shape, name="b")
            + layer(kind, ["a", "b"], ["y", "z"], fields),
        )


def free(case: Case, *sizes: Shape) -> Case:
    """Height and width left free, run at these shapes as well."""
    channels = sizes[0][1]
    return replace(
        case,
        free={"data": (2, channels, None, None)},
        sizes=tuple({"data": shape} for shape in sizes),
    )
