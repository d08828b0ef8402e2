"""Where a net's blobs are in a model that says nothing about it: by our names and layouts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tfcaffe.errors import UsageError
from tfcaffe.layout import Layout
from tfcaffe.names import escape
from tfcaffe.net import Ref
from tfcaffe.plan import Plan
from tfcaffe.twin import BlobTwin, Twin
from tfcaffe.verify.model import Model, Place

_NO_PYTHON = re.compile(r"[^A-Za-z0-9_]")


def by_convention(plan: Plan, model: Model) -> Twin:
    """The record of a model without one.

    Its nodes are named as the layers of the net, escaped; its tensors lie as the plan has them,
    which is channels last wherever a blob has four or five axes.

    Raises:
        UsageError: an input or every output of the model has no such name.
    """
    names = _node_names(plan)
    inputs = tuple(_inputs(plan, names, model))
    outputs = tuple(_outputs(plan, names, model))
    blobs = tuple(_blobs(plan, names, model, outputs)) if model.sees_inside else ()
    if not outputs:
        raise UsageError(
            f"{model.name}: no output is named like a blob or layer of {plan.net.path}: it has "
            f"{_listed(model.outputs)}"
        )
    return Twin(inputs, blobs, outputs)


def from_outside(twin: Twin, model: Model) -> Twin:
    """The record of a model whose inputs and outputs bear blob names.

    The blobs inside stay in it if the model shows them. Older versions of the converter wrote
    nodes of the Keras model that a graph was made of, which it does not have.

    Raises:
        UsageError: the model has other inputs or outputs.
    """
    names = {fed.node: _input_name(fed.node, model) for fed in twin.inputs}
    inputs = tuple(replace(fed, node=names[fed.node]) for fed in twin.inputs)
    blobs = tuple(replace(blob, node=names.get(blob.node, blob.node)) for blob in twin.blobs)
    if not model.sees_inside or not all(model.has((b.node, b.output)) for b in blobs):
        blobs = ()
    outputs = tuple(replace(out, node=escape(out.blob), output=0) for out in twin.outputs)
    lost = [out.blob for out in outputs if not model.has((out.node, 0))]
    if lost or {fed.node for fed in inputs} != set(model.inputs):
        raise UsageError(
            f"{model.name}: its record is not of this model: other inputs, or no output "
            f"{', '.join(map(repr, lost))}; convert the net again"
        )
    return Twin(inputs, blobs, outputs)


def feed_within(twin: Twin, model: Model) -> None:
    """Have a model fed where the net that was made of it begins, if it was cut there."""
    names = [fed.node for fed in twin.inputs]
    inner = [name for name in names if _input_name(name, model) not in model.inputs]
    if inner and all(model.has((name, 0)) for name in names):
        model.feed_at(names)


def from_source(twin: Twin, model: Model) -> Twin:
    """The record of the model that a net was made of, in the model's own names.

    Raises:
        UsageError: it is another model.
    """
    given = {_input_name(name, model): value for name, value in twin.given}
    given = {name: value for name, value in given.items() if name in model.inputs}
    taken = [name for name in model.inputs if name not in given]
    names = {fed.node: _input_name(fed.node, model) for fed in twin.inputs}
    if len(twin.inputs) == 1 == len(taken):
        names = {twin.inputs[0].node: taken[0]}
    inputs = tuple(replace(fed, node=names[fed.node]) for fed in twin.inputs)
    blobs = tuple(replace(blob, node=names.get(blob.node, blob.node)) for blob in twin.blobs)
    ends = twin.outputs
    if len(ends) == 1 == len(model.outputs) and not model.has((ends[0].node, ends[0].output)):
        node, output = model.outputs[0]  # exported under another name
        ends = (replace(ends[0], node=node, output=output),)
    outputs = tuple(out for out in ends if model.has((out.node, out.output)))
    if {fed.node for fed in inputs} != set(taken) or len(outputs) != len(twin.outputs):
        raise UsageError(
            f"{model.name}: is not the model that the net was made of: that has the inputs "
            f"{', '.join(fed.node for fed in twin.inputs)} and the outputs "
            f"{', '.join(out.node for out in twin.outputs)}"
        )
    seen = blobs if model.sees_inside else ()
    return Twin(
        inputs,
        tuple(b for b in seen if model.has((b.node, b.output))),
        outputs,
        of_source=True,
        whole=twin.whole,
        given=tuple(given.items()),
    )


def _input_name(name: str, model: Model) -> str:
    """An input's own name, or the Python name that TensorFlow's functions turn it into."""
    return name if name in model.inputs else _NO_PYTHON.sub("_", name)


def _node_names(plan: Plan) -> list[str]:
    """What the converter calls each layer's node; a repeated name gets `>d2`, `>d3` …"""
    seen: Counter[str] = Counter()
    names = []
    for entry in plan.layers:
        name = escape(entry.layer.name)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}>d{seen[name]}")
    return names


