"""Pooling against real Caffe: MAX and AVE × ceil and floor × kernel × stride × pad × size."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from parity import Case, Parity, Refusal, each, prove_fresh
from prototxts import data, layer, param

Pair = tuple[int, int]


def pooling(name: str, shape: tuple[int, ...], **fields: object) -> Case:
    """One Pooling."""
    return Case(
        name, data(*shape) + layer("Pooling", "data", "y", param("pooling_param", **fields))
    )


def by_axes(pool: str, size: Pair, k: Pair, s: Pair, p: Pair, rounding: str) -> Case:
    """A Pooling with all sizes given for each axis."""
    name = f"{pool}-{rounding}-k{k[0]}x{k[1]}-s{s[0]}x{s[1]}-p{p[0]}x{p[1]}-on{size[0]}x{size[1]}"
    return pooling(
        name.lower(),
        (2, 3, *size),
        pool=pool,
        kernel_h=k[0],
        kernel_w=k[1],
        stride_h=s[0],
        stride_w=s[1],
        pad_h=p[0],
        pad_w=p[1],
        round_mode=None if rounding == "CEIL" else rounding,
    )


def beyond_the_edge(size: int, kernel: int, stride: int) -> bool:
    """Whether Caffe, rounding up without a pad, begins a window behind the last pixel."""
    return -(-(size - kernel) // stride) * stride >= size


def grid() -> Iterator[Case]:
    """Everything with everything, but for averages over windows without any pixel."""
    kernels: list[Pair] = [(2, 2), (3, 3), (3, 2), (1, 4)]
    strides: list[Pair] = [(1, 1), (2, 2), (2, 3), (3, 1)]
    pads: list[Pair] = [(0, 0), (1, 1), (2, 0), (0, 1)]
    sizes: list[Pair] = [(7, 10), (8, 9), (6, 5)]
    for pool, rounding, size, k, s, p in product(
        ("MAX", "AVE"), ("CEIL", "FLOOR"), sizes, kernels, strides, pads
    ):
        fits = p[0] < k[0] and p[1] < k[1]
        empty = rounding == "CEIL" and p == (0, 0) and any(map(beyond_the_edge, size, k, s))
        if fits and not (empty and pool == "AVE"):
            yield by_axes(pool, size, k, s, p, rounding)


def strides_beyond_the_kernel() -> Iterator[Case]:
    """Pixels that no window sees, windows that see no pixel, and those that a pad saves."""
    for pool, rounding, size, k, s, p in product(
        ("MAX", "AVE"),
        ("CEIL", "FLOOR"),
        [(7, 9), (8, 11)],
        [(1, 1), (2, 1), (2, 2)],
        [(3, 3), (4, 5)],
        [(0, 0), (1, 0), (1, 1)],
    ):
        empty = rounding == "CEIL" and p == (0, 0) and any(map(beyond_the_edge, size, k, s))
        if p[0] < k[0] and p[1] < k[1] and not (empty and pool == "AVE"):
            yield by_axes(pool, size, k, s, p, rounding)


def well_known() -> Iterator[Case]:
    """Poolings of real nets, large kernels, and TensorFlow's SAME by coincidence or nearly so."""
    for pool, size, k, s, p in [
        ("MAX", (55, 53), 3, 2, 0),  # AlexNet
        ("MAX", (14, 12), 2, 2, 0),  # VGG
        ("MAX", (56, 54), 3, 2, 1),  # ResNets of other frameworks
        ("AVE", (7, 7), 7, 1, 0),
        ("AVE", (7, 6), 3, 1, 1),  # Inception
        ("AVE", (9, 8), 5, 3, 0),
        ("AVE", (8, 8), 3, 2, 1),
        ("AVE", (9, 9), 3, 2, 1),
        ("AVE", (5, 6), 5, 2, 4),
        ("MAX", (5, 6), 5, 2, 4),
        ("AVE", (4, 5), 2, 2, 1),  # the last window is clipped on one axis
        ("MAX", (4, 5), 2, 2, 1),
        ("AVE", (7, 8), 3, 4, 2),
        ("MAX", (7, 8), 3, 4, 2),
        ("AVE", (2, 3), 5, 1, 2),
        ("MAX", (2, 3), 5, 1, 2),
        ("MAX", (3, 4), 5, 2, 1),
        ("AVE", (3, 4), 5, 2, 1),
    ]:
        for rounding in ("CEIL", "FLOOR"):
            padded = min(size) + 2 * p
            if padded >= k:
                case = by_axes(pool, size, (k, k), (s, s), (p, p), rounding)
                yield replace(case, id=f"known-{case.id}")


