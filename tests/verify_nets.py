"""What the tests of `verify` share: a small net with its files, and models with planted faults."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import caffe2tf
from prototxts import data, layer, param
from tfcaffe.files import caffemodel, wire
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.load import load_net
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import make_plan
from tfcaffe.twin import ASSETS, FIELD, MEMBER
from tfcaffe.verify import Report, verify
from tfcaffe.verify.options import Mode

Array = NDArray[np.float32]
MODES: list[Mode] = ["chained", "isolated"]

SMALL = (
    data(2, 3, 9, 7)
    + layer("Convolution", "data", "c", param("convolution_param", num_output=4, kernel_size=3,
                                              pad=1), name="block/conv")
    + layer("BatchNorm", "c", "c", name="bn")
    + layer("Scale", "c", "c", "scale_param { bias_term: true }", name="sc")
    + layer("ReLU", "c", "c", name="relu")
    + layer("Convolution", "c", "d", param("convolution_param", num_output=5, kernel_h=3,
                                           kernel_w=2), name="mid")
    + layer("Pooling", "d", "p", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }",
            name="pool")
    + layer("Dropout", "p", "p", name="drop")
    + layer("InnerProduct", "p", "fc", "inner_product_param { num_output: 6 }")
    + layer("Softmax", "fc", "prob")
)  # fmt: skip


@dataclass(frozen=True)
class Files:
    """A net's files in a folder of their own."""

    net: Path
    weights: Path | None
    model: Path

    @classmethod
    def make(
        cls,
        folder: Path,
        text: str,
        *,
        model: str = "net.keras",
        change: Callable[[str, str, Array], Any] | None = None,
        **options: Any,
    ) -> Files:
        """Write a net, seeded weights and the converted model.

        Args:
            change: gives other numbers for a layer's blob by layer, role and numbers.
            options: for `caffe2tf.convert`.
        """
        net = folder / "net.prototxt"
        net.write_text(text, encoding="utf-8")
        weights = None
        if layers := seeded(net, change):
            weights = folder / "net.caffemodel"
            caffemodel.write(weights, layers)
        caffe2tf.convert(net, weights, folder / model, **options)
        return cls(net, weights, folder / model)

    @property
    def arguments(self) -> list[str]:
        """The command's."""
        return ["verify", str(self.net), str(self.weights), str(self.model)]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The small net, converted as it is; tests do not change its files."""
    return Files.make(tmp_path_factory.mktemp("small"), SMALL)


def check(files: Files, oracle: Caffe | OpenCV, **options: Any) -> Report:
    """Verify a net's files."""
    return verify(files.net, files.weights, files.model, oracle=oracle, **options)


def seeded(
    net: Path, change: Callable[[str, str, Array], Any] | None = None, seed: int = 3
) -> list[LayerBlobs]:
    """Random blobs for every layer: none is 0, no variance negative."""
    rng = np.random.default_rng(seed)
    layers = []
    for entry in make_plan(load_net(net)).layers:
        blobs = []
        for p in entry.params:
            reach = math.sqrt(math.prod(p.shape[1:])) if p.role == "weights" else 1
            numbers = np.asarray(rng.normal(size=p.shape) / reach, np.float32)
            if p.role in ("", "variance"):
                numbers = np.abs(numbers) + np.float32(0.5)
            if change is not None:
                numbers = np.asarray(change(entry.layer.name, p.role, numbers), np.float32)
            blobs.append(numbers)
        if blobs:
            layers.append(LayerBlobs(entry.layer.name, entry.layer.type, Blobs.of(blobs)))
    return layers


def vary(model: Path, layer: str, change: Callable[[list[Array]], Sequence[Array]]) -> None:
    """Plant other weights in one Keras layer of a saved model; its record stays."""
    import zipfile

    import keras

    record = zipfile.ZipFile(model).read(MEMBER)
    loaded = keras.saving.load_model(model)
    planted = loaded.get_layer(layer)
    planted.set_weights(change(planted.get_weights()))
    loaded.save(model)
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr(MEMBER, record)


def nudge(weights: list[Array]) -> list[Array]:
    """A change of one hundredth of the largest weight."""
    return [weights[0] + 0.01 * np.abs(weights[0]).max(), *weights[1:]]


def without_record(model: Path) -> None:
    """The model as others would have written it, without our record."""
    import keras

    if model.is_dir():
        shutil.rmtree(model / ASSETS)
    elif model.suffix == ".pb":
        data = model.read_bytes()
        found = wire.fields(data, 0, len(data))
        model.write_bytes(b"".join(data[f.tag : f.end] for f in found if f.number != FIELD))
    else:
        keras.saving.load_model(model).save(model)


def statuses(report: Any) -> Mapping[str, str]:
    """Each blob's status by its layer."""
    return {blob.layer: blob.status for blob in report.blobs}
