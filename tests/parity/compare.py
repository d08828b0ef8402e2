"""Where the model is not Caffe's net."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from parity.subject import Array, Observed, Subject
from tfcaffe.net import Net, Ref
from tfcaffe.oracle.records import LayerRun, Run
from tfcaffe.twin import BlobTwin

TOLERANCE = 1e-5  # of a blob's largest number
_EMPTY = np.float32(3.4e38)  # a maximum over no pixel is -FLT_MAX: no scale to measure by


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
    partners = partners_of(subject, run)
    problems = _missing(subject, model, run, partners)
    blobs, outputs = model.run(inputs)
    for twin, array in zip(model.twin.blobs, blobs, strict=True):
        problems += difference("blob", twin, array, partners[twin.index])
    for twin, array in zip(model.twin.outputs, outputs, strict=True):
        problems += difference("output", twin, array, partners[twin.index])
        rank = len(twin.layout.axes)
        dims = [(i,) for i in ([0, *range(2, rank), 1] if rank in (4, 5) else range(rank))]
        if rank != 3 and list(twin.layout.dims) != dims:
            problems.append(f"output {twin.blob!r} lies {twin.layout.dims}")
    return problems


def partners_of(subject: Subject, run: Run) -> dict[int, LayerRun]:
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


def difference(what: str, twin: BlobTwin, array: Array, ran: LayerRun) -> list[str]:
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
