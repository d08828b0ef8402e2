"""What goes into a convolution: paddings and cuts before it, a bias behind it.

Also dilation and strides that TensorFlow says by other ops around a plain convolution.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.net import windows
from tf2caffe.net.axes import ranked
from tf2caffe.net.cropping import is_cut_to_input
from tf2caffe.net.naming import caffe_layer
from tf2caffe.net.slices import cuts
from tf2caffe.patterns import pattern

FORWARD = ("Conv2D", "Conv3D", "DepthwiseConv2dNative")
BACKWARD = ("Conv2DBackpropInput", "Conv3DBackpropInputV2")

_CUT = 2  # rows; kernels that cut more are larger than what else cuts


def channel_axis(node: Node) -> int:
    """The dimension of a node's first output that holds the channels, by its `data_format`."""
    return len(node.shapes[0] or ()) - 1 if node.channels_last else 1


@pattern(*FORWARD)
def padding(node: Node, graph: Graph) -> bool:
    """A Pad with zeros of H and W, or a cut, before a convolution."""
    if node.attrs["padding"] == "SAME":
        if node.inputs[0].op not in ("Pad", "PadV2"):
            return False
        _say_pads(node)
    return take_pads(node, graph, 0.0)


def _say_pads(node: Node) -> None:
    """SAME in numbers."""
    *kernel, _, _ = node.inputs[1].shape
    rank, channel = len(kernel) + 2, channel_axis(node)
    inner = [d for d in range(1, rank) if d != channel]
    dilations = [int(d) for d in node.attrs.get("dilations") or [1] * rank]
    extents = [(k - 1) * dilations[d] + 1 for k, d in zip(kernel, inner, strict=True)]
    sizes, strides = (
        [int(numbers[d]) for d in inner]
        for numbers in (node.inputs[0].shape, node.attrs["strides"])
    )
    node.attrs["was_same"] = True
    pads = np.zeros((rank, 2), int)
    pads[inner] = windows.tf_pads("SAME", (), sizes, extents, strides)
    node.attrs["padding"] = "EXPLICIT"
    node.attrs["explicit_paddings"] = [int(n) for n in pads.reshape(-1)]


def take_pads(node: Node, graph: Graph, most: float) -> bool:
    """Let a node with windows pad or cut itself what an op before it does; tells if there is one.

    Args:
        most: the number that is padded with, or any below it.
    """
    expand, source = None, node.inputs[0].node
    if source.op == "ExpandDims" and graph.read_only_by(node.inputs[0], node):
        expand, source = source, source.inputs[0].node
    found = pads_of(source, graph, most)
    if found is None or found.min() < -_CUT:
        return False
    anchored = all(cut.anchored for cut in cuts(source, graph) or ())
    rank = len(node.shapes[0] or ())
    at = 0
    if expand is not None:
        at = int(graph.constant(expand.inputs[1])) % rank
        found = np.insert(found, at, 0, axis=0)
    own = np.asarray(node.attrs.get("explicit_paddings") or [0] * 2 * rank).reshape(rank, 2)
    if found[0].any() or found[channel_axis(node)].any() or ((found < 0) & (own > 0)).any():
        return False
    if not anchored:
        node.attrs["fixes"] = True
    x = source.inputs[0]
    node.inputs = [_opened(expand, x, at) if expand else x, *node.inputs[1:]]
    node.attrs["padding"] = "EXPLICIT"
    node.attrs["explicit_paddings"] = [int(n) for n in (own + found).reshape(-1)]
    return True


def pads_of(node: Node, graph: Graph, most: float) -> np.ndarray | None:
    """What a Pad adds to each dimension, or, below 0, what a StridedSlice cuts off."""
    if node.op in ("Pad", "PadV2"):
        number = graph.number(node.inputs[2]) if len(node.inputs) > 2 else 0.0
        wrong = number is None or (number > most if most < 0 else number != most)
        if wrong or not graph.is_constant(node.inputs[1]):
            return None
        return np.asarray(graph.constant(node.inputs[1])).astype(int)
    found = cuts(node, graph)
    if found is None or any(c.step != 1 or c.removed or c.new for c in found):
        return None
    return np.asarray([[-c.start, c.stop - c.size] for c in found])


_EACH_PLACE = frozenset(
    [
        *("BiasAdd", "AddV2", "Sub", "Mul", "RealDiv", "FusedBatchNormV3", "FusedBatchNorm"),
        *("Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus"),
    ]
)


