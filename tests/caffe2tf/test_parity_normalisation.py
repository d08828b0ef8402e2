"""BatchNorm (alone, and merged with a Scale), LRN and MVN against real Caffe."""

from collections.abc import Iterator
from itertools import product

from parity import Case, Parity, Refusal, each, positive, prove_fresh
from prototxts import data, layer, param

SHAPES = {"4d": (3, 4, 5, 6), "2d": (5, 4), "3d": (2, 4, 5), "5d": (2, 4, 2, 3, 5)}
CONV = layer("Convolution", "data", "c", param("convolution_param", num_output=4, kernel_size=2))
BIASED = param("scale_param", bias_term=True)


def batch_norms() -> Iterator[Case]:
    """Every rank, eps and factor; a Scale behind it with and without its bias, or none."""
    followers = {"alone": "", "scale": layer("Scale", "n", "y")}
    followers["scale-bias"] = layer("Scale", "n", "y", BIASED)
    for (rank, shape), (name, after) in product(SHAPES.items(), followers.items()):
        yield Case(f"bn-{rank}-{name}", data(*shape) + layer("BatchNorm", "data", "n") + after)
    for eps, factor, (name, after) in product((None, 1e-3, 0.3), (0, 1, 999.9), followers.items()):
        norm = layer("BatchNorm", "data", "n", param("batch_norm_param", eps=eps))
        net = data(*SHAPES["4d"]) + norm + after
        yield Case(f"bn-eps{eps}-factor{factor}-{name}", net, factor=factor)
    for name, fields in {
        "global-stats": {"use_global_stats": True},
        "batch-stats": {"use_global_stats": False, "eps": 0.2},
        "fraction": {"moving_average_fraction": 0.9},
    }.items():
        norm = layer("BatchNorm", "data", "n", param("batch_norm_param", **fields))
        yield Case(f"bn-{name}", data(*SHAPES["4d"]) + norm + followers["scale-bias"])


def batch_norms_of_the_batch() -> Iterator[Case]:
    """By the statistics of what they are given: every rank, in place, before a Scale or not."""
    fields = param("batch_norm_param", use_global_stats=False)
    for rank, shape in SHAPES.items():
        yield Case(f"bn-batch-{rank}", data(*shape) + layer("BatchNorm", "data", "n", fields))
    net = data(3, 2, 5, 7) + CONV
    scale = layer("Scale", "c", "c", BIASED, name="s")
    yield Case("bn-batch-in-place", net + layer("BatchNorm", "c", "c", fields, name="n") + scale)
    flat = layer("Flatten", "c", "f") + layer("BatchNorm", "f", "n", fields)
    yield Case("bn-batch-behind-flatten", net + flat + layer("Scale", "n", "y", BIASED))


def batch_norms_in_nets() -> Iterator[Case]:
    """In place, read twice, behind others, and before Scales that must not be merged."""
    net = data(2, 3, 5, 7) + CONV
    norm = layer("BatchNorm", "c", "n")
    scale = layer("Scale", "n", "y", BIASED)
    relu = layer("ReLU", "y", "y", name="relu")
    flat = layer("Flatten", "c", "f") + layer("BatchNorm", "f", "n")
    in_place = layer("BatchNorm", "c", "c", name="n") + layer("Scale", "c", "c", BIASED, name="s")
    yield Case("bn-behind-conv", net + norm + scale + relu)
    yield Case("bn-in-place", net + in_place + layer("ReLU", "c", "c", name="r"))
    yield Case("bn-in-place-alone", net + layer("BatchNorm", "c", "c", name="n"))
    yield Case("bn-read-twice", net + norm + scale + layer("TanH", "n", "z"))
    yield Case("bn-behind-flatten", net + flat)
    yield Case("bn-scale-behind-flatten", net + flat + scale)
    yield Case("bn-twice", net + norm + scale + layer("BatchNorm", "y", "m"))
    yield Case("bn-scale-scale", net + norm + scale + layer("Scale", "y", "z", BIASED))
    yield Case("bn-bias", net + norm + layer("Bias", "n", "y"))
    for name, fields in {
        "height": {"axis": 2},
        "channels-and-height": {"axis": 1, "num_axes": 2},
        "one-number": {"num_axes": 0},
        "all-from-1": {"num_axes": -1},
        "negative-axis": {"axis": -3},
    }.items():
        after = layer("Scale", "n", "y", param("scale_param", bias_term=True, **fields))
        yield Case(f"bn-scale-{name}", net + norm + after)
    yield Case(
        "bn-scale-of-two-bottoms",
        data(2, 4, name="gate")
        + net
        + norm
        + layer("Scale", ["n", "gate"], "y", "scale_param { axis: 0 }"),
    )


