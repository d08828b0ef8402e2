"""Nets as they are trained, against real Caffe: losses, labels, data layers, frozen layers."""

from collections.abc import Iterator

from parity import Case, Parity, below, each
from prototxts import data, layer, param

FC = layer("InnerProduct", "data", "fc", param("inner_product_param", num_output=5))
LABELLED = data(3, 4, 2, 3) + data(3, name="label") + FC
LABELS = {"label": below(5)}
SOFTMAX = layer("Softmax", "fc", "loss")


def cases() -> Iterator[Case]:
    """What only training needs is dropped; a SoftmaxWithLoss at the end answers as a Softmax."""
    loss = layer("SoftmaxWithLoss", ["fc", "label"], "loss")
    accuracy = layer("Accuracy", ["fc", "label"], "acc")
    yield Case("softmax-with-loss", LABELLED + loss, LABELS, reference=LABELLED + SOFTMAX)
    yield Case(
        "softmax-with-loss-and-accuracy",
        LABELLED + loss + accuracy,
        LABELS,
        reference=LABELLED + SOFTMAX,
    )
    two_tops = layer("SoftmaxWithLoss", ["fc", "label"], ["l", "loss"], name="loss")
    yield Case(
        "softmax-with-loss-two-tops", LABELLED + two_tops, LABELS, reference=LABELLED + SOFTMAX
    )
    for axis in (1, 2):
        shape = param("softmax_param", axis=axis)
        conv = data(2, 3, 5, 6) + layer(
            "Convolution", "data", "fc", param("convolution_param", num_output=4, kernel_size=2)
        )
        labels = data(2, 1, 4, 5, name="label") if axis == 1 else data(2, 4, 1, 5, name="label")
        yield Case(
            f"softmax-with-loss-per-pixel-axis{axis}",
            conv + labels + layer("SoftmaxWithLoss", ["fc", "label"], "loss", shape),
            {"label": below(4)},
            reference=conv + labels + layer("Softmax", "fc", "loss", shape),
        )
    prob = layer("Softmax", "fc", "prob")
    beside = LABELLED + loss + prob + accuracy
    yield Case("loss-beside-a-softmax", beside, LABELS, reference=LABELLED + prob)
    target = data(3, 4, 2, 3) + data(3, 5, name="target") + FC
    euclidean = layer("EuclideanLoss", ["fc", "target"], "loss")
    yield Case("euclidean-loss", target + euclidean)
    cross = layer("SigmoidCrossEntropyLoss", ["fc", "target"], "loss")
    yield Case("sigmoid-loss", target + cross)
    silence = layer("Slice", "fc", ["a", "b"], param("slice_param", slice_point=2))
    yield Case("silence", data(3, 4, 2, 3) + FC + silence + layer("Silence", "b", [], name="s"))
    phases = (
        layer("Dropout", "fc", "fc", "include { phase: TRAIN }", name="drop")
        + layer("ReLU", "fc", "fc", "include { phase: TEST }", name="relu")
        + layer("TanH", "fc", "y", "exclude { phase: TRAIN }")
    )
    yield Case("phases", data(3, 4, 2, 3) + FC + phases)
    frozen = param("inner_product_param", num_output=4)
    twice = layer(
        "InnerProduct", "fc", "y", f"param {{ lr_mult: 0 }} param {{ lr_mult: 0 }} {frozen}"
    )
    yield Case("frozen", data(3, 4, 2, 3) + FC + twice)
    dummy = layer(
        "DummyData",
        [],
        ["data", "label"],
        "dummy_data_param { shape { dim: 3 dim: 4 dim: 2 dim: 3 } shape { dim: 3 } }",
        name="source",
    )
    yield Case("dummy-data", dummy + FC + loss, LABELS, reference=dummy + FC + SOFTMAX)


CASES = [*cases()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES[::4])
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_a_layer_of_which_every_lr_mult_is_0_is_frozen(parity: Parity) -> None:
    case = next(case for case in CASES if case.id == "frozen")
    model = parity.subject(case).built().model
    assert {la.name: la.trainable for la in model.layers if la.weights} == {"fc": True, "y": False}
