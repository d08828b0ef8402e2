"""The parity harness: a small net in real Caffe and as the Keras model that we build of it.

A case is a prototxt. Its weights and inputs are random and seeded; both sides run, and every blob
of Caffe's must be in the model, in shape and numbers. A blob whose numbers are all the same proves
nothing, so a case with one fails unless it says that the blob is constant by its nature.
"""

from __future__ import annotations

import math
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caffe2tf.build import Built, build
from caffe2tf.formats import keras as keras_format
from caffe2tf.source import Source, read_source
from tfcaffe.bind import bind
from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.files.weights import Blobs, LayerBlobs, Weights
from tfcaffe.input import FileIdentity
from tfcaffe.keras_graph import tensors
from tfcaffe.load import load_net
from tfcaffe.net import Net, Ref
from tfcaffe.oracle import OracleError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.oracle.records import LayerRun, Run
from tfcaffe.plan import FreeShape, Plan, make_plan
from tfcaffe.twin import MEMBER, BlobTwin, Twin

Array = NDArray[np.float32]
Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, Shape], Any]
TOLERANCE = 1e-5  # of a blob's largest number
_EMPTY = np.float32(3.4e38)  # a maximum over no pixel is -FLT_MAX: no scale to measure by
_CASES_PER_SESSION = 40  # Keras keeps names and graphs of all it built until it is told


def normal(rng: np.random.Generator, shape: Shape) -> Any:
    """What an input gets if its case says nothing else."""
    return rng.normal(size=shape)


def positive(rng: np.random.Generator, shape: Shape) -> Any:
    """Numbers between 0.2 and 2, for functions with a pole or a branch at 0."""
    return rng.uniform(0.2, 2, size=shape)


def below(count: int) -> Draw:
    """Whole numbers from 0 to below `count`: indices, labels, and values that often repeat."""
    return lambda rng, shape: rng.integers(0, count, size=shape)


@dataclass(frozen=True)
class Case:
    """A net to prove.

    Args:
        id: what pytest calls it.
        net: its prototxt.
        draws: how inputs that are not to be normal are drawn.
        constant: blobs that are constant by their nature.
        factor: BatchNorm's third blob.
        free: input shapes that leave sizes free, for `make_plan`.
        sizes: input shapes to run besides the prototxt's own.
        reference: what Caffe runs, if not the net itself.
        fixed_batch: the plan must not leave the batch free.
    """

    id: str
    net: str
    draws: Mapping[str, Draw] = field(default_factory=dict)
    constant: frozenset[str] = frozenset()
    factor: float = 2.5
    free: Mapping[str, FreeShape] | None = None
    sizes: tuple[Mapping[str, Shape], ...] = ()
    reference: str = ""
    fixed_batch: bool = False

    @property
    def seed(self) -> int:
        """The same in every run, another one for every case."""
        return zlib.crc32(self.id.encode())


@dataclass(frozen=True)
class Refusal:
    """A net that must be refused, with words that the message must have.

    Args:
        ours: Caffe itself runs it; only we cannot say it exactly.
        free: input shapes that leave sizes free, for `make_plan`.
    """

    id: str
    net: str
    words: tuple[str, ...]
    ours: bool = False
    free: Mapping[str, FreeShape] | None = None


def each(cases: Iterable[Case | Refusal]) -> pytest.MarkDecorator:
    """Parametrises a test with cases; two of one id are an error."""
    cases = list(cases)
    ids = [case.id for case in cases]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    assert not repeated, f"these ids stand for more than one case: {repeated}"
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])


