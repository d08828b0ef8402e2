"""Activations against real Caffe: every parameter and rank, in place, on composite layouts."""

from collections.abc import Iterator

from parity import Case, Draw, Parity, Refusal, each, normal, positive, prove_fresh
from prototxts import data, layer, param

# type, id, fields, how the input is drawn
FUNCTIONS: list[tuple[str, str, str, Draw]] = [
    ("ReLU", "relu", "", normal),
    ("ReLU", "relu-slope", param("relu_param", negative_slope=0.3), normal),
    ("ReLU", "relu-slope-below-0", param("relu_param", negative_slope=-0.3), normal),
    ("ReLU", "relu-slope-above-1", param("relu_param", negative_slope=1.7), normal),
    ("PReLU", "prelu", "", normal),
    ("PReLU", "prelu-shared", param("prelu_param", channel_shared=True), normal),
    ("ELU", "elu", "", normal),
    ("ELU", "elu-alpha", param("elu_param", alpha=0.4), normal),
    ("ELU", "elu-alpha-above-1", param("elu_param", alpha=1.6), normal),
    ("Sigmoid", "sigmoid", "", normal),
    ("TanH", "tanh", "", normal),
    ("AbsVal", "absval", "", normal),
    ("BNLL", "bnll", "", normal),
    ("Power", "power-nothing", "", normal),
    ("Power", "power-scale", param("power_param", scale=-1.5), normal),
    ("Power", "power-shift", param("power_param", shift=0.7), normal),
    ("Power", "power-scale-shift", param("power_param", scale=0.3, shift=-0.2), normal),
    ("Power", "power-2", param("power_param", power=2, shift=0.4), normal),
    ("Power", "power-3", param("power_param", power=3, scale=0.5, shift=0.1), normal),
    ("Power", "power-1.7", param("power_param", power=1.7, scale=2, shift=0.3), positive),
    ("Power", "power-0.5", param("power_param", power=0.5, shift=0.3), positive),
    ("Power", "power-minus-1", param("power_param", power=-1, scale=0.5, shift=1), positive),
    ("Exp", "exp", "", normal),
    ("Exp", "exp-scale-shift", param("exp_param", scale=-0.6, shift=0.5), normal),
    ("Exp", "exp-base-2", param("exp_param", base=2), normal),
    ("Exp", "exp-base-0.5", param("exp_param", base=0.5, scale=1.5, shift=-1), normal),
    ("Log", "log", "", positive),
    ("Log", "log-scale-shift", param("log_param", scale=2, shift=1.5), positive),
    ("Log", "log-base-10", param("log_param", base=10), positive),
    ("Log", "log-base-0.5", param("log_param", base=0.5, scale=3, shift=0.5), positive),
    ("Clip", "clip", param("clip_param", min=-0.4, max=0.7), normal),
    ("Clip", "clip-relu6-like", param("clip_param", min=0, max=0.9), normal),
    ("Clip", "clip-above-0", param("clip_param", min=0.1, max=0.9), normal),
    ("Clip", "clip-below-0", param("clip_param", min=-0.9, max=-0.1), normal),
    ("Clip", "clip-to-0", param("clip_param", min=-0.9, max=0), normal),
    ("Swish", "swish", "", normal),
    ("Swish", "swish-beta", param("swish_param", beta=1.7), normal),
    ("Swish", "swish-beta-below-0", param("swish_param", beta=-0.5), normal),
    ("Threshold", "threshold", "", normal),
    ("Threshold", "threshold-0.5", param("threshold_param", threshold=0.5), normal),
    ("Dropout", "dropout", "", normal),
    ("Dropout", "dropout-ratio", param("dropout_param", dropout_ratio=0.8), normal),
]
SHAPES = {"4d": (2, 3, 4, 5), "2d": (3, 6), "3d": (2, 3, 4), "5d": (2, 3, 2, 4, 3)}
IN_PLACE_REFUSED = {"AbsVal"}


def alone() -> Iterator[Case]:
    """Every function on every rank."""
    for kind, name, fields, draw in FUNCTIONS:
        for rank, shape in SHAPES.items():
            if (kind, rank) == ("PReLU", "5d"):
                continue  # Caffe refuses it
            yield Case(
                f"{name}-{rank}", data(*shape) + layer(kind, "data", "y", fields), {"data": draw}
            )
        if kind != "PReLU":
            yield Case(f"{name}-1d", data(31) + layer(kind, "data", "y", fields), {"data": draw})


