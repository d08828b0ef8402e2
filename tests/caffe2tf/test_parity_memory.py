"""Blobs that share memory in Caffe: right where the order of layers makes it so, else refused."""

import pytest

from parity import Case, Refusal, each
from prototxts import data, layer

CONVOLUTION = data(2, 3, 5, 7) + layer(
    "Convolution", "data", "c", "convolution_param { num_output: 6 kernel_size: 2 }"
)
IN_PLACE = layer("ReLU", "f", "f", name="r")

EQUAL = [
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
]


@each(EQUAL)
def test_equal(case, parity):
    parity.prove(case)


@each(REFUSED)
def test_refused(case, parity):
    parity.refuse(case)


@pytest.mark.parametrize(("name", "net"), SHARED, ids=[name for name, _ in SHARED])
def test_caffe_does_share(name, net, caffe, write, monkeypatch):
    """Why it is refused: in real Caffe the other reader sees what the layer in place wrote."""
    import numpy as np

    x = np.random.default_rng(0).normal(0, 1, (2, 3, 5, 7)).astype(np.float32)
    blobs = {"c": [np.ones((6, 3, 2, 2), np.float32), np.zeros(6, np.float32)]}
    run = caffe.run(write(net), inputs={"data": x}, blobs=blobs)
    before = run.layer("c").arrays[0]
    after = run.layers[-1].arrays[0].reshape(before.shape)
    np.testing.assert_allclose(after, np.tanh(np.maximum(before, 0)), atol=1e-6)
    assert (before < 0).any()