@dataclass(frozen=True)
class Subject:
    """A case's net, as planned, with its numbers."""

    case: Case
    source: Source
    blobs: Mapping[str, Sequence[Array]]
    everything: Net  # also what only training needs: what Caffe runs

    @property
    def plan(self) -> Plan:
        """The plan that the model is built from."""
        return self.source.plan

    @classmethod
    def of(cls, case: Case, path: Path) -> Subject:
        """Plan the net of a prototxt and draw its weights."""
        source = read_source(path, None, input_shape=case.free)
        rng = np.random.default_rng(case.seed)
        blobs = {
            entry.layer.name: [_weights(rng, p.role, p.shape, case.factor) for p in entry.params]
            for entry in source.plan.layers
            if entry.params
        }
        layers = {name: LayerBlobs(name, "", Blobs.of(arrays)) for name, arrays in blobs.items()}
        binding = bind(source.plan, Weights(FileIdentity.of(path), layers))
        return cls(case, replace(source, binding=binding), blobs, load_net(path, None))

    def built(self, *, plain: bool = False) -> Built:
        """The Keras model."""
        return build(self.source, plain=plain)

    def sizes(self) -> Iterator[dict[str, Shape]]:
        """Input shapes to run: the prototxt's, those with another batch, and the case's own."""
        usual = self._usual()
        yield usual
        if self.plan.free_batch:
            yield {name: (2 * shape[0], *shape[1:]) for name, shape in usual.items()}
        for more in self.case.sizes:
            yield {**usual, **more}

    def inputs(self, shapes: Mapping[str, Shape]) -> dict[str, Array]:
        """Numbers for every input of Caffe's net."""
        rng = np.random.default_rng(self.case.seed + 1)
        draws = self.case.draws
        return {
            name: np.asarray(draws.get(name, normal)(rng, shape), np.float32)
            for name, shape in shapes.items()
        }

    def _usual(self) -> dict[str, Shape]:
        plan = make_plan(self.everything)
        return {
            top: shape
            for entry, shapes in zip(plan.layers, plan.shapes, strict=True)
            if entry.family.source
            for top, shape in zip(entry.layer.tops, shapes, strict=True)
        }


def _weights(rng: np.random.Generator, role: str, shape: Shape, factor: float) -> Array:
    """Random numbers of a blob: none is 0, no variance negative, outputs near 1."""
    stored = factor or 1.0
    numbers: Any
    if role == "":
        numbers = np.full(shape, factor)
    elif role == "variance":
        numbers = rng.uniform(0.5, 2, shape) * stored
    elif role == "mean":
        numbers = rng.normal(0, 1, shape) * stored
    elif role == "gamma":
        numbers = rng.uniform(0.5, 1.5, shape)
    elif role == "slope":
        numbers = rng.uniform(0.1, 0.6, shape)
    elif role == "weights":
        numbers = rng.normal(0, 1, shape) / math.sqrt(max(1, math.prod(shape[1:])))
    else:
        numbers = rng.normal(0, 1, shape)
    return np.asarray(numbers, np.float32)


class Observed:
    """A model with every blob of its record as an output."""

    def __init__(self, model: Any, twin: Twin) -> None:
        import keras

        self.twin = twin
        found = tensors(model)
        self.tensors = [found[b.node, b.output] for b in (*twin.blobs, *twin.outputs)]
        self.watching = keras.Model(model.inputs, self.tensors)

    def run(self, inputs: Mapping[str, Array]) -> tuple[list[Array], list[Array]]:
        """Numbers of the record's blobs, and of the model's outputs, as TensorFlow lays them."""
        arrays = [np.asarray(tensor.numpy()) for tensor in self.watching(self.feeds(inputs))]
        for array, tensor in zip(arrays, self.tensors, strict=True):
            agrees = all(s in (None, n) for s, n in zip(tensor.shape, array.shape, strict=True))
            assert agrees, f"{tensor.name}: promised {tensor.shape}, is {array.shape}"
        count = len(self.twin.blobs)
        return arrays[:count], arrays[count:]

    def feeds(self, inputs: Mapping[str, Array]) -> list[Array]:
        """The inputs as the model takes them."""
        return [fed.layout.pattern().to_tf(inputs[fed.blob]) for fed in self.twin.inputs]


