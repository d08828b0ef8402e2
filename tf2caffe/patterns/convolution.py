"""What goes into a convolution or a matrix product: a padding before it, a bias behind it."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern


@pattern("Conv2D", "Conv3D", "DepthwiseConv2dNative")
def padding(node: Node, graph: Graph) -> bool:
    """A Pad with zeros of H and W, before a convolution that pads nothing itself."""
    pad = node.inputs[0].node
    if pad.op not in ("Pad", "PadV2") or node.attrs["padding"] != "VALID":
        return False
    pads = np.asarray(graph.constant(pad.inputs[1]))
    if len(pad.inputs) > 2 and graph.number(pad.inputs[2]) != 0:
        return False
    first = str(node.attrs.get("data_format") or "NHWC").startswith("NC")
    channel = 1 if first else len(pads) - 1
    if pads[0].any() or pads[channel].any() or (pads < 0).any():
        return False
    node.inputs[0] = pad.inputs[0]
    node.attrs["padding"] = "EXPLICIT"
    node.attrs["explicit_paddings"] = [int(n) for n in pads.reshape(-1)]
    return True


@pattern("BiasAdd", "AddV2", "Add", order=1)
def bias(node: Node, graph: Graph) -> bool:
    """One number for each channel, added to what a convolution or product alone makes."""
    if graph.is_constant(node.inputs[0]):
        node.inputs.reverse()
    source, term = node.inputs[0], node.inputs[1]
    made = source.node
    if made.op not in ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul"):
        return False
    if len(made.inputs) > 2 or not graph.is_constant(term) or graph.is_constant(source):
        return False
    if not _of_channels(made, source, term) or not graph.read_only_by(source, node):
        return False
    node.op, node.shapes, node.dtypes = made.op, made.shapes, made.dtypes
    node.attrs, node.inputs = made.attrs, [*made.inputs, flat(graph, term)]
    return True


def flat(graph: Graph, term: Tensor) -> Tensor:
    """A constant with one axis, computed only if it is not a vector yet."""
    while len(term.shape) > 1 and term.op in ("Reshape", "Squeeze", "ExpandDims"):
        term = term.node.inputs[0]
    if len(term.shape) == 1:
        return term
    leaf = Node(
        f"{term.node.name}:flat", "Const", [], {}, [(int(np.prod(term.shape)),)], ["float32"]
    )
    graph.values[leaf] = lambda: graph.constant(term).reshape(-1)
    return Tensor(leaf)


def _of_channels(made: Node, source: Tensor, term: Tensor) -> bool:
    rank = len(source.shape)
    first = str(made.attrs.get("data_format") or "NHWC").startswith("NC") and made.op != "MatMul"
    channel = 1 if first else rank - 1
    if len(term.shape) == 1:
        in_place = channel == rank - 1 or made.op != "MatMul"
        return in_place and term.shape[0] == source.shape[channel]
    shape = (1,) * (rank - len(term.shape)) + term.shape
    return all(
        size == (source.shape[channel] if axis == channel else 1) for axis, size in enumerate(shape)
    )
