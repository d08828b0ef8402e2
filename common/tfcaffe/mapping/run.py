"""`mapping check --run`: both sides on the same input, compared where the mapping says they meet.

A mapping moves weights; it cannot make two different functions equal. The layers that it names
meet in the node of the model that holds their variables.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.bind import Binding
from tfcaffe.errors import UsageError
from tfcaffe.files import caffemodel
from tfcaffe.files.weights import Weights
from tfcaffe.layout import Layout
from tfcaffe.load import load_weights
from tfcaffe.mapping.apply import to_layers
from tfcaffe.mapping.resolve import Resolved
from tfcaffe.mapping.run_inputs import laid_out, matched, turned_inputs
from tfcaffe.mapping.sides import Sides
from tfcaffe.names import escape
from tfcaffe.net import Ref
from tfcaffe.plan import Plan, make_plan
from tfcaffe.preprocess import Preprocessing
from tfcaffe.progress import Watch, part, unwatched
from tfcaffe.verify import caffe_side, feeds
from tfcaffe.verify.caffe_side import State
from tfcaffe.verify.compare import RTOL, Array, Difference, apart, compare
from tfcaffe.verify.model import Model, Place
from tfcaffe.verify.opening import open_model

_SAMPLES, _SEED = 2, 0
_STEPS = 3  # weights, Caffe, TensorFlow
_FOLLOWERS = 4  # elementwise layers behind one, as far as a TensorFlow layer may reach
_DEAD = 1e-2  # of the scale: outputs of two inputs that differ by less prove nothing


@dataclass(frozen=True)
class Meeting:
    """One place where both sides have the same blob.

    Args:
        layer: Caffe's; a net's output bears the name of its blob.
        node: the model's.
    """

    layer: str
    node: str
    difference: Difference
    output: bool = False


@dataclass(frozen=True)
class Run:
    """What both sides computed, in the net's order; outputs come last.

    Args:
        dead: whether the outputs hardly depend on the input, which proves nothing.
        ordered: inputs of the net and of the model that were taken for one another by their order,
            since none has the other's name.
    """

    meetings: tuple[Meeting, ...]
    dead: bool
    ordered: tuple[tuple[str, str], ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every output is equal, and proven so."""
        outputs = [m for m in self.meetings if m.output]
        return (
            bool(outputs) and not self.dead and all(m.difference.status == "equal" for m in outputs)
        )

    @property
    def first_difference(self) -> Meeting | None:
        """Where both sides first depart."""
        return next((m for m in self.meetings if m.difference.status == "different"), None)

    def to_json(self) -> dict[str, Any]:
        """Plain data; a difference that cannot be measured is null."""
        return {
            "agrees": self.agrees,
            "inputs_by_order": [list(both) for both in self.ordered],
            "meetings": [
                {
                    "layer": m.layer,
                    "node": m.node,
                    "max": m.difference.max if np.isfinite(m.difference.max) else None,
                    "status": m.difference.status,
                    "output": m.output,
                }
                for m in self.meetings
            ],
        }

    def to_text(self) -> str:
        """One line for people."""
        pairs = ", ".join(f"{blob} = {name}" for blob, name in self.ordered)
        return self._said() + (f" (inputs in order: {pairs})" if pairs else "")

    def _said(self) -> str:
        first = self.first_difference
        if self.agrees:
            worst = max(m.difference.max for m in self.meetings if m.output)
            said = f"run: both sides agree at every output, within {worst:.1e} of its scale"
            inside = "" if first is None else f" (inside, {first.layer} and {first.node} differ)"
            return said + inside
        if first is not None:
            far = f"by {first.difference.max:.1e} of its scale"
            how = far if np.isfinite(first.difference.max) else f"({first.difference.note})"
            return f"run: the two sides differ, first at {first.layer} ({first.node}) {how}"
        return "run: nothing is proven: the outputs are constant, or hardly depend on the input"


def run(
    sides: Sides,
    resolved: Resolved,
    model: Path,
    weights: Path | None = None,
    *,
    kept: Binding | None = None,
    rtol: float = RTOL,
    state: State | None = None,
    watch: Watch = unwatched,
) -> Run:
    """Run Caffe with the mapping's numbers, and the model beside it.

    Args:
        model: a `.keras`, a Keras `.h5` with its model, or a SavedModel.
        weights: a caffemodel; None makes one of the model's own variables.
        kept: numbers of blobs that the mapping leaves out.
        watch: is told how far it is.

    Raises:
        UsageError: no model that can be run, or nobody knows which input is which.
        OracleError, RuntimeMissingError: Caffe is not there, or fails.
    """
    opened = open_model(model, recorded=False)
    plan = sides.plan
    items = feeds.inputs_of(plan, {})
    fed, ordered = matched([item.name for item in items if item.compared], opened, plan.net.path)
    arrays = feeds.random_feeds(items, _SAMPLES, _SEED, Preprocessing())
    plan = make_plan(plan.net, {name: array.shape for name, array in arrays.items()})
    nodes = dict(_nodes(resolved, opened))
    candidates = {layer: list(_candidates(plan, layer)) for layer in nodes}
    outputs = [ref for _, ref in plan.net.outputs]
    wanted = {ref for refs in candidates.values() for ref in refs} | set(outputs)
    with ExitStack() as stack:
        found = _weights(sides, resolved, weights, kept, stack, part(watch, "weights", 0, _STEPS))
        watch("Caffe", 1, _STEPS)
        caffe = caffe_side.run(
            plan.net,
            Path(plan.net.path),
            found,
            arrays,
            plan.shapes,
            wanted,
            state=state or State(),
            oracle=caffe_side.start("pycaffe", stack),
        ).arrays
    seen: dict[Place, Array] = {}
    turned = turned_inputs(resolved)
    watched = {*nodes.values(), *opened.outputs}
    watch("TensorFlow", 2, _STEPS)
    opened.run(
        {mine: laid_out(arrays[blob], flip=blob in turned) for blob, mine in fed.items()},
        watched,
        lambda place, value: seen.update({place: value}),
    )
    meetings = [
        _meeting(plan, layer, place, [caffe[ref] for ref in candidates[layer]], seen[place], rtol)
        for layer, place in sorted(nodes.items())
    ]
    results = [seen[place] for place in opened.outputs]
    meetings += _outputs(plan, outputs, caffe, opened, results, rtol)
    return Run(tuple(meetings), any(_is_dead(value) for value in results), ordered)