class Parity:
    """Proves cases; one for each test."""

    def __init__(self, caffe: Caffe, folder: Path) -> None:
        self.caffe, self.folder = caffe, folder

    def subject(self, case: Case) -> Subject:
        """The case, ready to build and run."""
        return Subject.of(case, self._write("net.prototxt", case.net))

    def prove(self, case: Case) -> None:
        """Both sides agree on every blob, at every size, in either mode of building."""
        subject = self.subject(case)
        assert subject.plan.free_batch != case.fixed_batch, "; ".join(subject.plan.notes)
        models = {"": subject.built()}
        if any(entry.family.field == "convolution_param" for entry in subject.plan.layers):
            models[" (plain)"] = subject.built(plain=True)
        observed = {how: Observed(built.model, built.twin) for how, built in models.items()}
        for shapes in subject.sizes():
            inputs = subject.inputs(shapes)
            run = self.run_caffe(subject, inputs)
            problems = unproven(subject, run)
            for how, model in observed.items():
                problems += [f"{p}{how}" for p in departures(subject, model, inputs, run)]
            assert not problems, f"inputs {shapes}:\n" + "\n".join(problems)

    def prove_saved(self, case: Case) -> None:
        """The model loads again in this process, with the same record, blobs and numbers."""
        import keras

        subject, path = self.subject(case), self.folder / "model.keras"
        keras_format.write(subject.source, path)
        with zipfile.ZipFile(path) as archive:
            twin = Twin.from_json(archive.read(MEMBER).decode(), str(path))
        loaded = Observed(keras.saving.load_model(path), twin)
        inputs = subject.inputs(next(subject.sizes()))
        problems = departures(subject, loaded, inputs, self.run_caffe(subject, inputs))
        assert not problems, "\n".join(problems)

    def refuse(self, case: Refusal) -> None:
        """The net is refused in words that name all that matters; Caffe agrees where it must."""
        path = self._write("net.prototxt", case.net)
        with pytest.raises((UnsupportedError, NetError) if case.ours else NetError) as refused:
            build(read_source(path, None, input_shape=case.free))
        missing = [word for word in case.words if word not in str(refused.value)]
        assert not missing, f"{refused.value} does not say {missing}"
        if not case.ours:
            with pytest.raises(OracleError):
                self.caffe.describe(path)

    def run_caffe(self, subject: Subject, inputs: Mapping[str, Array]) -> Run:
        """Caffe's side of it."""
        case = subject.case
        path = self._write("reference.prototxt", case.reference or case.net)
        return self.caffe.run(path, None, inputs, blobs=subject.blobs)

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


def unproven(subject: Subject, run: Run) -> list[str]:
    """Blobs whose numbers are all the same, and those that are not though they are said to be."""
    problems = []
    for layer, top, array in _tops(run):
        said = top in subject.case.constant
        same = not array.any() or (array.size > 1 and array.min() == array.max())
        if same and not said and layer.bottoms:
            problems.append(f"{layer.name!r} ({layer.type}): blob {top!r} is constant in Caffe")
        if said and not same:
            problems.append(f"{layer.name!r}: blob {top!r} is said to be constant and is not")
    return problems


def departures(
    subject: Subject, model: Observed, inputs: Mapping[str, Array], run: Run
) -> list[str]:
    """Where the model is not Caffe's net: blobs that it lacks, other shapes, other numbers."""
    partners = _partners(subject, run)
    problems = _missing(subject, model, run, partners)
    blobs, outputs = model.run(inputs)
    for twin, array in zip(model.twin.blobs, blobs, strict=True):
        problems += _difference("blob", twin, array, partners[twin.index])
    for twin, array in zip(model.twin.outputs, outputs, strict=True):
        problems += _difference("output", twin, array, partners[twin.index])
        rank = len(twin.layout.axes)
        dims = [(i,) for i in ([0, *range(2, rank), 1] if rank in (4, 5) else range(rank))]
        if rank != 3 and list(twin.layout.dims) != dims:
            problems.append(f"output {twin.blob!r} lies {twin.layout.dims}")
    return problems


def _partners(subject: Subject, run: Run) -> dict[int, LayerRun]:
    """What Caffe ran for each layer of the prepared net; both are in the net's order."""
    partners = {}
    remaining = iter(run.layers)
    for index, layer in enumerate(subject.plan.net.layers):
        partners[index] = next(ran for ran in remaining if ran.name == layer.name)
    return partners


