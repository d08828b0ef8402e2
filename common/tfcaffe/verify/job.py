"""A comparison that is ready to run: Caffe's side first, then the model beside its numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import UsageError
from tfcaffe.files.weights import Weights
from tfcaffe.layout import Shape
from tfcaffe.net import Net, Ref
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import Plan
from tfcaffe.preprocess import Preprocessing
from tfcaffe.progress import Watch as Progress
from tfcaffe.progress import unwatched
from tfcaffe.twin import BlobTwin, Twin
from tfcaffe.verify import caffe_side
from tfcaffe.verify.caffe_side import State, Values
from tfcaffe.verify.compare import UNSEEN, Array, Difference, apart, compare
from tfcaffe.verify.convention import by_convention, feed_within, from_outside, from_source
from tfcaffe.verify.match import check_shapes, fits, match, ref_of, skipped
from tfcaffe.verify.model import Model, Place
from tfcaffe.verify.opening import open_model
from tfcaffe.verify.options import Mode
from tfcaffe.verify.report import BlobReport, Report

Watch = Callable[[BlobTwin, Array, Array], None]
_NOT_THERE = "the model does not have it"
_FOLDED = "the model does not have it: its preprocessing is folded into the layer that reads it"
_INSIDE = "inside the graph: nothing says which of its tensors this is"


@dataclass(frozen=True)
class Job:
    """A comparison that is ready to run.

    Args:
        plan: Caffe's net at the sizes that are fed.
        file: the prototxt that Caffe runs; None has one written.
        arrays: what the model is fed, by input blob, in Caffe's layout.
    """

    plan: Plan
    file: Path | None
    weights: Weights | None
    model: Any
    record: Twin | None
    arrays: Mapping[str, Array]
    preprocessing: Preprocessing
    rtol: float
    mode: Mode
    state: State
    backend: str
    trust: bool
    notes: tuple[str, ...]

    def run(
        self,
        oracle: Caffe | OpenCV | None = None,
        watch: Watch | None = None,
        progress: Progress = unwatched,
    ) -> Report:
        """Run both sides, Caffe's first.

        Args:
            oracle: a running backend; None starts one and ends it.
            watch: is given each compared blob with both arrays, in Caffe's layout.
            progress: is told how many of the model's tensors are compared.

        Raises:
            OracleError: Caffe's side fails.
            UsageError: the model is not of this net, or cannot be looked into.
        """
        progress("TensorFlow opens the model", 0, 1)
        model = open_model(self.model, recorded=self.record is not None, trust=self.trust)
        twin = self._twin(model)
        numbers = match(self.plan.net, twin, model.name)
        check_shapes(self.plan, twin, numbers, model.name)
        outside = model.by_blob and not twin.blobs
        if self.mode == "isolated" and outside:
            raise UsageError(
                f"{model.name}: --mode isolated needs to know which tensors are the net's blobs, "
                "and nothing says so in this graph; convert the net again, or verify a .keras"
            )
        blobs = [(blob, ref_of(self.plan.net, numbers, blob)) for blob in twin.blobs]
        outputs = [(blob, ref_of(self.plan.net, numbers, blob)) for blob in twin.outputs]
        progress(f"{'Caffe' if self.backend == 'pycaffe' else 'OpenCV'} runs", 0, 1)
        values = self._caffe({ref for _, ref in (*blobs, *outputs)}, oracle)
        progress("TensorFlow runs", 0, 1)
        comparison = _Comparison(self, values, watch, progress)
        comparison.run(model, twin, blobs, outputs)
        unseen = _INSIDE if outside else _NOT_THERE
        reasons = {**values.missing, **self._folded(numbers)}
        return self._report(comparison, values, blobs, outputs, reasons, unseen)

    def _twin(self, model: Model) -> Twin:
        if self.record is None:
            return by_convention(self.plan, model)
        if self.record.of_source:
            feed_within(self.record, model)
            return from_source(self.record, model)
        if model.by_blob:
            return from_outside(self.record, model)
        for blob in (*self.record.blobs, *self.record.outputs):
            if not model.has((blob.node, blob.output)):
                raise UsageError(
                    f"{model.name}: its record names the node {blob.node!r}, which the model does "
                    "not have; convert the net again"
                )
        return self.record

    def _caffe(self, wanted: set[Ref], oracle: Caffe | OpenCV | None) -> Values:
        pre = self.preprocessing
        done = _built_into_net(self.record)
        inputs = {n: pre(a) if n == pre.blob and not done else a for n, a in self.arrays.items()}
        with ExitStack() as stack:
            values = caffe_side.run(
                self.plan.net,
                self.file,
                self.weights,
                inputs,
                self.plan.shapes,
                wanted,
                state=self.state,
                oracle=oracle or caffe_side.start(self.backend, stack),
            )
        fed = {
            ref: inputs[self.plan.net.layers[ref.layer].tops[ref.top]]
            for ref in wanted
            if self.plan.layers[ref.layer].family.source
        }
        return replace(values, arrays={**values.arrays, **fed})

    def _folded(self, numbers: Mapping[int, int]) -> dict[Ref, str]:
        """Inputs that the record has at no node."""
        if self.record is None:
            return {}
        there = {(blob.index, blob.blob) for blob in self.record.blobs}
        absent = [fed for fed in self.record.inputs if (fed.index, fed.blob) not in there]
        return {ref_of(self.plan.net, numbers, fed): _FOLDED for fed in absent}

    def _report(
        self,
        comparison: _Comparison,
        values: Values,
        blobs: Sequence[tuple[BlobTwin, Ref]],
        outputs: Sequence[tuple[BlobTwin, Ref]],
        reasons: Mapping[Ref, str],
        unseen: str,
    ) -> Report:
        net = self.plan.net
        made = comparison.reports
        compared = {ref for blob, ref in (*blobs, *outputs) if _key(blob, ref) in made}
        return Report(
            mode=self.mode,
            backend=values.version,
            rtol=self.rtol,
            inputs={name: array.shape for name, array in self.arrays.items()},
            blobs=tuple(made[_key(b, r)] for b, r in sorted(blobs, key=_at) if _key(b, r) in made),
            outputs=tuple(
                made.get(_key(b, r)) or _report(net, r, (), UNSEEN, reasons[r]) for b, r in outputs
            ),
            not_compared=tuple(skipped(net, compared, reasons, unseen)),
            notes=self.notes,
        )


class _Comparison:
    """Collects the reports while the model runs."""

    def __init__(self, job: Job, values: Values, watch: Watch | None, progress: Progress) -> None:
        self.job, self.values, self.watch, self.progress = job, values, watch, progress
        self.reports: dict[tuple[Place, Ref], BlobReport] = {}
        self._at: dict[Place, list[tuple[BlobTwin, Ref]]] = defaultdict(list)
        self._visited = 0

    def run(
        self,
        model: Model,
        twin: Twin,
        blobs: Sequence[tuple[BlobTwin, Ref]],
        outputs: Sequence[tuple[BlobTwin, Ref]],
    ) -> None:
        known = {_key(blob, ref): (blob, ref) for blob, ref in (*blobs, *outputs)}
        for (place, _), pair in known.items():
            if pair[1] in self.values.arrays:
                self._at[place].append(pair)
        isolated = self.job.mode == "isolated"
        feeds = _laid(self.job, twin)
        model.run(feeds, list(self._at), self.visit, self.instead if isolated else None)

    def instead(self, place: Place) -> Array | None:
        """Caffe's numbers for all that reads this place of the model, as they lie there."""
        laid = [array for pair in self._at[place] if (array := self._caffe(*pair)) is not None]
        return laid[-1] if laid else None

    def visit(self, place: Place, array: Array) -> None:
        """Compare what is at one place of the model, for the layers that left it there in turn.

        In isolation a layer that leaves its bottom's tensor as it is was fed Caffe's numbers.
        """
        for blob, ref in self._at[place]:
            caffe, laid = self.values.arrays[ref], self._caffe(blob, ref)
            if laid is not None and laid.shape == array.shape:
                report = self._compared(blob, ref, blob.layout.pattern().to_caffe(array), caffe)
            else:
                report = self._misshapen(blob, ref, array, laid)
            self.reports[_key(blob, ref)] = report
            if self.job.mode == "isolated" and laid is not None:
                array = laid
        self._visited += 1
        self.progress(f"compared {place[0]}", self._visited, len(self._at))

    def _caffe(self, blob: BlobTwin, ref: Ref) -> Array | None:
        """Caffe's numbers as the model lays them; None if they cannot lie so."""
        caffe = self.values.arrays[ref]
        return blob.layout.pattern().to_tf(caffe) if fits(blob.layout, caffe.shape) else None

    def _compared(self, blob: BlobTwin, ref: Ref, array: Array, caffe: Array) -> BlobReport:
        layer = self.job.plan.net.layers[ref.layer]
        if self.watch is not None:
            self.watch(blob, caffe, array)
        found = compare(caffe, array, self.job.rtol)
        note = found.note
        if not note and layer.type == "Softmax" and _saturated(caffe, self.job.rtol):
            note = "saturated: every number is 0 or 1, which hides small differences before it"
        return _report(self.job.plan.net, ref, caffe.shape, found, note)

    def _misshapen(self, blob: BlobTwin, ref: Ref, array: Array, laid: Array | None) -> BlobReport:
        caffe = self.values.arrays[ref]
        due = f"; {list(laid.shape)} is due" if laid is not None else ""
        note = f"TensorFlow's tensor is {list(array.shape)}, Caffe's blob {list(caffe.shape)}{due}"
        return _report(self.job.plan.net, ref, caffe.shape, apart(caffe), note)


