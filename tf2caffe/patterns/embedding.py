"""Rows of a table that are looked up by what the net is fed."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern


@pattern("GatherV2", "Gather")
def embedding(node: Node, graph: Graph) -> bool:
    """Rows of a constant matrix, or a vector's; how Keras counts from the end is left out."""
    table, indices = node.inputs[:2]
    if graph.is_constant(indices) or not graph.is_constant(table) or len(table.shape) not in (1, 2):
        return False
    if node.attrs.get("batch_dims") or (len(node.inputs) > 2 and graph.number(node.inputs[2]) != 0):
        return False
    node.op = "embedding"
    node.inputs = [table, _from_the_front(indices, graph, table.shape[0])]
    return True


def _from_the_front(indices: Tensor, graph: Graph, rows: int) -> Tensor:
    """The indices before `where(i < 0, i + rows, i)` (keras.ops.take) and a cast to integers.

    The table has no rows for others, and Caffe casts to an integer as TensorFlow does.
    """
    if indices.op == "SelectV2":
        below, added, plain = indices.node.inputs
        if (
            below.op == "Less"
            and below.node.inputs[0] == plain
            and graph.number(below.node.inputs[1]) == 0
            and added.op == "AddV2"
            and added.node.inputs[0] == plain
            and graph.number(added.node.inputs[1]) == rows
        ):
            indices = plain
    while indices.op == "Cast" and not indices.node.attrs["DstT"].is_bool:
        indices = indices.node.inputs[0]
    return indices
