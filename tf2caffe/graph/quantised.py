"""Fake quantisation, as training for 8 bits leaves it in a graph."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.graph.identities import step_over
from tfcaffe.variables.base import some

FAKE = (
    "FakeQuantWithMinMaxArgs",
    "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel",
    "QuantizeAndDequantize",
    "QuantizeAndDequantizeV2",
    "QuantizeAndDequantizeV3",
    "QuantizeAndDequantizeV4",
)


def drop(graph: Graph) -> None:
    """What rounds activations is stepped over; weights are constants, and stay rounded."""
    alias: dict[Tensor, Tensor] = {}
    for node in graph.reached():
        x = _rounded(node)
        if x is not None:
            alias[Tensor(node)] = x
    step_over(graph, alias)
    if alias:
        graph.notes.append(
            f"{len(alias)} fake quantisations of activations are left out "
            f"({some([t.node.name for t in alias])}): numbers differ from the source's by their "
            "rounding, and where they clip to their ranges by that"
        )


def _rounded(node: Node) -> Tensor | None:
    """What a node rounds to steps and gives as float again; None if it does not do that."""
    if node.op in FAKE:
        return node.inputs[0]
    codes = node.inputs[0] if node.op == "Dequantize" else None
    return codes.node.inputs[0] if codes is not None and codes.op == "QuantizeV2" else None