def lrns() -> Iterator[Case]:
    """Both regions with every size, alpha, beta and k; few channels and many."""
    for size, (alpha, beta), k, shape in product(
        (1, 3, 5, 7),
        ((1, 0.75), (0.5, 0.5), (2, 1.3)),
        (None, 2.5),
        ((2, 8, 5, 4), (2, 3, 4, 6)),
    ):
        for region in ("ACROSS_CHANNELS", "WITHIN_CHANNEL"):
            fields = {"local_size": size, "alpha": alpha, "beta": beta, "k": k}
            name = f"lrn-{region[:6].lower()}-n{size}-alpha{alpha}-beta{beta}-k{k}-c{shape[1]}"
            written = param("lrn_param", norm_region=region, **fields)
            yield Case(name, data(*shape) + layer("LRN", "data", "y", written))
    alexnet = param("lrn_param", local_size=5, alpha=1e-4, beta=0.75)
    yield Case("lrn-defaults", data(2, 7, 4, 5) + layer("LRN", "data", "y"))
    # Numbers as large as AlexNet's, where its small alpha matters.
    large = layer("Power", "data", "x", param("power_param", scale=100))
    yield Case("lrn-alexnet", data(2, 7, 4, 5) + large + layer("LRN", "x", "y", alexnet))
    yield Case("lrn-behind-conv", data(2, 3, 4, 6) + CONV + layer("LRN", "c", "y"))


def mvns() -> Iterator[Case]:
    """Over an image and over a channel, with and without the division, eps behind the root."""
    for across, variance, eps, shape in product(
        (False, True), (False, True), (None, 0.4), ((2, 3, 4, 5), (3, 1, 6, 2))
    ):
        fields = {"across_channels": across, "normalize_variance": variance, "eps": eps}
        name = f"mvn-{'image' if across else 'channel'}{'-std' * variance}-eps{eps}-c{shape[1]}"
        yield Case(name, data(*shape) + layer("MVN", "data", "y", param("mvn_param", **fields)))
    yield Case("mvn-behind-conv", data(2, 3, 4, 6) + CONV + layer("MVN", "c", "y"))
    yield Case("mvn-of-positives", data(2, 3, 4, 6) + layer("MVN", "data", "y"), {"data": positive})


def free_sizes() -> Iterator[Case]:
    """Height and width left free."""
    layers = {
        "bn-scale": layer("BatchNorm", "data", "n") + layer("Scale", "n", "y", BIASED),
        "lrn-across": layer("LRN", "data", "y"),
        "lrn-within": layer("LRN", "data", "y", "lrn_param { norm_region: WITHIN_CHANNEL }"),
        "mvn": layer("MVN", "data", "y"),
    }
    for name, text in layers.items():
        yield Case(
            f"free-{name}",
            data(2, 4, 5, 7) + text,
            free={"data": (2, 4, None, None)},
            sizes=({"data": (2, 4, 8, 3)}, {"data": (3, 4, 6, 9)}),
        )


CASES = [
    *batch_norms(),
    *batch_norms_of_the_batch(),
    *batch_norms_in_nets(),
    *lrns(),
    *mvns(),
    *free_sizes(),
]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::8])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[3::15], parity)


def refused() -> Iterator[Refusal]:
    """Values without an exact counterpart, and what Caffe refuses as well."""
    net = data(2, 3, 4, 5)
    even = layer("LRN", "data", "y", "lrn_param { local_size: 4 }")
    yield Refusal("lrn-even", net + even, ("'y'", "local_size", "4"))
    yield Refusal(
        "lrn-free-channels",
        net + layer("LRN", "data", "y"),
        ("'y'", "axis 1", "left free", "--input-shape"),
        ours=True,
        free={"data": (2, None, 4, 5)},
    )
    yield Refusal("lrn-two-axes", data(2, 3) + layer("LRN", "data", "y"), ("'y'", "[2, 3]"))
    yield Refusal("bn-one-axis", data(6) + layer("BatchNorm", "data", "y"), ("'y'", "[6]"))
    for shape in [(2, 3), (2, 3, 4)]:
        name = f"mvn-{len(shape)}-axes"
        words = ("'y'", str(list(shape)))
        yield Refusal(name, data(*shape) + layer("MVN", "data", "y"), words, ours=True)


@each(refused())
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)