def _weights(
    sides: Sides,
    resolved: Resolved,
    weights: Path | None,
    kept: Binding | None,
    stack: ExitStack,
    watch: Watch,
) -> Weights:
    if weights is not None:
        return load_weights(weights)
    assert sides.variables is not None
    if resolved.left_blobs and kept is None:
        raise UsageError(
            "blobs are left out, and --run needs them: give an old caffemodel for these (--base), "
            "or one for all (--weights)"
        )
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tfcaffe-"))
    path = Path(folder) / "net.caffemodel"
    caffemodel.write(path, to_layers(resolved, sides.variables.entries, kept, watch))
    return load_weights(path)


def _nodes(resolved: Resolved, model: Model) -> Iterator[tuple[int, Place]]:
    """The model's node of each mapped layer: the one whose variables it gets.

    What Caffe has no blob for is folded into a later layer: before that the two sides differ. So
    they do where the numbers that a layer makes lie in another order.
    """
    folded = {_node(pair.minus, model) for pair in resolved.pairs if pair.minus}
    moved = {
        pair.blob.layer
        for pair in resolved.pairs
        if pair.transform and any(move.what != "inputs" for move in pair.transform.moves)
    }
    for pair in resolved.pairs:
        place = _node(pair.variables[0], model) if pair.variables else None
        if place is not None and place not in folded and pair.blob.layer not in moved:
            yield pair.blob.layer, place


def _node(variable: str, model: Model) -> Place | None:
    parts = variable.split("/")[:-1]
    for node in (parts[-1:] or [""]) + ["/".join(parts), escape("/".join(parts))]:
        if node and model.has((node, 0)):
            return node, 0
    return None


def _candidates(plan: Plan, layer: int) -> Iterator[Ref]:
    """A layer's top, and what elementwise layers make of it before anything else reads it.

    A TensorFlow layer may hold its activation, or be Caffe's BatchNorm and Scale in one.
    """
    readers = plan.net.consumers()
    ref = Ref(layer, 0)
    shape = plan.shapes[layer][0]
    for _ in range(_FOLLOWERS):
        yield ref
        after = readers.get(ref, [])
        if len(after) != 1 or plan.shapes[after[0]][:1] != (shape,):
            return
        ref = Ref(after[0], 0)


def _meeting(
    plan: Plan, layer: int, place: Place, caffe: list[Array], mine: Array, rtol: float
) -> Meeting:
    found = [_compared(array, mine, rtol) for array in caffe]
    best = min(found, key=lambda difference: difference.max)
    return Meeting(plan.net.layers[layer].name, place[0], best)


def _outputs(
    plan: Plan,
    refs: list[Ref],
    caffe: Mapping[Ref, Array],
    model: Model,
    results: list[Array],
    rtol: float,
) -> Iterator[Meeting]:
    """Outputs, in order.

    Raises:
        UsageError: one side has more than the other, so that nobody knows which is which.
    """
    if len(refs) != len(model.outputs):
        raise UsageError(
            f"{model.name}: has {len(model.outputs)} outputs, {plan.net.path} {len(refs)}; --run "
            "takes sides with as many: cut the net or the model"
        )
    for ref, place, mine in zip(refs, model.outputs, results, strict=True):
        blob = plan.net.layers[ref.layer].tops[ref.top]
        yield Meeting(blob, place[0], _compared(caffe[ref], mine, rtol), output=True)


def _compared(caffe: Array, mine: Array, rtol: float) -> Difference:
    """In Caffe's layout; axes of size 1 at the end do not matter."""
    if mine.ndim == caffe.ndim:
        layout = Layout.natural(caffe.shape)
        if layout.tf_shape == mine.shape:
            return compare(caffe, layout.pattern().to_caffe(mine), rtol)
    long, short = sorted((caffe.shape, mine.shape), key=len, reverse=True)
    if long[: len(short)] == short and prod(long[len(short) :]) == 1:
        return compare(caffe, mine.reshape(caffe.shape), rtol)
    return apart(caffe, f"its shape is {list(caffe.shape)} in Caffe and {list(mine.shape)} here")


def _is_dead(value: Array) -> bool:
    scale = float(np.abs(value).max(initial=0))
    return not scale or float(np.abs(value[0] - value[1]).max()) < _DEAD * scale
