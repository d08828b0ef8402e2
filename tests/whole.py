"""Whole networks to Caffe: convert, run in real Caffe, compare every blob that both sides have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forms import faults
from tf2caffe.network import Network, build
from tf2caffe.options import with_defaults
from tf2caffe.sources import open_source
from tf2caffe.write import write
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from tfcaffe.verify.report import Report

RTOL = 1e-5


@dataclass(frozen=True)
class Written:
    """A network that was converted."""

    network: Network
    prototxt: Path
    caffemodel: Path

    @property
    def types(self) -> list[str]:
        """The types of its layers."""
        return [layer.type for layer in self.network.layers]


def written(source: Any, folder: Path, **options: Any) -> Written:
    """Convert into a folder, in forms that please every reader."""
    given = with_defaults(options)  # type: ignore[arg-type]
    opened = open_source(source, given)
    network = build(opened.name, opened.graph, given)
    text, model = folder / "net.prototxt", folder / "net.caffemodel"
    model.unlink(missing_ok=True)
    write(network, text, model, ["a test"])
    outputs = {output.blob for output in network.twin.outputs}
    assert not (wrong := faults(text, str(given["dialect"]), outputs)), "\n".join(wrong)
    return Written(network, text, model)


def randomised(model: Any, seed: int = 0) -> Any:
    """Every variable of a Keras model random, variances positive; gives the model."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape, name = tuple(variable.shape), variable.path.split("/")[-1]
        numbers = rng.standard_normal(shape)
        if "variance" in name:
            numbers = np.abs(numbers) + 0.5
        elif "kernel" in name or "embeddings" in name:
            numbers *= np.sqrt(2 / max(np.prod(shape[:-1]), 1))
        elif name == "gamma":
            numbers = 1 + 0.3 * numbers
        elif name == "bias":  # not to drown what the input says
            numbers *= 0.3
        if np.issubdtype(np.dtype(variable.dtype), np.floating):
            variable.assign(numbers.astype(np.float32))
    return model


def compared(
    model: Any,
    net: Written,
    caffe: Caffe | OpenCV,
    inputs: Mapping[str, np.ndarray] | None = None,
    rtol: float = RTOL,
) -> Report:
    """Both sides on the same input; `inputs` by blob and in Caffe's layout, random otherwise."""
    options: dict[str, Any] = {"record": net.network.twin, "rtol": rtol}
    if inputs is not None:
        options["input"] = inputs
    return verify(net.prototxt, net.caffemodel, model, oracle=caffe, **options)


def assert_equal(report: Report, blobs: Sequence[str] = ()) -> None:
    """No blob differs, the outputs are proven, and these layers were compared."""
    wrong = [f"{b.layer} {b.max:.2e} {b.status}" for b in report.blobs if b.status != "equal"]
    assert report.verdict == "equal", wrong
    compared_ = {b.layer for b in report.blobs}
    assert set(blobs) <= compared_, (blobs, compared_)


def check(
    model: Any,
    folder: Path,
    caffe: Caffe,
    inputs: Mapping[str, np.ndarray] | None = None,
    rtol: float = RTOL,
    **options: Any,
) -> Written:
    """Convert a Keras model with random variables, and assert that Caffe computes the same."""
    net = written(randomised(model), folder, **options)
    assert_equal(compared(model, net, caffe, inputs, rtol))
    return net
