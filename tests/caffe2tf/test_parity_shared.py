"""Blobs that layers share by `param { name }` against real Caffe: one Keras layer, or copies."""

from collections.abc import Iterator

from parity import Case, Parity, each
from prototxts import blob_shape, data, layer, param


def conv(bottom: str, top: str, outputs: int, **fields: object) -> str:
    return layer(
        "Convolution", bottom, top, param("convolution_param", num_output=outputs, **fields)
    )


def fc(bottom: str, top: str, outputs: int, extra: str = "", **fields: object) -> str:
    options = param("inner_product_param", num_output=outputs, **fields)
    return layer("InnerProduct", bottom, top, f"{extra} {options}")


def shared_weights() -> Iterator[Case]:
    """Siamese twins: `param { name }`; what is written last in the weights file counts."""
    two = data(2, 3, 4, 5, name="a") + data(2, 3, 4, 5, name="b")
    named = 'param { name: "w" } param { name: "b" }'
    yield Case(
        "siamese",
        two
        + fc("a", "x", 4, named)
        + fc("b", "y", 4, named)
        + layer("Eltwise", ["x", "y"], "d", "eltwise_param { coeff: 1 coeff: -1 }"),
    )
    options = param("convolution_param", num_output=4, kernel_size=3)
    convs = "".join(
        layer("Convolution", bottom, top, f"{named} {options}")
        for bottom, top in (("a", "x"), ("b", "y"), ("a", "z"))
    )
    yield Case("siamese-convolutions", two + convs)
    yield Case(
        "shared-weights-own-biases",
        two + fc("a", "x", 4, 'param { name: "w" }') + fc("b", "y", 4, 'param { name: "w" }'),
    )
    own = 'param { } param { name: "b" }'
    yield Case("own-weights-shared-biases", two + fc("a", "x", 4, own) + fc("b", "y", 4, own))
    scales = "".join(
        layer("Scale", bottom, top, f"{named} scale_param {{ bias_term: true }}")
        for bottom, top in (("a", "x"), ("b", "y"))
    )
    yield Case("shared-scales", two + scales)
    prelus = "".join(
        layer("PReLU", b, t, 'param { name: "s" }') for b, t in (("a", "x"), ("b", "y"))
    )
    yield Case("shared-slopes", two + prelus)
    yield Case(
        "first-call-gives-a-crop-its-size",
        data(2, 3, 6, 7, name="x")
        + data(2, 3, 4, 5, name="y")
        + layer("Convolution", "y", "a", f"{named} {options}")
        + layer("Convolution", "x", "b", f"{named} {options}")
        + layer("Crop", ["b", "a"], "z", "crop_param { axis: 2 offset: 1 }"),
    )


def shared_otherwise() -> Iterator[Case]:
    """One blob that two layers lay, turn or group differently."""
    named = 'param { name: "w" } param { name: "b" }'
    square = data(2, 4)
    yield Case(
        "parted-transposed",
        square + fc("data", "a", 4, named) + fc("data", "b", 4, named, transpose=True),
    )
    image = data(2, 4, 3, 2)
    yield Case(
        "parted-rows",
        image
        + conv("data", "c", 4, kernel_size=1)
        + fc("c", "a", 3, named)
        + layer("Reshape", "c", "f", f"reshape_param {{ {blob_shape((0, 2, 12))} }}")
        + layer("ReLU", "f", "f", name="r")
        + fc("f", "b", 3, named),
    )
    yield Case(
        "parted-rows-of-two-inputs",
        data(2, 4, 3, 2, name="x")
        + data(2, 24, name="y")
        + fc("x", "a", 3, named)
        + fc("y", "b", 3, named),
    )
    turned = param("convolution_param", num_output=4, kernel_size=2, dilation=2)
    yield Case(
        "parted-deconvolution",
        data(2, 4, 6, 7)
        + layer("Convolution", "data", "a", f"{named} {turned}")
        + layer("Deconvolution", "data", "b", f"{named} {turned}"),
    )
    groups = [
        layer("Convolution", bottom, top, f"{named} {options}")
        for bottom, top, options in (
            ("x", "a", param("convolution_param", num_output=8, kernel_size=2, group=4)),
            ("y", "b", param("convolution_param", num_output=8, kernel_size=2)),
            ("z", "c", param("convolution_param", num_output=8, kernel_size=2, group=2)),
        )
    ]
    inputs = data(2, 4, 5, 6, name="x") + data(2, 1, 5, 6, name="y") + data(2, 2, 5, 6, name="z")
    yield Case("parted-groups", inputs + "".join(groups))
    ranks = data(2, 4, 3, 5, name="x") + data(2, 4, name="y") + data(2, 4, 6, name="z")
    for kind, names in {
        "PReLU": 'param { name: "s" }',
        "Scale": f"{named} scale_param {{ bias_term: true }}",
        "BatchNorm": 'param { name: "m" } param { name: "v" } param { name: "f" }',
    }.items():
        layers = (layer(kind, bottom, f"{bottom}'", names) for bottom in "xyz")
        yield Case(f"parted-ranks-{kind.lower()}", ranks + "".join(layers))
    span = param("scale_param", axis=1, num_axes=2)
    yield Case(
        "parted-scales-of-two-axes",
        data(2, 3, 4, 5, name="x")
        + data(2, 3, 4, name="y")
        + conv("x", "c", 3, kernel_size=1)
        + layer("Scale", "c", "a", f'param {{ name: "s" }} {span}')
        + layer("Scale", "y", "b", f'param {{ name: "s" }} {span}'),
    )
    norms = 'param { name: "m" } param { name: "v" } param { name: "f" }'
    yield Case(
        "parted-norms-merged-with-their-own-scales",
        data(2, 3, 4, 5, name="x")
        + data(2, 3, 4, 5, name="y")
        + layer("BatchNorm", "x", "n", norms)
        + layer("Scale", "n", "a")
        + layer("BatchNorm", "y", "o", norms)
        + layer("Scale", "o", "b"),
    )


PARTED = [*shared_otherwise()]
CASES = [*shared_weights(), *PARTED]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES)
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_shared_weights_are_one_keras_layer(parity: Parity) -> None:
    case = next(case for case in CASES if case.id == "siamese-convolutions")
    model = parity.subject(case).built().model
    assert sorted(weight.path for weight in model.weights) == ["x/bias", "x/kernel"]


@each(PARTED)
def test_shared_weights_that_keras_parts_are_named(case: Case, parity: Parity) -> None:
    notes = parity.subject(case).built().notes
    assert notes
    assert all("shares its" in note and "training would part" in note for note in notes)


def test_rows_that_lie_alike_stay_shared(parity: Parity) -> None:
    """However the bottoms came to lie so."""
    named = 'param { name: "w" } param { name: "b" }'
    case = Case(
        "rows-alike",
        data(2, 3, 4, name="x")
        + data(2, 12, name="y")
        + fc("x", "a", 5, named)
        + fc("y", "b", 5, named),
    )
    parity.prove(case)
    built = parity.subject(case).built()
    assert not built.notes
    assert len(built.model.weights) == 2
