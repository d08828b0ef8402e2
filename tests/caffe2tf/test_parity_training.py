"""Nets as they are trained, against real Caffe: losses, labels, data layers, frozen layers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from parity import Case, Parity, Refusal, below, each
from prototxts import data, layer, param
from tfcaffe.errors import UsageError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from verify_nets import Files

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
    later = layer("SoftmaxWithLoss", ["fc", "label"], "again")
    yield Case("two-losses", LABELLED + loss + later, LABELS, reference=LABELLED + SOFTMAX)
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
    own = layer("BatchNorm", "fc", "bn", "phase: TEST " + "param { lr_mult: 1 } " * 3) + layer(
        "Dropout", "bn", "y", "phase: TEST propagate_down: false loss_weight: 2"
    )
    yield Case("own-phase-of-the-net", data(3, 4, 2, 3) + FC + own)
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


def refused() -> Iterator[Refusal]:
    """What reads a number that only training needs has no meaning in the model."""
    for kind in ("SoftmaxWithLoss", "Accuracy"):
        net = LABELLED + layer(kind, ["fc", "label"], "made", name="maker")
        words = ("'half'", "'made'", f"'maker' ({kind}", "training only", "--outputs fc")
        yield Refusal(f"reader-of-{kind}", net + layer("Power", "made", "half"), words, ours=True)
    image = data(2, 4, 5, 6)
    for kind in ("BatchNorm", "Dropout", "InnerProduct"):
        options = param("inner_product_param", num_output=3) if kind[0] == "I" else ""
        net = image + layer(kind, "data", "y", f"phase: TRAIN {options}")
        yield Refusal(f"own-phase-{kind}", net, ("'y'", "phase", "remove the field"), ours=True)
    for kind, options in (
        ("InnerProduct", param("inner_product_param", num_output=3, bias_term=False)),
        ("ReLU", "param { }"),
        ("BatchNorm", "param { lr_mult: 0 } " * 2),
    ):
        net = image + layer(
            kind, "data", "y", f"param {{ lr_mult: 0 }} param {{ lr_mult: 0 }} {options}"
        )
        yield Refusal(f"params-{kind}", net, ("'y'", "param", "blobs"))
    for count in (1, 2):
        net = image + layer("BatchNorm", "data", "y", "param { lr_mult: 1 } " * count)
        yield Refusal(f"learned-statistics-{count}", net, ("'y'", "lr_mult", "0"))
    two = "propagate_down: true propagate_down: true"
    net = image + layer("ReLU", "data", "y", two)
    yield Refusal("propagate-down", net, ("'y'", "2 propagate_down", "none or 1"))
    net = image + layer("ReLU", "data", "y", "loss_weight: 1 loss_weight: 0")
    yield Refusal("loss-weights", net, ("'y'", "2 loss_weight", "none or 1"))


@each([*refused()])
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)


def test_two_losses_give_one_softmax(parity: Parity) -> None:
    case = next(case for case in CASES if case.id == "two-losses")
    assert [b.blob for b in parity.subject(case).built().twin.outputs] == ["loss"]


# -- verify


def test_softmax_for_a_loss_is_named_as_such(tmp_path: Path, caffe: Caffe) -> None:
    files = Files.make(tmp_path, LABELLED + layer("SoftmaxWithLoss", ["fc", "label"], "loss"))
    report = verify(files.net, files.weights, files.model, oracle=caffe)
    assert report.verdict == "equal"
    (note,) = (note for note in report.notes if "Caffe runs a net written for it" in note)
    assert "'loss' is a Softmax of 'fc' in the place of layer 'loss' (SoftmaxWithLoss" in note


def test_model_that_reads_a_softmax_for_a_loss(tmp_path: Path, caffe: Caffe) -> None:
    """Half of a softmax is not half of a loss: such a model is never reported equal."""
    half = layer("Power", "loss", "half", "power_param { scale: 0.5 }")
    net = LABELLED + SOFTMAX + half
    files = Files.make(tmp_path, net)
    files.net.write_text(
        LABELLED + layer("SoftmaxWithLoss", ["fc", "label"], "loss") + half, encoding="utf-8"
    )
    with pytest.raises(UsageError, match=r"'half'.*reads the loss of layer 'loss'"):
        verify(files.net, files.weights, files.model, oracle=caffe)
