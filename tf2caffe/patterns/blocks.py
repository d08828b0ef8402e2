"""depth_to_space and space_to_depth, written as a transpose between two reshapes."""

from __future__ import annotations

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern
from tfcaffe.layout import Shape

# N, H, W, i, j, C to N, H, i, W, j, C and back; from N, H, W, C, i, j as PyTorch has it, and back
_TENSORFLOW, _OUT, _IN = (0, 1, 3, 2, 4, 5), (0, 1, 4, 2, 5, 3), (0, 1, 3, 5, 2, 4)


@pattern("Reshape", order=-2)
def blocks(node: Node, graph: Graph) -> bool:
    """The rows and columns of square blocks come out of the channels, or go there."""
    moved = node.inputs[0]
    if moved.op != "Transpose" or not graph.read_only_by(moved, node):
        return False
    split = moved.node.inputs[0]
    if split.op != "Reshape" or len(split.shape) not in (5, 6):
        return False
    order = tuple(int(axis) for axis in graph.constant(moved.node.inputs[1]))
    first, inner, last = split.node.inputs[0].shape, [split.shape, moved.shape], Tensor(node).shape
    if len(order) == 5:  # of one channel
        order, inner = (*order, 5), [(*shape, 1) for shape in inner]
    if order in (_TENSORFLOW, _OUT) and _said(first, last, inner[0], order == _OUT):
        node.op = "DepthToSpace"
    elif order in (_TENSORFLOW, _IN) and _said(last, first, inner[1], order == _IN):
        node.op = "SpaceToDepth"
    else:
        return False
    size = max(first[1], last[1]) // min(first[1], last[1])
    node.inputs = [split.node.inputs[0]]
    node.attrs = {"block_size": size, "channels_first": order != _TENSORFLOW}
    return True


def _said(deep: Shape, wide: Shape, parts: Shape, channels_first: bool) -> bool:
    """Whether square blocks of one are the channels of the other, seen so in between."""
    if len(deep) != 4 or len(wide) != 4 or wide[1] <= deep[1]:
        return False
    (n, h, w, _), size, channels = deep, wide[1] // deep[1], wide[3]
    block = (channels, size, size) if channels_first else (size, size, channels)
    return wide == (n, h * size, w * size, channels) and parts == (n, h, w, *block)
