"""Nets on disk with random weights, and conversions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from prototxts import data, layer, param
from random_weights import random_blobs
from tfcaffe.files import caffemodel
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.load import load_net
from tfcaffe.plan import make_plan

Array = NDArray[np.float32]

CONV = param("convolution_param", num_output=4, kernel_size=3)
FULL = (
    data(2, 3, 9, 8)
    + layer("Convolution", "data", "conv", CONV)
    + layer("ReLU", "conv", "conv", name="relu")
    + layer("Pooling", "conv", "pool", "pooling_param { kernel_size: 2 stride: 2 }")
)
NET = (
    FULL
    + layer("InnerProduct", "pool", "fc", param("inner_product_param", num_output=5))
    + layer("Softmax", "fc", "prob")
)


@dataclass(frozen=True)
class Files:
    """A net's two files, and what the second one holds."""

    net: Path
    weights: Path
    blobs: Mapping[str, Sequence[Array]]


def write_net(
    folder: Path, text: str, *, name: str = "net", phase: Literal["TEST", "TRAIN"] = "TEST"
) -> Files:
    """A prototxt and a caffemodel with random weights for it."""
    net, weights = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    net.write_text(text, encoding="utf-8")
    plan = make_plan(load_net(net, phase=phase))
    blobs = random_blobs(plan, seed=7)
    types = {entry.layer.name: entry.layer.type for entry in plan.layers}
    write_weights(weights, blobs, types)
    return Files(net, weights, blobs)


def write_weights(
    path: Path, blobs: Mapping[str, Sequence[Array]], types: Mapping[str, str] | None = None
) -> None:
    """A caffemodel of these blobs by layer name."""
    layers = [
        LayerBlobs(name, (types or {}).get(name, "Convolution"), Blobs.of(arrays))
        for name, arrays in blobs.items()
    ]
    caffemodel.write(path, layers, overwrite=True)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder with its bytes, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def relative(found: Any, expected: Any) -> float:
    """The largest difference, relative to the largest expected number."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.ptp(expected) > 0, "all its numbers are the same: this proves nothing"
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def nhwc(blob: Any) -> Array:
    """A blob N,C,H,W as TensorFlow lays it."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(blob, np.float32), 1, -1))


def nchw(tensor: Any) -> Array:
    """The other way round."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(tensor, np.float32), -1, 1))


def images(*shape: int) -> Any:
    """Seeded numbers."""
    return np.random.default_rng(9).normal(size=shape).astype(np.float32)


def names(model: Any) -> list[str]:
    """Names of the layers that a user named."""
    return [la.name for la in model.layers if ">" not in la.name]
