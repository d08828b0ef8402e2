"""Eltwise against real Caffe: every operation, coefficients, and bottoms of unlike layouts."""

from collections.abc import Iterator
from itertools import product

from parity import Case, Parity, Refusal, each, prove_fresh
from prototxts import blob_shape, data, layer, param

SHAPES = {"4d": (2, 3, 4, 5), "2d": (3, 6), "3d": (2, 3, 4), "5d": (2, 3, 2, 4, 3), "1d": (9,)}
OPERATIONS = ("SUM", "PROD", "MAX")
COEFFICIENTS = {
    "difference": (1, -1),
    "weights": (0.3, -2.5),
    "one-of-two": (1, 0.5),
    "negative": (-1, -1),
    "with-0": (0, 1.5),
    "three": (1, -1, 2),
    "four": (0.5, 1, -1, -0.25),
}


def eltwise(bottoms: list[str], **fields: object) -> str:
    return layer("Eltwise", bottoms, "y", param("eltwise_param", **fields))


def inputs(count: int, shape: tuple[int, ...]) -> tuple[str, list[str]]:
    """So many inputs of one shape, and their names."""
    names = [f"x{i}" for i in range(count)]
    return "".join(data(*shape, name=name) for name in names), names


def operations() -> Iterator[Case]:
    """Two to four bottoms of every rank; one blob more than once."""
    for operation, (rank, shape), count in product(OPERATIONS, SHAPES.items(), (2, 3, 4)):
        net, names = inputs(count, shape)
        yield Case(
            f"{operation.lower()}-{rank}-of-{count}", net + eltwise(names, operation=operation)
        )
    for operation in OPERATIONS:
        net, _ = inputs(2, SHAPES["4d"])
        text = net + eltwise(["x0", "x1", "x0"], operation=operation)
        yield Case(f"{operation.lower()}-one-twice", text)
    net, names = inputs(2, SHAPES["4d"])
    yield Case("default", net + layer("Eltwise", names, "y"))
    yield Case("stable", net + eltwise(names, operation="PROD", stable_prod_grad=False))
    yield Case("max-ignores-coeff", net + eltwise(names, operation="MAX", coeff=(2, -3)))


def coefficients() -> Iterator[Case]:
    """SUM with a factor for each bottom."""
    for (name, coeff), rank in product(COEFFICIENTS.items(), ("4d", "2d")):
        net, names = inputs(len(coeff), SHAPES[rank])
        yield Case(f"coeff-{name}-{rank}", net + eltwise(names, coeff=coeff))


def in_nets() -> Iterator[Case]:
    """Shortcuts, in place, and bottoms of which one lies as Caffe has it and one channels last."""
    conv = param("convolution_param", num_output=3, kernel_size=3, pad=1)
    base = data(2, 3, 4, 5, name="x") + layer("Convolution", "x", "c", conv)
    flat = layer("Flatten", "c", "cf") + layer("Flatten", "x", "xf")
    reshape = layer("Reshape", "f", "r", f"reshape_param {{ {blob_shape((0, 3, 4, 5))} }}")
    fc = layer("InnerProduct", "x", "f", param("inner_product_param", num_output=60))
    for operation in OPERATIONS:
        low = operation.lower()
        yield Case(f"{low}-shortcut", base + eltwise(["c", "x"], operation=operation))
        yield Case(f"{low}-flattened", base + flat + eltwise(["cf", "xf"], operation=operation))
        yield Case(
            f"{low}-flattened-and-fc",
            base + flat + fc + eltwise(["f", "cf"], operation=operation),
        )
        yield Case(
            f"{low}-reshaped-and-conv",
            base + fc + reshape + eltwise(["r", "c"], operation=operation),
        )
    in_place = layer("Eltwise", ["c", "x"], "c", "eltwise_param { operation: PROD }", name="e")
    yield Case("prod-in-place", base + in_place)
    yield Case("coeff-flattened-and-fc", base + flat + fc + eltwise(["f", "cf"], coeff=(2, -0.5)))


CASES = [*operations(), *coefficients(), *in_nets()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::6])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[3::10], parity)


def refused() -> Iterator[Refusal]:
    """What Caffe refuses as well."""
    net, names = inputs(2, (2, 3, 4, 5))
    one = net + eltwise(["x0"])
    yield Refusal("one-bottom", one, ("'y'", "1 bottom"))
    yield Refusal("three-coeff", net + eltwise(names, coeff=(1, 2, 3)), ("'y'", "3 coeff"))
    prod = net + eltwise(names, operation="PROD", coeff=(1, 2))
    yield Refusal("prod-coeff", prod, ("'y'", "coeff", "PROD"))
    for operation in ("SUM", "MAX"):
        fields = param("eltwise_param", operation=operation)
        text = layer("Eltwise", names, "x0", fields, name="y")
        yield Refusal(f"{operation.lower()}-in-place", net + text, ("'y'", "in place"), ours=True)
    other = net + data(2, 3, 4, 6, name="z") + eltwise(["x0", "z"])
    yield Refusal("other-shape", other, ("'y'", "'z'", "[2, 3, 4, 6]", "[2, 3, 4, 5]"))


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
