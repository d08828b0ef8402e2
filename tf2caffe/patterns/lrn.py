"""Local response normalisation that is written out: x · (offset + scale · squares) ^ -beta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.net.slices import cuts
from tf2caffe.patterns import pattern
from tf2caffe.patterns.convolution import pads_of


@pattern("Mul", order=-3)
def lrn(node: Node, graph: Graph) -> bool:
    """With the sum of squares of neighbouring channels, or their mean in a window of H and W."""
    for x, power in (node.inputs, node.inputs[::-1]):
        alike = x.shape == Tensor(node).shape and len(x.shape) in (3, 4, 5)
        if alike and power.op == "Pow" and (found := _formula(x, power, graph)):
            return _across(node, graph, found) or _within(node, graph, found)
    return False


@dataclass(frozen=True)
class _Formula:
    """x · (offset + scale · total) ^ -beta."""

    x: Tensor
    total: Tensor
    scale: float
    offset: float
    beta: float


def _formula(x: Tensor, power: Tensor, graph: Graph) -> _Formula | None:
    base, exponent = power.node.inputs
    beta = graph.number(exponent)
    product, offset = _constant(base, graph, "AddV2")
    if beta is None or product is None or offset is None:
        return None
    total, scale = _constant(product, graph, "Mul")
    if total is None or scale is None:
        return None
    return _Formula(x, total, scale, offset, -beta)


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


def _across(node: Node, graph: Graph, found: _Formula) -> bool:
    """All slices of as many channels as x has, out of the squares with zeros on both sides."""
    x = found.x
    size = 1 if _is_square(found.total, x) else _neighbours(found.total, x, graph)
    if size == 0:
        return False
    node.op, node.inputs = "LRN", [x]
    node.attrs = {
        "depth_radius": (size - 1) // 2,
        "alpha": found.scale,
        "beta": found.beta,
        "bias": found.offset,
    }
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


def _within(node: Node, graph: Graph, found: _Formula) -> bool:
    """An average pooling of the squares with zeros around them."""
    x, total = found.x, found.total
    if total.op != "AvgPool" or found.offset != 1 or len(x.shape) != 4:
        return False
    attrs = total.node.attrs
    sizes = [int(n) for n in attrs["ksize"]]
    squares = total.node.inputs[0]
    pads = np.zeros((4, 2), int)
    if attrs["padding"] == "VALID":
        padded = pads_of(squares.node, graph, 0.0)
        if padded is not None:
            pads, squares = padded, squares.node.inputs[0]
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
        "alpha": found.scale,
        "beta": found.beta,
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
