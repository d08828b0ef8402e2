"""What a functional Keras model is made of: its calls of layers and operations, and its tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

_Frame = tuple[int, ...]  # the node that is meant, after the models' nodes that it is in


def calls(model: Any) -> Iterator[Any]:
    """Inputs and calls of layers and operations, in an order in which they can run.

    Keras has no public way to see these; `keras.Function` itself runs a graph like this.
    """
    by_depth = model._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from (node for node in by_depth[depth] if node.operation is not None)


def tensors(model: Any) -> dict[tuple[str, int], Any]:
    """The symbolic tensors of a functional model, by its node's name and which output it is.

    Of a node that the model calls more than once the name is the first call's: the first that was
    made; another may lie nearer to the inputs. Those of the second are called `name#2`, and so on.
    """
    mine = set(map(id, calls(model)))
    found: dict[tuple[str, int], Any] = {}
    for operation in model.operations:
        own = (node for node in operation._inbound_nodes if id(node) in mine)
        for call, node in enumerate(own, 1):
            name = operation.name if call == 1 else f"{operation.name}#{call}"
            found.update({(name, i): tensor for i, tensor in enumerate(node.outputs)})
    return found


def functional(operation: Any) -> Any | None:
    """The graph of a functional or sequential model; None if its own Python code calls its layers.

    A class may be functional and yet say what is called.
    """
    graph = getattr(operation, "_functional", None) or operation
    said = type(operation).call.__module__ if hasattr(graph, "_nodes_by_depth") else ""
    return graph if said.startswith("keras.") else None


@dataclass(frozen=True)
class Step:
    """One call of a layer or operation, by a model or by a model in it.

    Args:
        name: what the call goes by.
        reads, writes: the numbers of its tensors.
        body: the model in a TimeDistributed, which sees all steps as one batch.
    """

    name: str
    node: Any
    reads: Sequence[int]
    writes: Sequence[int]
    body: Body | None

    def arguments(self, values: Mapping[int, Any]) -> tuple[Any, Any]:
        """What it is called with, of the values of its tensors by number."""
        given = zip(self.node.input_tensors, self.reads, strict=True)
        filled = self.node.arguments.fill_in({id(t): values[number] for t, number in given})
        return filled[0], filled[1]


@dataclass(frozen=True)
class Body:
    """A model's calls, and those of the models in it, in an order in which they can run."""

    inputs: Sequence[int]
    outputs: Sequence[int]
    steps: Sequence[Step]


class Calls:
    """A functional model, the layers of models in it called where those are called.

    A layer in a model in the model goes by its own name; where another layer has that, too, by
    `model/name`. Of one that is called more than once the first call is `name`: the first that was
    made; another may lie nearer to the inputs. The second is `name#2`, and so on.

    Args:
        model: as `functional` gives it.

    Attributes:
        places: the number of each tensor by the name of its call and which output it is; the
            outputs of models in the model are among them.
    """

    def __init__(self, model: Any) -> None:
        self.places: dict[tuple[str, int], int] = {}
        self._names = _Names(model).calls
        self._numbers = count()
        self.body = self._body(model, [next(self._numbers) for _ in model.inputs], ())

    def _body(self, model: Any, inputs: Sequence[int], frame: _Frame) -> Body:
        """The steps of one call of a model, `frame`, on these inputs."""
        known = dict(zip(map(id, model.inputs), inputs, strict=True))
        steps: list[Step] = []
        for node in calls(model):
            if node.is_input:
                continue
            own = (*frame, id(node))
            reads = [known[id(symbol)] for symbol in node.input_tensors]
            if inner := _entered(node):
                body = self._body(inner, reads, own)
                steps += body.steps
                writes = body.outputs
            else:
                each = _in_steps(node.operation)
                fed = [next(self._numbers) for _ in each.inputs] if each else []
                within = self._body(each, fed, own) if each else None
                writes = [next(self._numbers) for _ in node.outputs]
                steps.append(Step(self._names[own], node, reads, writes, within))
            known.update(zip(map(id, node.outputs), writes, strict=True))
            self.places.update({(self._names[own], i): n for i, n in enumerate(writes)})
        return Body(inputs, [known[id(symbol)] for symbol in model.outputs], steps)


class _Names:
    """What each call goes by."""

    def __init__(self, model: Any) -> None:
        self._bearers: dict[str, set[int]] = {}
        self._met: list[tuple[_Frame, str, Any]] = []
        self._visit(model, (), "")
        counts: Counter[str] = Counter()
        self.calls: dict[_Frame, str] = {}
        for frame, scope, operation in self._met:
            name = str(operation.name)
            if len(self._bearers[name]) > 1:
                name = scope + name
            counts[name] += 1
            self.calls[frame] = f"{name}#{counts[name]}" if counts[name] > 1 else name

    def _visit(self, model: Any, frame: _Frame, scope: str) -> None:
        """Meet all calls in the order in which they were made."""
        mine = {id(node): node for node in calls(model)}
        for operation in model.operations:
            for node in operation._inbound_nodes:
                if id(node) not in mine or (frame and node.is_input):
                    continue
                self._bearers.setdefault(str(operation.name), set()).add(id(operation))
                own = (*frame, id(node))
                self._met.append((own, scope, operation))
                if inner := _entered(node) or _in_steps(operation):
                    self._visit(inner, own, f"{scope}{operation.name}/")


def _entered(node: Any) -> Any | None:
    """The model that a node calls, if its inputs get what the node reads, as it is.

    Keras may also sort a dictionary, cast, or add a dimension: then it calls the model itself.
    """
    inner = functional(node.operation)
    if inner is None or len(inner.inputs) != len(node.input_tensors):
        return None
    given = next(iter(node.arguments.args), node.arguments.kwargs.get("inputs"))
    wanted = inner._inputs_struct
    if isinstance(given, dict) and not (isinstance(wanted, dict) and given.keys() == wanted.keys()):
        return None
    pairs = list(zip(node.input_tensors, inner.inputs, strict=True))
    same = all(len(a.shape) == len(b.shape) for a, b in pairs)
    types = ({"float" if "float" in t.dtype else t.dtype for t in pair} for pair in pairs)
    return inner if same and all(len(kinds) == 1 for kinds in types) else None


def _in_steps(operation: Any) -> Any | None:
    """The model in a TimeDistributed."""
    layer = operation
    while type(layer).__name__ == "TimeDistributed":
        layer = layer.layer
    return None if layer is operation else functional(layer)
