"""Local response normalisation that is written out: x · (offset + scale · squares) ^ -beta."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.net.slices import cuts
from tf2caffe.patterns import pattern
from tf2caffe.patterns.convolution import pads_of


@pattern("Mul", order=-3)
def lrn(node: Node, graph: Graph) -> bool:
    """With the sum of squares of neighbouring channels, or their mean in a window of H and W."""
    for x, power in (node.inputs, node.inputs[::-1]):
        if power.op == "Pow" and (found := _base(power, graph)):
            total, scale, offset, beta = found
            if _across(node, graph, x, total, scale, offset, beta):
                return True
            return _within(node, graph, x, total, scale, offset, beta)
    return False


def _base(power: Tensor, graph: Graph) -> tuple[Tensor, float, float, float] | None:
    """What is scaled, its scale and offset, and -1 times the exponent."""
    base, exponent = power.node.inputs
    beta = graph.number(exponent)
    product, offset = _constant(base, graph, "AddV2")
    if beta is None or product is None or offset is None:
        return None
    total, scale = _constant(product, graph, "Mul")
    return None if total is None or scale is None else (total, scale, offset, -beta)


def _constant(tensor: Tensor, graph: Graph, op: str) -> tuple[Tensor | None, float | None]:
    """What a number is added to, or multiplied by, and the number."""
    if tensor.op != op:
        return None, None
    x, number = tensor.node.inputs
    if graph.is_constant(x):
        x, number = number, x
    return (None, None) if graph.is_constant(x) else (x, graph.number(number))


def _is_square(tensor: Tensor, x: Tensor) -> bool:
    return (tensor.op == "Mul" and tensor.node.inputs == [x, x]) or (
        tensor.op == "Square" and tensor.node.inputs == [x]
    )


def _across(
    node: Node,
    graph: Graph,
    x: Tensor,
    total: Tensor,
    scale: float,
    offset: float,
    beta: float,
) -> bool:
    """All slices of as many channels as x has, out of the squares with zeros on both sides."""
    size = 1
    if not _is_square(total, x):
        size = _neighbours(total, x, graph)
    if size == 0 or len(x.shape) not in (3, 4, 5):
        return False
    node.op, node.inputs = "LRN", [x]
    node.attrs = {"depth_radius": (size - 1) // 2, "alpha": scale, "beta": beta, "bias": offset}
    return True


def _neighbours(total: Tensor, x: Tensor, graph: Graph) -> int:
    """Of how many channels side by side it sums up the squares; 0 if that is not what it is."""
    channels = x.shape[-1]
    starts, padded = [], set()
    for part in _terms(total):
        found = cuts(part.node, graph)
        if found is None or any(c.removed or c.new or c.step != 1 for c in found):
            return 0
        if not all(c.whole for c in found[:-1]) or found[-1].stop - found[-1].start != channels:
            return 0
        starts.append(found[-1].start)
        padded.add(part.node.inputs[0])
    size = len(starts)
    if len(padded) != 1 or sorted(starts) != list(range(size)) or size % 2 == 0:
        return 0
    (pad,) = padded
    pads = pads_of(pad.node, graph, 0.0)
    if pads is None or pads[:-1].any() or (pads[-1] != (size - 1) // 2).any():
        return 0
    return size if _is_square(pad.node.inputs[0], x) else 0


def _within(
    node: Node,
    graph: Graph,
    x: Tensor,
    total: Tensor,
    scale: float,
    offset: float,
    beta: float,
) -> bool:
    """An average pooling of the squares with zeros around them."""
    if total.op != "AvgPool" or offset != 1 or len(x.shape) != 4:
        return False
    attrs = total.node.attrs
    sizes = [int(n) for n in attrs["ksize"]]
    squares = total.node.inputs[0]
    pads = np.zeros((4, 2), int)
    if attrs["padding"] == "VALID":
        found = pads_of(squares.node, graph, 0.0)
        if found is not None:
            pads, squares = found, squares.node.inputs[0]
    elif attrs["padding"] != "SAME" or max(sizes) > 1:
        return False
    last = total.node.channels_last
    spatial = sizes[1:3] if last else sizes[2:]
    size = spatial[0]
    usual = np.zeros((4, 2), int)
    usual[slice(1, 3) if last else slice(2, 4)] = (size - 1) // 2
    if set(spatial) != {size} or size % 2 == 0 or set(map(int, attrs["strides"])) != {1}:
        return False
    if not np.array_equal(pads, usual) or not _is_square(squares, x):
        return False
    node.op, node.inputs = "lrnWithin", [x]
    node.attrs = {
        "size": size,
        "alpha": scale,
        "beta": beta,
        "data_format": attrs.get("data_format") or "NHWC",
    }
    return True


def _terms(total: Tensor) -> Iterator[Tensor]:
    """What is summed up."""
    if total.op in ("AddV2", "AddN"):
        for tensor in total.node.inputs:
            yield from _terms(tensor)
    else:
        yield total