def inside_a_net() -> Iterator[Case]:
    """On a blob that lies channels last, on one that was flattened, and in place."""
    conv = layer("Convolution", "x", "c", param("convolution_param", num_output=4, kernel_size=2))
    for kind, name, fields, draw in FUNCTIONS:
        before = data(2, 3, 4, 6, name="x")
        # The squares keep a logarithm's or a root's input positive behind the convolution.
        safe = layer("Power", "c", "s", param("power_param", power=2)) + layer(
            "Power", "s", "z", param("power_param", shift=0.2)
        )
        blob = "z" if draw is positive else "c"
        net = before + conv + (safe if draw is positive else "")
        flat = layer("Flatten", blob, "f")
        fc = layer("InnerProduct", "y", "fc", param("inner_product_param", num_output=3))
        yield Case(f"{name}-behind-conv", net + layer(kind, blob, "y", fields) + fc)
        yield Case(f"{name}-behind-flatten", net + flat + layer(kind, "f", "y", fields) + fc)
        if kind not in IN_PLACE_REFUSED:
            yield Case(f"{name}-in-place", net + layer(kind, blob, blob, fields, name="act"))
    yield Case(
        "chain-in-place",
        data(2, 3, 4, 6, name="x")
        + conv
        + layer("ReLU", "c", "c", param("relu_param", negative_slope=0.2), name="r")
        + layer("Power", "c", "c", param("power_param", scale=2, shift=-1), name="p")
        + layer("TanH", "c", "c", name="t")
        + layer("Dropout", "c", "c", name="d")
        + layer("PReLU", "c", "c", name="q"),
    )
    yield Case(
        "in-place-on-the-input",
        data(2, 3, 4, 6, name="x") + layer("Sigmoid", "x", "x", name="s") + conv,
    )


def constants() -> Iterator[Case]:
    """Powers that Caffe answers with a constant."""
    for name, fields in {
        "power-0": {"power": 0, "scale": 2, "shift": 1},
        "scale-0": {"power": 2, "scale": 0, "shift": 3},
        "scale-0-power-0": {"power": 0, "scale": 0, "shift": 5},
        "scale-0-root": {"power": -0.5, "scale": 0, "shift": 3},
        "power-scale-below-float32": {"power": 1e-30, "scale": 1e-30, "shift": 3},
    }.items():
        net = data(2, 3, 4, 5) + layer("Power", "data", "y", param("power_param", **fields))
        yield Case(f"constant-{name}", net, constant=frozenset({"y"}))


CASES = [*alone(), *inside_a_net(), *constants()]


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
    net = data(2, 3, 4, 5)
    for kind, name, fields, words in [
        ("Exp", "base-0", param("exp_param", base=0), ("base", "0")),
        ("Log", "base-below-0", param("log_param", base=-2), ("base", "-2")),
        ("Log", "base-1", param("log_param", base=1), ("base", "1")),
        ("Log", "base-inf", param("log_param", base="inf"), ("base", "inf")),
        ("Exp", "base-nan", param("exp_param", base="nan"), ("base", "nan")),
        ("Clip", "no-max", param("clip_param", min=0), ("max",)),
    ]:
        yield Refusal(
            f"{kind.lower()}-{name}", net + layer(kind, "data", "y", fields), ("'y'", *words)
        )
    yield Refusal(
        "absval-in-place", net + layer("AbsVal", "data", "data", name="a"), ("'a'", "in place")
    )
    for shape in [(4,), (2, 3, 2, 4, 3)]:
        prelu = data(*shape) + layer("PReLU", "data", "y")
        yield Refusal(f"prelu-{len(shape)}-axes", prelu, ("'y'", str(list(shape))))
    drop = layer("Dropout", "data", "y", param("dropout_param", dropout_ratio=1))
    yield Refusal("dropout-ratio-1", net + drop, ("'y'", "dropout_ratio"), ours=True)
    for name, answer, (power, shift) in [
        ("pole", "inf", (-1, 0)),
        ("root-below-0", "nan", (0.5, -2)),
        ("beyond-float32", "inf", (400, "1e20")),
    ]:
        fields = param("power_param", power=power, scale=0, shift=shift)
        words = ("'y'", f"power {power}", f"give {answer}")
        yield Refusal(f"power-{name}", net + layer("Power", "data", "y", fields), words, ours=True)


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
