"""Dropout that is left in a graph is training's: inference keeps everything.

Other random numbers stay and are refused by name: no layer of Caffe's makes any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf2caffe.graph import Graph, Node, Tensor, all_nodes
from tf2caffe.graph.identities import step_over
from tf2caffe.graph.node_def import become_constant, source

_CLOSE = 1e-4  # 1 / keep, rounded

RANDOM = frozenset(
    [
        "RandomUniform",
        "RandomStandardNormal",
        "TruncatedNormal",
        "StatelessRandomUniformV2",
        "StatelessRandomUniform",
    ]
)
_MASK = frozenset(
    ["Floor", "Add", "AddV2", "Sub", "Mul", "GreaterEqual", "Cast", "Less", "Identity"]
)
_PASSES = frozenset(["Identity", "Enter", "Switch"])
_TRUTHS = frozenset(["Floor", "GreaterEqual", "Less"])  # make 0 or 1 of a random number


def keep_everything(
    definition: Any, inputs: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, float]]:
    """A placeholder that dropout is fed (`keep_prob`, `rate`) becomes a constant: keep everything.

    Args:
        inputs: tensors that are fed, by the users' name.

    Returns:
        The other inputs, and what those have become.
    """
    nodes = {node.name: node for node in definition.node}

    def is_noise(name: str, depth: int = 3) -> bool:
        node = nodes.get(name.partition(":")[0])
        if node is None or not depth:
            return False
        return node.op in RANDOM or (
            node.op in _MASK and any(is_noise(other, depth - 1) for other in node.input)
        )

    values: dict[str, float] = {}
    for node in definition.node:
        if node.op in ("Add", "AddV2", "GreaterEqual") and len(node.input) > 1:
            a, b = node.input[:2]
            kept = 0.0 if node.op == "GreaterEqual" else 1.0
            values |= {
                source(nodes, one, _PASSES): kept
                for one, other in ((a, b), (b, a))
                if is_noise(other)
            }
    for name, kept in list(values.items()):  # rate = 1 - keep_prob, of later TensorFlow 1
        node = nodes.get(name.partition(":")[0])
        if node is not None and node.op == "Sub" and _is_one(nodes.get(node.input[0])):
            values.setdefault(source(nodes, node.input[1], _PASSES), 1.0 - kept)
    left, given = {}, {}
    for name, tensor in inputs.items():
        node = nodes[tensor.partition(":")[0]]
        if node.name in values and _may_be_number(node):
            given[name] = values[node.name]
            become_constant(node, given[name], node.attr["dtype"].type)
        else:
            left[name] = tensor
    return left, given


def _is_one(node: Any) -> bool:
    from tensorflow import make_ndarray

    if node is None or node.op != "Const":
        return False
    array = make_ndarray(node.attr["value"].tensor)
    return bool(array.shape == () and array == 1)


def _may_be_number(node: Any) -> bool:
    """Whether it is a placeholder of a single number, or of no known shape: not an image."""
    shape = node.attr["shape"].shape
    return node.op == "Placeholder" and (shape.unknown_rank or not shape.dim)


def without_noise(graph: Graph) -> None:
    """x / keep · floor(random + keep), x · (1 / keep) · (random >= rate) and the like become x.

    Sources: tf.nn.dropout of TensorFlow 1 and 2 (nn_ops.py).
    """
    random = {node for node in all_nodes(graph.outputs.values()) if node.op in RANDOM}
    if not random:
        return
    alias: dict[Tensor, Tensor] = {}
    for node in all_nodes(graph.outputs.values()):
        kept = _kept(node, graph)
        if kept is not None:
            alias[Tensor(node)] = kept
    step_over(graph, alias)
    names = ", ".join(sorted(t.node.name for t in alias)[:3])
    if alias:
        graph.notes.append(f"dropout that the graph has for training is left out: {names}")


def _kept(node: Node, graph: Graph) -> Tensor | None:
    """What a dropout is of; None if the node is none."""
    if node.op in ("Select", "SelectV2") and _is_mask(node.inputs[0]):
        zeros = node.inputs[2]
        return _unscaled(node.inputs[1], node.inputs[0], graph) if _is_zero(zeros, graph) else None
    if node.op != "Mul":
        return None
    for x, mask in (node.inputs, reversed(node.inputs)):
        if _is_mask(mask) and not _is_mask(x):
            return _unscaled(x, mask, graph)
    return None


def _is_zero(tensor: Tensor, graph: Graph) -> bool:
    """Also zeros of a shape that is computed."""
    while tensor.op in ("Fill", "BroadcastTo"):
        tensor = tensor.node.inputs[1 if tensor.op == "Fill" else 0]
    return tensor.op == "ZerosLike" or graph.number(tensor) == 0


def _is_mask(tensor: Tensor) -> bool:
    """Whether it is zeros and ones, made of random numbers and single numbers alone."""
    truth = _truth(tensor)
    if truth.op not in _TRUTHS:
        return False
    found, stack = False, [truth]
    while stack:
        node = stack.pop().node
        if node.op in RANDOM:
            found = True
        elif node.op in _MASK:
            stack += [t for t in node.inputs if not _is_number(t)]
        else:
            return False
    return found


def _truth(mask: Tensor) -> Tensor:
    while mask.op in ("Cast", "Identity"):
        mask = mask.node.inputs[0]
    return mask


def _unscaled(x: Tensor, mask: Tensor, graph: Graph) -> Tensor:
    """Without the factor 1 / keep; a factor that is another number stays."""
    if x.op not in ("RealDiv", "Mul"):
        return x
    pairs = [x.node.inputs] if x.op == "RealDiv" else [x.node.inputs, x.node.inputs[::-1]]
    for inner, factor in pairs:
        number, keep = graph.number(factor), _keep(_truth(mask), graph)
        if not _is_number(factor) or not number or not keep:
            continue
        scale = 1 / number if x.op == "RealDiv" else number
        if abs(scale * keep - 1) < _CLOSE:
            return inner
    return x


def _keep(truth: Tensor, graph: Graph) -> float | None:
    """The share that a mask keeps."""
    inputs = truth.node.inputs
    if truth.op == "Floor":
        inputs = inputs[0].node.inputs
    number = next((graph.number(t) for t in inputs if _is_number(t)), None)
    return 1 - number if number is not None and truth.op == "GreaterEqual" else number


def _is_number(tensor: Tensor) -> bool:
    return tensor.node.shapes[tensor.index] == ()