@pattern("BatchToSpaceND", order=-3)
def behind_blocks(node: Node, graph: Graph) -> bool:
    """What is done to each place alike may as well be done behind BatchToSpaceND."""
    inner = node.inputs[0].node
    if inner.op not in _EACH_PLACE or not graph.read_only_by(node.inputs[0], node):
        return False
    x, *numbers = inner.inputs
    channels = x.shape[-1:]
    if not all(graph.is_constant(t) and t.shape in ((), channels) for t in numbers):
        return False
    if not inner.channels_last or inner.attrs.get("is_training") or x.shape != inner.shapes[0]:
        return False
    blocks = replace(node, name=f"{node.name}:blocks", inputs=[x, *node.inputs[1:]])
    graph.forget_readers()
    node.op, node.attrs, node.inputs = inner.op, inner.attrs, [Tensor(blocks), *numbers]
    node.origin = inner.origin
    node.shapes, node.dtypes = [node.shapes[0], *inner.shapes[1:]], inner.dtypes
    behind_blocks(blocks, graph)
    return True


@pattern("BatchToSpaceND", order=-2)
def dilation(node: Node, graph: Graph) -> bool:
    """SpaceToBatchND, a convolution, BatchToSpaceND: the convolution is dilated.

    With one spatial dimension an ExpandDims and a Squeeze stand around the convolution.
    """
    inner = [node.inputs[0]]
    if inner[0].op == "Squeeze":
        inner.append(inner[0].node.inputs[0])
    conv = inner[-1].node
    if conv.op not in FORWARD or conv.attrs["padding"] != "VALID" or channel_axis(conv) == 1:
        return False
    inner.append(conv.inputs[0])
    opened = inner[-1].node if len(inner) == 3 else None
    spread = opened.inputs[0].node if opened and opened.op == "ExpandDims" else inner[-1].node
    if spread.op != "SpaceToBatchND" or any(
        t in graph.outputs.values() or len(graph.readers()[t]) > 1 for t in inner
    ):
        return False
    x, *numbers = spread.inputs
    if not all(map(graph.is_constant, (*numbers, *node.inputs[1:]))):
        return False
    block, pads = (np.asarray(graph.constant(t)) for t in numbers)
    after, crops = (np.asarray(graph.constant(t)) for t in node.inputs[1:])
    rank = len(conv.shapes[0] or ())
    plain = [1] * rank
    if list(conv.attrs["strides"]) != plain or list(conv.attrs.get("dilations") or plain) != plain:
        return False
    if not np.array_equal(block.reshape(-1), after.reshape(-1)) or (pads < crops).any():
        return False
    dilations = [1, *(int(n) for n in block.reshape(-1))]
    around = [[0, 0], *(pads - crops).tolist()]
    if opened is not None:
        at = int(graph.constant(opened.inputs[1])) % rank
        dilations.insert(at, 1)
        around.insert(at, [0, 0])
    missing = rank - len(dilations)
    conv.attrs["dilations"] = dilations + [1] * missing
    conv.attrs["padding"] = "EXPLICIT"
    conv.attrs["explicit_paddings"] = [n for pair in around + [[0, 0]] * missing for n in pair]
    if opened is None:
        node.op, node.attrs, node.inputs = conv.op, conv.attrs, [x, *conv.inputs[1:]]
        return True
    wider = _opened(opened, x, at)
    shape = node.shapes[0] or ()
    made = replace(conv, inputs=[wider, *conv.inputs[1:]], shapes=[(*shape[:at], 1, *shape[at:])])
    node.op, node.attrs, node.inputs = "Squeeze", {"squeeze_dims": [at]}, [Tensor(made)]
    return True


def _opened(expand: Node, x: Tensor, at: int) -> Tensor:
    """What an ExpandDims makes of another tensor."""
    shape = (*x.shape[:at], 1, *x.shape[at:])
    return Tensor(replace(expand, inputs=[x, *expand.inputs[1:]], shapes=[shape]))


@pattern("StridedSlice")
def strides(node: Node, graph: Graph) -> bool:
    """Every n-th place of a convolution with stride 1: the convolution has the stride."""
    made = node.inputs[0].node
    if made.op not in FORWARD or made.attrs["padding"] not in ("VALID", "EXPLICIT"):
        return False
    found = cuts(node, graph)
    if found is None or not graph.read_only_by(node.inputs[0], node) or len(made.inputs) > 2:
        return False
    last = channel_axis(made)
    steps = [c.step for c in found]
    whole = all(c.start == 0 and not c.removed and not c.new for c in found)
    reach = all(c.stop > c.size - c.step for c in found)
    if not whole or not reach or max(steps) == 1 or min(steps) < 1 or steps[0] * steps[last] != 1:
        return False
    if set(made.attrs["strides"]) != {1}:
        return False
    node.op, node.attrs, node.inputs = made.op, made.attrs, made.inputs
    node.attrs["strides"] = steps
    if not all(c.anchored for c in found):
        node.attrs["fixes"] = True
    return True


