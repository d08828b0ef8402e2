"""Caffe's side: the net run by real Caffe or by OpenCV, its blobs by layer and top."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tfcaffe.errors import RuntimeMissingError, UsageError
from tfcaffe.files import caffemodel
from tfcaffe.files.file_kind import is_hdf5
from tfcaffe.files.weights import Weights
from tfcaffe.layout import Shape
from tfcaffe.net import Net, Ref
from tfcaffe.oracle import OracleError
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.oracle.records import LayerRun, Run
from tfcaffe.verify import reference_net
from tfcaffe.verify.compare import Array

BACKENDS = ("pycaffe", "opencv")


@dataclass(frozen=True)
class State:
    """Which of a file's layers are meant."""

    phase: str = "TEST"
    level: int = 0
    stages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Values:
    """What Caffe's side computed.

    Args:
        arrays: by layer and top of the net, as that layer left them.
        missing: why a blob has none.
        version: who ran it.
    """

    arrays: Mapping[Ref, Array]
    missing: Mapping[Ref, str]
    version: str


def run(
    net: Net,
    file: Path | None,
    weights: Weights | None,
    inputs: Mapping[str, Array],
    shapes: Sequence[Sequence[Shape]],
    wanted: Collection[Ref],
    *,
    state: State,
    oracle: Caffe | OpenCV,
) -> Values:
    """Run a net.

    Args:
        net: the layers as we read them.
        file: the prototxt that they are in; None has one written of them.
        weights: in memory, or a file: Caffe reads the file itself where it can; None if the net
            has none.
        inputs: by blob name, in Caffe's layout.
        shapes: each top's shape, by layer.
        wanted: the blobs that are asked for.

    Raises:
        OracleError: the net was refused, or ran other layers than we read.
        UsageError: OpenCV is asked for what it does not know.
    """
    with tempfile.TemporaryDirectory(prefix="tfcaffe-") as name:
        folder = Path(name)
        if isinstance(oracle, OpenCV) and file is not None and state != State():
            file = None  # OpenCV knows only the TEST phase: it gets a file with the right layers
        if file is None:
            file = folder / "net.prototxt"
            sizes = {top: array.shape for top, array in inputs.items()}
            reference_net.write(net, sizes, file)
        opencv = isinstance(oracle, OpenCV)
        model = None if weights is None else _weights_file(weights, folder, opencv)
        if isinstance(oracle, OpenCV):
            answer = oracle.run(file, model, inputs)
            return _by_name(net, answer, shapes, f"OpenCV {oracle.version}", wanted)
        only = {net.layers[ref.layer].name for ref in wanted}
        answer = oracle.run(
            file,
            model,
            inputs,
            phase=state.phase,
            level=state.level,
            stages=state.stages,
            only=only,
        )
        return _in_order(net, answer, f"Caffe {oracle.version}", wanted)


def start(backend: str, stack: ExitStack) -> Caffe | OpenCV:
    """A process of this backend, ended with the stack.

    Raises:
        RuntimeMissingError: it is not installed.
        UsageError: there is no such backend.
    """
    if backend not in BACKENDS:
        raise UsageError(f"--backend {backend}: there are {' and '.join(BACKENDS)}")
    if backend == "pycaffe":
        try:
            return stack.enter_context(Caffe())
        except RuntimeMissingError as error:
            raise RuntimeMissingError(f"{error}; or verify with --backend opencv") from error
    return stack.enter_context(OpenCV())


def _weights_file(weights: Weights, folder: Path, only_caffemodel: bool) -> Path:
    """The file itself, or a caffemodel of what it holds.

    Caffe reads no HDF5 file with "/" in a layer's name (and says nothing); OpenCV reads none.
    """
    slashes = any("/" in name for name in weights.layers)
    if weights.path.is_file() and not (is_hdf5(weights.path) and (slashes or only_caffemodel)):
        return weights.path
    path = folder / "weights.caffemodel"
    caffemodel.write(path, weights.layers.values())
    return path


def _in_order(net: Net, answer: Run, version: str, wanted: Collection[Ref]) -> Values:
    """Real Caffe runs exactly the layers that we read, in their order."""
    ours = [layer.name for layer in net.layers]
    theirs = [layer.name for layer in answer.layers]
    if ours != theirs:
        odd = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), None)
        raise OracleError(
            f"{net.path}: Caffe ran other layers than we read: "
            + (f"{odd[1]!r} in the place of {odd[0]!r}" if odd else f"{len(theirs)}, {len(ours)}")
        )
    arrays = {
        ref: answer.layers[ref.layer].arrays[ref.top]
        for ref in wanted
        if answer.layers[ref.layer].arrays
    }
    return Values(arrays, {}, version)


def _by_name(
    net: Net,
    answer: Run,
    shapes: Sequence[Sequence[Shape]],
    version: str,
    wanted: Collection[Ref],
) -> Values:
    """OpenCV tells layers by name only (some by their first top's), and has none for inputs."""
    names = [layer.name for layer in net.layers]
    found: dict[str, LayerRun] = {layer.name: layer for layer in answer.layers}
    for layer in net.layers:
        if layer.name not in found and layer.tops and layer.tops[0] not in names:
            odd = found.pop(layer.tops[0], None)
            found |= {layer.name: odd} if odd is not None else {}
    arrays: dict[Ref, Array] = {}
    missing: dict[Ref, str] = {}
    for ref in wanted:
        layer = net.layers[ref.layer]
        ran = found.get(layer.name)
        shape = shapes[ref.layer][ref.top]
        if ref.top:
            missing[ref] = "OpenCV keeps a layer's first top only"
        elif ran is None or not ran.arrays:
            missing[ref] = "OpenCV has no values of it"
        elif names.count(layer.name) > 1:
            missing[ref] = "OpenCV cannot tell layers of one name apart"
        elif ran.arrays[ref.top].shape in (shape, (*shape, 1)):
            arrays[ref] = ran.arrays[ref.top].reshape(shape)
        else:
            other = list(ran.arrays[ref.top].shape)
            missing[ref] = f"OpenCV has it in another shape, {other} for {list(shape)}"
    return Values(arrays, missing, version)