def _report(net: Net, ref: Ref, shape: Shape, found: Difference, note: str) -> BlobReport:
    layer = net.layers[ref.layer]
    return BlobReport(
        layer.name,
        layer.tops[ref.top],
        layer.type,
        shape,
        found.max,
        found.mean,
        found.scale,
        found.status,
        note,
    )


def _saturated(array: Array, rtol: float) -> bool:
    return bool((np.abs(array - np.round(array)) <= rtol).all())


def _laid(job: Job, twin: Twin) -> dict[str, Array]:
    """What the model is fed, by the names of its inputs, as it lays them."""
    pre = job.preprocessing
    built_in = job.record is None or any(is_preprocessed(job.record, b) for b in job.record.inputs)
    built_in = built_in and not _built_into_net(job.record)
    result = {}
    for blob in twin.inputs:
        array = job.arrays[blob.blob]
        if blob.blob == pre.blob and not built_in:
            array = pre(array)
        result[blob.node] = blob.layout.pattern().to_tf(array)
    return result | {name: np.asarray(value) for name, value in twin.given}


def _built_into_net(record: Twin | None) -> bool:
    """Whether it is the Caffe net that does something to an input first, and not the model."""
    if record is None or not record.of_source:
        return False
    return any(is_preprocessed(record, blob) for blob in record.inputs)


def is_preprocessed(record: Twin, fed: BlobTwin) -> bool:
    """Whether the model does something to an input before Caffe's first layer."""
    same = (b for b in record.blobs if (b.index, b.blob) == (fed.index, fed.blob))
    return not any((b.node, b.output) == (fed.node, fed.output) for b in same)


def _key(blob: BlobTwin, ref: Ref) -> tuple[Place, Ref]:
    return (blob.node, blob.output), ref


def _at(pair: tuple[BlobTwin, Ref]) -> Ref:
    return pair[1]