@pattern("StridedSlice", order=2)
def cropping(node: Node, graph: Graph) -> bool:
    """A cut of H and W behind a transposed convolution."""
    made = node.inputs[0].node
    found = cuts(node, graph)
    if made.op not in BACKWARD or found is None or not graph.read_only_by(node.inputs[0], node):
        return False
    if any(c.step != 1 or c.removed or c.new for c in found):
        return False
    sides = [(c.start, c.size - c.stop) for c in found]
    channel = channel_axis(made)
    if any(sides[0]) or any(sides[channel]):
        return False
    apart = caffe_layer(node.origin) != caffe_layer(made.origin)
    uneven = any(before != behind for before, behind in sides)
    if apart and uneven and is_cut_to_input(node, channel, graph):  # Crop costs less
        return False
    old = made.attrs.get("crops") or [(0, 0)] * len(sides)
    node.op, node.attrs, node.inputs = made.op, made.attrs, made.inputs
    if not all(c.anchored for c in found):
        node.attrs["fixes"] = True
    node.attrs["crops"] = [(a + c, b + d) for (a, b), (c, d) in zip(old, sides, strict=True)]
    return True


@pattern("BiasAdd", "AddV2", order=1)
def bias(node: Node, graph: Graph) -> bool:
    """One number for each channel, added to what a convolution alone makes.

    Dimensions of size 1 may go away between them, and dimensions change places.
    """
    if graph.is_constant(node.inputs[0]):
        node.inputs.reverse()
    source, term = node.inputs
    if not graph.is_constant(term) or graph.is_constant(source):
        return False
    dimension = _dimension(node, source, term)
    if dimension is None:
        return False
    between: list[Node] = []
    reader = node
    while graph.read_only_by(source, reader) and source.op in ("Squeeze", "Transpose"):
        reader = source.node
        dimension = _before(reader, dimension, graph)
        between.append(reader)
        source = reader.inputs[0]
    made = source.node
    if made.op not in (*FORWARD, *BACKWARD) or not graph.read_only_by(source, reader):
        return False
    if len(made.inputs) > (3 if made.op in BACKWARD else 2) or dimension != channel_axis(made):
        return False
    found = replace(made, inputs=[*made.inputs, flat(graph, term)])
    for step in reversed(between):
        found = replace(step, inputs=[Tensor(found), *step.inputs[1:]])
    node.op, node.attrs, node.inputs = found.op, found.attrs, found.inputs
    return True


def _dimension(node: Node, source: Tensor, term: Tensor) -> int | None:
    """The dimension that the numbers which are added lie along."""
    rank = len(source.shape)
    if node.op == "BiasAdd":
        return rank - 1 if node.channels_last else 1
    shape = ranked(term.shape, rank)
    varied = [d for d, size in enumerate(shape) if size != 1]
    if not varied and source.shape[-1:] == (1,):
        varied = [rank - 1]
    if len(shape) > rank or len(varied) != 1 or shape[varied[0]] != source.shape[varied[0]]:
        return None
    return varied[0]


def _before(node: Node, dimension: int, graph: Graph) -> int:
    """Which dimension of its input a Squeeze or Transpose gives as this one."""
    if node.op == "Transpose":
        return int(graph.constant(node.inputs[1])[dimension])
    shape = node.inputs[0].shape
    gone = [int(d) % len(shape) for d in node.attrs.get("squeeze_dims") or ()]
    gone = gone or [d for d, size in enumerate(shape) if size == 1]
    return [d for d in range(len(shape)) if d not in gone][dimension]


def flat(graph: Graph, term: Tensor) -> Tensor:
    """A constant with one axis, computed only if it is not a vector yet."""
    while len(term.shape) > 1 and term.op in ("Reshape", "Squeeze", "ExpandDims"):
        term = term.node.inputs[0]
    if len(term.shape) == 1:
        return term
    name, size = f"{term.node.name}:flat", int(np.prod(term.shape))
    return graph.later(name, (size,), lambda: graph.constant(term).reshape(-1))