def _inputs(plan: Plan, names: list[str], model: Model) -> Iterator[BlobTwin]:
    read = plan.net.consumers()
    sources = [
        Ref(i, t)
        for i, entry in enumerate(plan.layers)
        if entry.family.source
        for t in range(len(entry.tops))
        if Ref(i, t) in read
    ]
    by_name = {escape(plan.net.layers[r.layer].tops[r.top]): r for r in sources}
    by_name |= {names[r.layer]: r for r in sources if r.top == 0}
    by_name |= {_input_name(name, model): ref for name, ref in by_name.items()}
    alone = len(model.inputs) == 1 and len(sources) == 1
    for name in model.inputs:
        ref = sources[0] if alone else by_name.get(name)
        if ref is None:
            raise UsageError(
                f"{model.name}: its input {name!r} is named like no input of {plan.net.path}: "
                f"that has {', '.join(plan.net.layers[r.layer].tops[r.top] for r in sources)}"
            )
        yield _twin(plan, ref, (name, 0), plan.layout(ref))


def _blobs(
    plan: Plan, names: list[str], model: Model, outputs: Sequence[BlobTwin]
) -> Iterator[BlobTwin]:
    readers = plan.net.consumers()
    taken: set[Place] = set()
    answers = {(b.node, b.output): (b.index, b.blob) for b in outputs if model.by_blob}
    for i, entry in enumerate(plan.layers):
        layer = entry.layer
        if layer.type == "Split" or entry.family.training_only or entry.family.source:
            continue
        for t in range(len(layer.tops)):
            after = [plan.net.layers[r] for r in readers.get(Ref(i, t), [])]
            merges = layer.type == "BatchNorm" and [la.type for la in after] == ["Scale"]
            if merges and not model.has((names[readers[Ref(i, t)][0]], 0)):
                continue
            places = _places(names[i], t)
            if layer.type == "Scale" and not model.has(places[0]):
                before = plan.net.sources[i][0].layer
                if plan.net.layers[before].type == "BatchNorm":
                    places = _places(names[before], 0)
            mine = (p for p in places if answers.get(p, (i, layer.tops[t])) == (i, layer.tops[t]))
            place = next((p for p in mine if model.has(p) and p not in taken), None)
            if place is not None:
                taken.add(place)
                yield _twin(plan, Ref(i, t), place, plan.layers[i].tops[t])


def _outputs(plan: Plan, names: list[str], model: Model) -> Iterator[BlobTwin]:
    """By blob, and by node where that is what outputs bear the names of; in the model's order."""
    layouts: dict[Place, tuple[Ref, Layout]] = {}
    for i, entry in enumerate(plan.layers):
        for t, top in enumerate(entry.layer.tops):
            ref = Ref(i, t)
            layouts[escape(top), 0] = ref, plan.output_layout(ref)  # the blob's last version
            if not model.by_blob:
                for place in _places(names[i], t):
                    layouts[place] = ref, entry.tops[t]
                layouts[f"{names[i]}>o{t}", 0] = ref, plan.output_layout(ref)
    for place in model.outputs:
        if place in layouts:
            ref, layout = layouts[place]
            yield _twin(plan, ref, place, layout)


def _places(name: str, top: int) -> list[Place]:
    """The nodes that may make a layer's top: one node for all tops, or an Identity for each."""
    return [(f"{name}>t{top}", 0), (name, top)]


def _twin(plan: Plan, ref: Ref, place: Place, layout: Layout) -> BlobTwin:
    layer = plan.net.layers[ref.layer]
    return BlobTwin(layer.name, layer.tops[ref.top], *place, layout, ref.layer)


def _listed(places: tuple[Place, ...]) -> str:
    return ", ".join(repr(node) for node, _ in places[:5])
