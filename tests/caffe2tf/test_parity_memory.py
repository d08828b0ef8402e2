"""Blobs that share memory in Caffe: right where the order of layers makes it so, else refused."""

from collections.abc import Iterator

import numpy as np
import pytest

from oracles import Write
from parity import Case, Parity, Refusal, each
from prototxts import data, layer, param
from tfcaffe.layers import registry
from tfcaffe.oracle.pycaffe import Caffe

CONVOLUTION = data(2, 3, 5, 7) + layer(
    "Convolution", "data", "c", "convolution_param { num_output: 6 kernel_size: 2 }"
)
IN_PLACE = layer("ReLU", "f", "f", name="r")

# Types that Caffe computes right where a top is its bottom, with fields that matter.
IN_PLACE_FIELDS = {
    "BNLL": "",
    "BatchNorm": "",
    "Bias": "",
    "Clip": param("clip_param", min=-0.4, max=0.7),
    "Dropout": "",
    "ELU": param("elu_param", alpha=0.4),
    "Eltwise": param("eltwise_param", operation="PROD"),
    "Exp": param("exp_param", base=2, scale=0.3, shift=0.4),
    "Log": param("log_param", base=3, scale=0.5, shift=20),
    "MVN": param("mvn_param", across_channels=True),
    "PReLU": "",
    "Power": param("power_param", power=2, scale=0.5, shift=0.3),
    "ReLU": param("relu_param", negative_slope=0.3),
    "Scale": param("scale_param", bias_term=True),
    "Sigmoid": "",
    "Softmax": "",
    "Swish": param("swish_param", beta=1.7),
    "TanH": "",
    "Threshold": param("threshold_param", threshold=0.1),
}
# Types that overwrite what they still read: their result in place is another one.
OVERWRITING = {
    "LRN": param("lrn_param", alpha=0.5, local_size=3),
    "InnerProduct": param("inner_product_param", num_output=6, axis=3),
    "Convolution": param("convolution_param", num_output=6, kernel_size=1),
    "Pooling": param("pooling_param", pool="MAX", kernel_size=3, pad=1),
}


def in_place() -> Iterator[Case]:
    """Every type that may be in place, between two layers; those of two bottoms as well."""
    after = layer("TanH", "c", "z")
    for kind, fields in IN_PLACE_FIELDS.items():
        bottoms, more = ["c"], ""
        if kind == "Eltwise":
            bottoms, more = ["c", "b", "b"], data(2, 6, 4, 6, name="b")
        net = more + CONVOLUTION + layer(kind, bottoms, "c", fields, name="l") + after
        yield Case(f"in-place-{kind}", net)
    for kind in ("Scale", "Bias"):
        net = CONVOLUTION + data(6, name="b") + layer(kind, ["c", "b"], "c", name="l") + after
        yield Case(f"in-place-{kind}-of-two", net, fixed_batch=True)


EQUAL = [
    *in_place(),
    Case(
        "read-before-the-flattened-changes",
        CONVOLUTION + layer("TanH", "c", "z") + layer("Flatten", "c", "f") + IN_PLACE,
    ),
    Case("nobody-else-reads", CONVOLUTION + layer("Flatten", "c", "f") + IN_PLACE),
    Case(
        "in-place-beside-another-reader",
        CONVOLUTION + layer("ReLU", "c", "c", name="r") + layer("TanH", "c", "z"),
    ),
    Case(
        "view-made-after-the-change",
        CONVOLUTION
        + layer("ReLU", "c", "c", name="r")
        + layer("Flatten", "c", "f")
        + layer("TanH", "c", "z"),
    ),
    Case(
        "dropout-writes-nothing",
        CONVOLUTION
        + layer("Flatten", "c", "f")
        + layer("Dropout", "f", "f", name="r")
        + layer("TanH", "c", "z"),
    ),
]
SHARED = [
    (
        "split",
        CONVOLUTION + layer("Split", "c", ["f", "b"]) + IN_PLACE + layer("TanH", "b", "z"),
    ),
    (
        "split-to-an-output",
        CONVOLUTION + layer("Split", "c", ["f", "b"]) + IN_PLACE + layer("TanH", "f", "z"),
    ),
    ("flatten", CONVOLUTION + layer("Flatten", "c", "f") + IN_PLACE + layer("TanH", "c", "z")),
    (
        "two-flattens",
        CONVOLUTION
        + layer("Flatten", "c", "f")
        + layer("Flatten", "c", "g")
        + IN_PLACE
        + layer("TanH", "g", "z"),
    ),
    (
        "concat-of-one",
        CONVOLUTION + layer("Concat", "c", "f") + IN_PLACE + layer("TanH", "c", "z"),
    ),
]
REFUSED = [
    *(Refusal(name, net, ("'r' (ReLU", "in place"), ours=True) for name, net in SHARED),
    Refusal(
        "in-place-on-what-another-has-read",
        CONVOLUTION + layer("TanH", "c", "z") + layer("ReLU", "c", "c", name="r"),
        ("'r' (ReLU", "in place", "'z'"),
    ),
    *(
        Refusal(
            f"in-place-{kind}",
            CONVOLUTION + layer(kind, "c", "c", fields, name="l"),
            (f"'l' ({kind}", "in place", "give the top another name"),
            ours=True,
        )
        for kind, fields in OVERWRITING.items()
    ),
]


@each(EQUAL)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(REFUSED)
def test_refused(case: Refusal, parity: Parity) -> None:
    parity.refuse(case)


@pytest.mark.parametrize(("name", "net"), SHARED, ids=[name for name, _ in SHARED])
def test_caffe_does_share(name: str, net: str, caffe: Caffe, write: Write) -> None:
    """Why it is refused: in real Caffe the other reader sees what the layer in place wrote."""
    x = np.random.default_rng(0).normal(0, 1, (2, 3, 5, 7)).astype(np.float32)
    blobs = {"c": [np.ones((6, 3, 2, 2), np.float32), np.zeros(6, np.float32)]}
    run = caffe.run(write(net), inputs={"data": x}, blobs=blobs)
    before = run.layer("c").arrays[0]
    after = run.layers[-1].arrays[0].reshape(before.shape)
    np.testing.assert_allclose(after, np.tanh(np.maximum(before, 0)), atol=1e-6)
    assert (before < 0).any()


def test_every_type_that_may_be_in_place_is_proven() -> None:
    assert {kind for kind, family in registry().items() if family.in_place} == set(IN_PLACE_FIELDS)


@pytest.mark.parametrize("kind", OVERWRITING)
def test_caffe_does_overwrite(kind: str, caffe: Caffe, write: Write) -> None:
    """Why it is refused: in real Caffe the result in place is not that with a top of its own."""
    x = np.random.default_rng(0).normal(0, 1, (2, 6, 4, 6)).astype(np.float32)
    weights = np.random.default_rng(1).normal(0, 1, (6, 6)).astype(np.float32)
    shaped = weights.reshape(6, 6, 1, 1) if kind == "Convolution" else weights
    learnt = (
        {"l": [shaped, np.ones(6, np.float32)]} if kind in ("Convolution", "InnerProduct") else {}
    )
    results = []
    for top in ("data", "y"):
        net = data(*x.shape) + layer(kind, "data", top, OVERWRITING[kind], name="l")
        run = caffe.run(write(net), inputs={"data": x}, blobs=learnt)
        results.append(run.layers[-1].arrays[0])
    assert np.abs(results[0] - results[1]).max() > 0.01
