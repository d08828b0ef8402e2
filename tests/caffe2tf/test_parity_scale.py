"""Scale and Bias against real Caffe: every axis and num_axes, blobs and second bottoms."""

from collections.abc import Iterator
from dataclasses import replace

from parity import Case, Parity, Refusal, each, prove_fresh
from prototxts import data, layer, param

SHAPES = {"4d": (2, 3, 4, 5), "2d": (3, 4), "3d": (2, 3, 4), "5d": (2, 3, 2, 4, 3), "1d": (5,)}
KINDS = {"Scale": "scale_param", "Bias": "bias_param"}
CONV = layer("Convolution", "data", "c", param("convolution_param", num_output=4, kernel_size=2))


def fields(kind: str, bias: bool = False, **values: object) -> str:
    """The parameter message of either type; a Bias has no bias_term."""
    return param(KINDS[kind], bias_term=True if bias and kind == "Scale" else None, **values)


def blobs() -> Iterator[Case]:
    """A blob over every run of axes; one that covers the batch fixes it."""
    for kind in KINDS:
        for rank, shape in SHAPES.items():
            for axis in range(len(shape)):
                for count in (*range(len(shape) - axis + 1), -1):
                    for bias in (False, True) if kind == "Scale" else (False,):
                        name = f"{kind.lower()}-{rank}-axis{axis}-axes{count}{'-bias' * bias}"
                        written = fields(kind, bias, axis=axis, num_axes=count)
                        yield Case(
                            name,
                            data(*shape) + layer(kind, "data", "y", written),
                            fixed_batch=axis == 0 and count != 0,
                        )
        for axis in (-1, -2, -3):
            yield Case(
                f"{kind.lower()}-axis{axis}",
                data(2, 3, 4, 5) + layer(kind, "data", "y", fields(kind, axis=axis)),
            )
        yield Case(f"{kind.lower()}-defaults", data(2, 3, 4, 5) + layer(kind, "data", "y"))


def second_bottoms() -> Iterator[Case]:
    """The coefficient as an input of every shape that Caffe takes."""
    for kind in KINDS:
        for rank in ("4d", "2d", "3d"):
            shape = SHAPES[rank]
            for axis in range(len(shape)):
                for end in range(axis, len(shape) + 1):
                    if end == axis:
                        continue  # a single number, which Keras cannot be fed
                    for bias in (False, True) if kind == "Scale" else (False,):
                        count = end - axis
                        name = f"{kind.lower()}-{rank}-by-input-axis{axis}-axes{count}"
                        yield Case(
                            f"{name}{'-bias' * bias}",
                            data(*shape, name="x")
                            + data(*shape[axis:end], name="k")
                            + layer(kind, ["x", "k"], "y", fields(kind, bias, axis=axis)),
                            fixed_batch=bias or axis > 0,
                        )


def in_nets() -> Iterator[Case]:
    """On blobs that lie channels last or were flattened, in place, by blobs of the net itself."""
    for kind in KINDS:
        low = kind.lower()
        net = data(2, 3, 5, 7) + CONV
        for axis, count in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1), (1, 0)]:
            written = fields(kind, True, axis=axis, num_axes=count)
            name = f"{low}-behind-conv-axis{axis}-axes{count}"
            yield Case(name, net + layer(kind, "c", "y", written))
            fc = layer("InnerProduct", "y", "fc", param("inner_product_param", num_output=3))
            yield Case(f"{name}-fc", net + layer(kind, "c", "y", written) + fc)
        flat = layer("Flatten", "c", "f")
        yield Case(f"{low}-behind-flatten", net + flat + layer(kind, "f", "y", fields(kind, True)))
        yield Case(f"{low}-in-place", net + layer(kind, "c", "c", fields(kind, True), name="s"))
        gate = layer(
            "Pooling", "c", "g", param("pooling_param", pool="AVE", global_pooling=True)
        ) + layer("Reshape", "g", "k", "reshape_param { shape { dim: 0 dim: -1 } }")
        by_gate = layer(kind, ["c", "k"], "y", fields(kind, axis=0))
        yield Case(f"{low}-squeeze-and-excitation", net + gate + by_gate)
        yield Case(
            f"{low}-by-a-map-of-the-net",
            net
            + layer(
                "Convolution", "data", "m", param("convolution_param", num_output=4, kernel_size=2)
            )
            + layer(kind, ["c", "m"], "y", fields(kind, axis=0)),
        )
        yield Case(
            f"{low}-by-a-flattened-map",
            net
            + flat
            + layer("Flatten", "c", "g")
            + layer(kind, ["f", "g"], "y", fields(kind, axis=0)),
        )
        case = Case(f"free-{low}", net + layer(kind, "c", "y", fields(kind, True)))
        yield replace(
            case,
            free={"data": (2, 3, None, None)},
            sizes=({"data": (2, 3, 8, 4)}, {"data": (3, 3, 6, 9)}),
        )


CASES = [*blobs(), *second_bottoms(), *in_nets()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::8])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[3::15], parity)


def refused() -> Iterator[Refusal]:
    """What Caffe refuses as well."""
    net = data(2, 3, 4, 5, name="x")
    for kind in KINDS:
        beyond = net + layer(kind, "x", "y", fields(kind, axis=2, num_axes=3))
        yield Refusal(f"{kind.lower()}-beyond", beyond, ("'y'", "axis 2", "3"))
        other = net + data(4, name="k") + layer(kind, ["x", "k"], "y")
        number = net + data(name="k") + layer(kind, ["x", "k"], "y")
        yield Refusal(f"{kind.lower()}-by-a-number", number, ("'k'", "axes"), ours=True)
        yield Refusal(f"{kind.lower()}-other-size", other, ("'y'", "[4]", "[2, 3, 4, 5]"))


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
