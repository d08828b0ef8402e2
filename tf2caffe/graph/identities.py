"""Ops that are nothing in Caffe are stepped over; inputs that nobody needs are left out."""

from __future__ import annotations

from collections.abc import Mapping

from tf2caffe.graph import Graph, Node, Tensor, all_nodes
from tf2caffe.graph.node_def import SWITCHES
from tfcaffe.errors import UsageError

_PASSES_ON = frozenset(  # ops whose outputs are their inputs, as far as Caffe is concerned
    [
        "Identity",
        "IdentityN",
        "StopGradient",
        "PreventGradient",
        "CheckNumerics",
        "EnsureShape",
        "Snapshot",
        "GuaranteeConst",
        "DeepCopy",
        "Print",
        "PlaceholderWithDefault",
    ]
)
NO_PATH = "the outputs do not depend on the inputs; see --inputs and --outputs"
HALVES = "the source rounds to 16 bits between its layers; Caffe computes with 32 bits throughout"


def skip_identities(graph: Graph, *, switches: bool = False) -> None:
    """Everybody reads what the ops that pass on their inputs read, and these are gone.

    Args:
        switches: whether those of TF1's branches are, too: of what is computed at all, either
            output is the input. Nobody can tell afterwards what they depend on.
    """
    alias: dict[Tensor, Tensor] = {}
    halves: set[Node] = set()

    def source(tensor: Tensor) -> Tensor:
        seen = []
        while tensor not in alias and _passes_on(graph, tensor, switches):
            seen.append(tensor)
            if tensor.op == "Cast" and "16" in tensor.node.attrs["DstT"].name:
                halves.add(tensor.node)
            tensor = tensor.node.inputs[0 if tensor.op in SWITCHES else tensor.index]
        tensor = alias.get(tensor, tensor)
        alias.update(dict.fromkeys(seen, tensor))
        return tensor

    for node in list(all_nodes([*graph.outputs.values(), *graph.marks.values()])):
        node.inputs = [source(t) for t in node.inputs]
    graph.marks = {mark: source(t) for mark, t in graph.marks.items()}
    graph.outputs = {name: source(t) for name, t in graph.outputs.items()}
    if halves:
        graph.notes.append(HALVES)


def step_over(graph: Graph, alias: Mapping[Tensor, Tensor]) -> None:
    """Whoever reads one of these tensors reads what it stands for."""

    def source(tensor: Tensor) -> Tensor:
        while tensor in alias:
            tensor = alias[tensor]
        return tensor

    for node in list(all_nodes([*graph.outputs.values(), *graph.marks.values()])):
        node.inputs = [source(t) for t in node.inputs]
    graph.marks = {mark: source(t) for mark, t in graph.marks.items()}
    graph.outputs = {name: source(t) for name, t in graph.outputs.items()}
    graph.forget_readers()


def only_between(graph: Graph) -> None:
    """Leave out the inputs and marks that the outputs do not need.

    Raises:
        UsageError: they need none.
    """
    nodes = {*graph.reached()}
    graph.inputs = {name: t for name, t in graph.inputs.items() if t.node in nodes}
    graph.marks = {mark: t for mark, t in graph.marks.items() if t.node in nodes}
    if not graph.inputs:
        raise UsageError(NO_PATH)


def _passes_on(graph: Graph, tensor: Tensor, switches: bool) -> bool:
    """Whether what a node gives is what it reads, in Caffe, where all numbers are float32."""
    if tensor.op == "Cast":
        old, new = (tensor.node.attrs[name] for name in ("SrcT", "DstT"))
        whole = new.name in ("int32", "int64") and (not old.is_floating or _is_whole(tensor))
        kept = new.is_floating and new.size > 1  # float8 is meant to round
        return (kept or whole) and not graph.is_constant(tensor)
    if switches and tensor.op in SWITCHES:
        return True
    return tensor.op in _PASSES_ON and tensor.node not in graph.values


def _is_whole(tensor: Tensor) -> bool:
    """Whether casts made it of whole numbers."""
    while tensor.op in ("Cast", "Reshape", "Squeeze", "ExpandDims", *_PASSES_ON):
        tensor = tensor.node.inputs[tensor.index]
    return "int" in tensor.dtype