def _missing(
    subject: Subject, model: Observed, run: Run, partners: Mapping[int, LayerRun]
) -> list[str]:
    """Caffe's blobs that the record lacks without a rule that says so."""
    readers = subject.plan.net.consumers()
    answering = _answering(subject.plan.net)
    recorded = {(twin.index, twin.blob) for twin in model.twin.blobs}
    known = set(map(id, partners.values()))
    problems = [
        f"layer {layer.name!r} ({layer.type}) is not in the model"
        for layer in run.layers
        if id(layer) not in known
        and layer.bottoms
        and not layer.type.endswith("Loss")
        and layer.type not in ("Accuracy", "Silence")
    ]
    for index, ran in partners.items():
        for t, top in enumerate(ran.tops):
            after = [subject.plan.net.layers[i] for i in readers.get(Ref(index, t), [])]
            by_rule = (
                ran.type == "Split"
                or (not ran.bottoms and not after)
                or index not in answering
                or (ran.type == "BatchNorm" and [la.type for la in after] == ["Scale"])
            )
            if (index, top) not in recorded and not by_rule:
                problems.append(f"{ran.name!r} ({ran.type}): blob {top!r} is not in the model")
    return problems


def _answering(net: Net) -> set[int]:
    """Layers whose numbers reach an output; from a Crop's second bottom only its size is taken."""
    found: set[int] = set()
    waiting = [ref.layer for _, ref in net.outputs]
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            refs = net.sources[index]
            waiting += [r.layer for r in (refs[:1] if net.layers[index].type == "Crop" else refs)]
    return found


def _difference(what: str, twin: BlobTwin, array: Array, ran: LayerRun) -> list[str]:
    """How a blob of the model differs from Caffe's; nothing if it does not."""
    expected = ran.arrays[ran.tops.index(twin.blob)]
    where = f"{ran.name!r} ({ran.type}): {what} {twin.blob!r}"
    actual = twin.layout.pattern().to_caffe(array)
    if actual.shape != expected.shape:
        return [f"{where} has the shape {actual.shape}, in Caffe {expected.shape}"]
    empty = np.abs(expected) >= _EMPTY
    if not np.array_equal(actual[empty], expected[empty]):
        return [f"{where} differs where Caffe has -FLT_MAX"]
    actual, expected = actual[~empty], expected[~empty]
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    worst = float(np.abs(actual - expected).max(initial=0)) / scale
    return (
        [] if worst <= TOLERANCE else [f"{where} departs by {worst:.3g} of its scale {scale:.3g}"]
    )


def _tops(run: Run) -> Iterator[tuple[LayerRun, str, Array]]:
    for layer in run.layers:
        for top, array in zip(layer.tops, layer.arrays, strict=True):
            yield layer, top, array


_FRESH = """
import sys
sys.modules["tfcaffe"] = sys.modules["caffe2tf"] = None  # an import of either is an error
import keras, numpy
for folder in sys.argv[1:]:
    feeds = numpy.load(folder + "/feeds.npz")
    model = keras.saving.load_model(folder + "/model.keras")
    outputs = model([feeds[name] for name in feeds.files])
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    numpy.savez(folder + "/outputs.npz", *map(numpy.asarray, outputs))
"""


def prove_fresh(cases: Iterable[Case], parity: Parity) -> None:
    """Models of all these cases load in a new process with Keras alone, with Caffe's outputs."""
    waiting = []
    for number, case in enumerate(cases):
        folder = parity.folder / str(number)
        folder.mkdir()
        subject = parity.subject(case)
        built = subject.built()
        built.model.save(folder / "model.keras")
        inputs = subject.inputs(next(subject.sizes()))
        np.savez(folder / "feeds.npz", *Observed(built.model, built.twin).feeds(inputs))
        waiting.append((folder, subject, built, parity.run_caffe(subject, inputs)))
    command = [sys.executable, "-c", _FRESH, *(str(folder) for folder, *_ in waiting)]
    subprocess.run(command, check=True, cwd=parity.folder)
    problems = []
    for folder, subject, built, run in waiting:
        partners = _partners(subject, run)
        with np.load(folder / "outputs.npz") as outputs:
            for twin, name in zip(built.twin.outputs, outputs.files, strict=True):
                found = _difference("output", twin, outputs[name], partners[twin.index])
                problems += [f"{subject.case.id}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)


_proven = 0


@pytest.fixture
def parity(caffe: Caffe, tmp_path: Path) -> Parity:
    """The harness; now and then it empties Keras's memory of what was built before."""
    import keras

    global _proven
    _proven += 1
    if _proven % _CASES_PER_SESSION == 0:
        keras.backend.clear_session()
    return Parity(caffe, tmp_path)
