"""Repetition of rows and columns, which TensorFlow writes out."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node
from tf2caffe.patterns import pattern


@pattern("Reshape")
def repeated(node: Node, graph: Graph) -> bool:
    """A dimension of size 1 behind another, its copies, both as one: `tf.repeat`.

    Repetitions one after the other are one.
    """
    tile = node.inputs[0].node
    if tile.op not in ("Tile", "BroadcastTo") or not graph.is_constant(tile.inputs[1]):
        return False
    opened = tile.inputs[0]
    wide, old = tile.shapes[0] or (), opened.shape
    varied = [d for d, (a, b) in enumerate(zip(old, wide, strict=False)) if a != b]
    if len(old) != len(wide) or len(varied) != 1 or opened.op not in ("ExpandDims", "Reshape"):
        return False
    (at,) = varied
    x = opened.node.inputs[0]
    if at < 2 or old[at] != 1 or x.shape != (*old[:at], *old[at + 1 :]):
        return False
    if x.shape[at - 1] == 1:  # no more than a Tile
        return False
    count = int(wide[at] or 0)
    shape = tuple(n * count if d == at - 1 else n for d, n in enumerate(x.shape))
    if node.shapes[0] != shape:
        return False
    times = np.ones(len(shape), int)
    times[at - 1] = count
    if x.op == "repeat" and graph.read_only_by(x, opened.node):
        times *= np.asarray(x.node.attrs["times"])
        x = x.node.inputs[0]
    node.op, node.inputs, node.attrs = "repeat", [x], {"times": [int(n) for n in times]}
    return True
