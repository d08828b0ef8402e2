"""Loops of TF1 (`tf.while_loop`) as one op each, so that they are refused once and by name."""

from __future__ import annotations

from tf2caffe.graph import Graph, Tensor, all_nodes


def closed(graph: Graph) -> None:
    """Every result of a loop becomes a node `loop` that reads what goes into it."""
    nodes = list(all_nodes(graph.outputs.values()))
    entries: dict[str, list[Tensor]] = {}
    for node in nodes:
        if node.op in ("Enter", "RefEnter"):
            entries.setdefault(node.attrs["frame_name"], []).extend(node.inputs)
    for node in nodes:
        if node.op not in ("Exit", "RefExit"):
            continue
        frames = [n for n in all_nodes([Tensor(node)]) if n.op in ("Enter", "RefEnter")]
        names = {str(n.attrs["frame_name"]) for n in frames}
        node.op = "loop"
        node.inputs = list(dict.fromkeys(t for name in names for t in entries[name]))
    graph.volatile = {*graph.volatile, *(node for node in nodes if node.op == "loop")}
