"""InnerProduct and Embed against real Caffe: what is flattened, and in which order."""

from collections.abc import Iterator

from parity import Case, Parity, Refusal, below, each, prove_fresh
from prototxts import blob_shape, data, layer, param

SHAPES = {"2d": (2, 5), "3d": (2, 3, 4), "4d": (2, 3, 4, 5), "5d": (2, 3, 2, 4, 3)}
CONV = layer("Convolution", "data", "conv", param("convolution_param", num_output=4, kernel_size=2))


def product(bottom: str, top: str, **fields: object) -> str:
    """One InnerProduct, of 6 outputs if nothing else is said."""
    return layer(
        "InnerProduct", bottom, top, param("inner_product_param", **{"num_output": 6, **fields})
    )


def alone() -> Iterator[Case]:
    """Every axis of every rank, both ways to store the weights, with and without a bias."""
    for rank, shape in SHAPES.items():
        for axis in range(1, len(shape)):
            for written in (axis, axis - len(shape)):
                for transpose in (False, True):
                    bias = (axis + transpose) % 2 == 0
                    name = f"{rank}-axis{written}{'-transposed' * transpose}{'-bias' * bias}"
                    fields = {"axis": written, "transpose": transpose, "bias_term": bias}
                    yield Case(name, data(*shape) + product("data", "y", **fields))
    yield Case("batch-flattened", data(2, 3, 4, 5) + product("data", "y", axis=0), fixed_batch=True)
    yield Case("one-output", data(2, 3, 4, 5) + product("data", "y", num_output=1))
    yield Case("one-pixel", data(2, 3, 1, 1) + product("data", "y"))
    yield Case("column", data(2, 3, 5, 1) + product("data", "y"))
    yield Case("row", data(2, 3, 1, 5) + product("data", "y"))
    yield Case("one-channel", data(2, 1, 4, 5) + product("data", "y"))


def square() -> Iterator[Case]:
    """As many inputs as outputs: a kernel read the wrong way round has the right shape."""
    for transpose in (False, True):
        name = f"square{'-transposed' * transpose}"
        yield Case(name, data(2, 5) + product("data", "y", num_output=5, transpose=transpose))
        yield Case(
            f"{name}-4d",
            data(2, 2, 3, 4) + product("data", "y", num_output=24, transpose=transpose),
        )


def behind_others() -> Iterator[Case]:
    """Behind layers that change shape and layout: after a convolution blobs lie channels last."""
    pool = layer("Pooling", "conv", "pool", param("pooling_param", kernel_size=2, stride=2))
    top = {"conv": CONV, "pool": CONV + pool}
    flatten = layer("Flatten", "{}", "flat")
    drop = layer("Dropout", "flat", "flat", name="drop")
    relu = layer("ReLU", "flat", "flat", name="relu")
    for blob, before in top.items():
        net = data(2, 3, 6, 8) + before
        flat = net + flatten.replace("{}", blob)
        yield Case(f"{blob}-fc", net + product(blob, "y"))
        yield Case(f"{blob}-fc-transposed", net + product(blob, "y", transpose=True))
        yield Case(f"{blob}-flatten-fc", flat + product("flat", "y"))
        yield Case(f"{blob}-flatten-relu-dropout-fc", flat + relu + drop + product("flat", "y"))
        yield Case(f"{blob}-fc-axis2", net + product(blob, "y", axis=2))
        yield Case(f"{blob}-fc-axis3", net + product(blob, "y", axis=3))
        yield Case(
            f"{blob}-fc-axis-1-transposed", net + product(blob, "y", axis=-1, transpose=True)
        )
        yield Case(f"{blob}-fc-fc", net + product(blob, "h") + product("h", "y", num_output=3))
        yield Case(f"{blob}-fc-axis2-fc", net + product(blob, "h", axis=2) + product("h", "y"))
        yield Case(
            f"{blob}-fc-axis2-fc-axis2",
            net + product(blob, "h", axis=2) + product("h", "y", axis=2),
        )
        for name, shape in {
            "minus-1": (0, -1),
            "spatial-merged": (0, 0, -1),
            "channels-split": (0, 2, 2, 0, 0),
            "channels-and-height": (0, -1, 0),
        }.items():
            reshaped = {"conv": shape, "pool": shape}[blob]
            if name == "channels-and-height":
                reshaped = (0, 4 * (5 if blob == "conv" else 3), -1)
            if name == "channels-split":
                reshaped = (0, 2, -1, 5 if blob == "conv" else 3)
            reshape = layer("Reshape", blob, "r", f"reshape_param {{ {blob_shape(reshaped)} }}")
            yield Case(f"{blob}-reshape-{name}-fc", net + reshape + product("r", "y"))
    yield Case(
        "input-flatten-fc", data(2, 3, 4, 5) + flatten.replace("{}", "data") + product("flat", "y")
    )
    yield Case(
        "concat-of-two-flattened-fc",
        data(2, 3, 6, 8)
        + CONV
        + pool
        + layer("Flatten", "conv", "a")
        + layer("Flatten", "pool", "b")
        + layer("Concat", ["a", "b"], "ab")
        + product("ab", "y"),
    )
    yield Case(
        "slice-of-flattened-fc",
        data(2, 3, 6, 8)
        + CONV
        + layer("Flatten", "conv", "flat")
        + layer("Slice", "flat", ["a", "b"], param("slice_param", slice_point=45))
        + product("a", "y")
        + product("b", "z"),
    )
    yield Case(
        "fc-as-a-convolution",
        data(2, 3, 6, 8)
        + product("data", "h", num_output=12)
        + layer("Reshape", "h", "r", f"reshape_param {{ {blob_shape((0, 3, 2, 2))} }}")
        + layer("Convolution", "r", "y", param("convolution_param", num_output=4, kernel_size=2)),
    )


def embeddings() -> Iterator[Case]:
    """Tables of any rank of indices."""
    for shape in [(4,), (2, 5), (2, 3, 4), (2, 3, 2, 5)]:
        for bias in (True, False):
            fields = {"input_dim": 7, "num_output": 5, "bias_term": bias}
            yield Case(
                f"embed-{'x'.join(map(str, shape))}{'-bias' * bias}",
                data(*shape, name="i") + layer("Embed", "i", "y", param("embed_param", **fields)),
                draws={"i": below(7)},
            )
    yield Case(
        "embed-fc",
        data(2, 5, name="i")
        + layer("Embed", "i", "e", param("embed_param", input_dim=7, num_output=3))
        + product("e", "y"),
        draws={"i": below(7)},
    )


CASES = [*alone(), *square(), *behind_others(), *embeddings()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::5])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[1::9], parity)


def refused() -> Iterator[Refusal]:
    """What Caffe refuses as well, and what depends on a free size."""
    shape = data(2, 3, 4, 5)
    yield Refusal("no-outputs", shape + product("data", "y", num_output=0), ("'y'", "num_output"))
    yield Refusal("axis-outside", shape + product("data", "y", axis=4), ("'y'", "axis 4"))
    embed = layer("Embed", "data", "y", param("embed_param", num_output=3))
    yield Refusal("no-rows", shape + embed, ("'y'", "input_dim"))
    yield Refusal(
        "free-size",
        shape + product("data", "y"),
        ("'y'", "free"),
        ours=True,
        free={"data": (2, 3, None, None)},
    )


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