def ways_to_write_it() -> Iterator[Case]:
    """Defaults and one number for both axes; global pooling."""
    shape = (2, 3, 7, 8)
    yield pooling("max-by-default", shape, kernel_size=3)
    yield pooling("scalar-fields", shape, pool="AVE", kernel_size=3, stride=2, pad=1)
    yield pooling("kernel-scalar-stride-pair", shape, kernel_size=3, stride_h=2, stride_w=1)
    yield pooling("pad-pair", shape, pool="AVE", kernel_size=3, stride=2, pad_h=0, pad_w=1)
    yield pooling("round-mode-ceil", shape, kernel_size=2, stride=2, round_mode="CEIL")
    for pool in ("MAX", "AVE"):
        yield pooling(f"global-{pool.lower()}", shape, pool=pool, global_pooling=True)
        yield pooling(f"global-{pool.lower()}-1x1", (2, 3, 1, 1), pool=pool, global_pooling=True)
        yield pooling(
            f"global-{pool.lower()}-with-stride-1",
            shape,
            pool=pool,
            global_pooling=True,
            stride=1,
            pad=0,
        )
        yield pooling(f"whole-image-{pool.lower()}", shape, pool=pool, kernel_h=7, kernel_w=8)


def free_sizes() -> Iterator[Case]:
    """Height and width left free."""
    other = ({"data": (2, 3, 11, 6)}, {"data": (3, 3, 6, 13)}, {"data": (2, 3, 9, 9)})
    for pool, rounding, (k, s, p) in product(
        ("MAX", "AVE"), ("CEIL", "FLOOR"), [(2, 2, 0), (3, 2, 0), (3, 1, 1), (3, 2, 1), (4, 2, 1)]
    ):
        case = by_axes(pool, (7, 8), (k, k), (s, s), (p, p), rounding)
        yield replace(case, id=f"free-{case.id}", free={"data": (2, 3, None, None)}, sizes=other)
    for pool, rounding, p in [("MAX", "CEIL", 0), ("AVE", "FLOOR", 0), ("AVE", "FLOOR", 1)]:
        case = by_axes(pool, (8, 8), (2, 2), (3, 3), (p, p), rounding)
        yield replace(case, id=f"free-{case.id}", free={"data": (2, 3, None, None)}, sizes=other)
    for pool in ("MAX", "AVE"):
        case = pooling(f"free-global-{pool.lower()}", (2, 3, 7, 8), pool=pool, global_pooling=True)
        yield replace(case, free={"data": (2, 3, None, None)}, sizes=other)


CASES = [
    *grid(),
    *strides_beyond_the_kernel(),
    *well_known(),
    *ways_to_write_it(),
    *free_sizes(),
]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::20])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[5::40], parity)


def refused() -> Iterator[Refusal]:
    """Values without an exact counterpart, and what Caffe refuses as well."""
    for k, s, size in [(1, 3, (7, 9)), (2, 4, (7, 9)), (1, 2, (6, 4))]:
        case = by_axes("AVE", size, (k, k), (s, s), (0, 0), "CEIL")
        yield Refusal(f"0-by-0-{case.id}", case.net, ("'y'", "last window", "0/0"), ours=True)
    # At the prototxt's own size every window has pixels.
    for size, k, s in [((8, 8), (2, 2), (3, 3)), ((8, 9), (3, 1), (2, 2))]:
        case = by_axes("AVE", size, k, s, (0, 0), "CEIL")
        yield Refusal(
            f"0-by-0-at-a-free-size-{case.id}",
            case.net,
            ("'y'", "last window", "0/0", "--input-shape"),
            ours=True,
            free={"data": (2, 3, None, None)},
        )
    case = pooling("stochastic", (2, 3, 6, 7), pool="STOCHASTIC", kernel_size=2)
    yield Refusal(case.id, case.net, ("'y'", "STOCHASTIC"), ours=True)
    mask = layer("Pooling", "data", ["y", "mask"], param("pooling_param", kernel_size=2))
    yield Refusal("mask", data(2, 3, 6, 7) + mask, ("'y'", "'mask'"), ours=True)
    for pool in ("MAX", "AVE"):
        yield Refusal(
            f"clipping-depends-on-a-free-size-{pool.lower()}",
            by_axes(pool, (7, 8), (2, 2), (2, 2), (1, 1), "CEIL").net,
            ("'y'", "last window", "--input-shape"),
            ours=True,
            free={"data": (2, 3, None, None)},
        )
    for name, shape, fields, words in [
        ("pad-as-the-kernel", (2, 3, 6, 7), {"kernel_size": 2, "pad": 2}, ("pad", "kernel")),
        ("no-kernel", (2, 3, 6, 7), {}, ("kernel_size",)),
        (
            "two-kernels",
            (2, 3, 6, 7),
            {"kernel_size": 2, "kernel_h": 2, "kernel_w": 2},
            ("kernel_size",),
        ),
        ("global-kernel", (2, 3, 6, 7), {"global_pooling": True, "kernel_size": 2}, ("global",)),
        ("three-axes", (2, 3, 6), {"kernel_size": 2}, ("4 axes", "[2, 3, 6]")),
    ]:
        yield Refusal(name, pooling(name, shape, **fields).net, ("'y'", *words))


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
