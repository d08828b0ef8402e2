"""`--fold-bn`: factors and terms of channels go into the convolution or product beside them.

All is computed in float64 and rounded once, when the weights are written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tf2caffe.graph import Array, Graph, Node, Tensor
from tf2caffe.net.axes import ranked
from tf2caffe.patterns.affine import chained
from tf2caffe.patterns.convolution import BACKWARD, FORWARD, channel_axis
from tf2caffe.patterns.normalisation import FUSED

_READERS = (*FORWARD, "MatMul")


@dataclass(frozen=True)
class _Channels:
    """x · factor + term, one of each for every channel along a dimension of x.

    Args:
        dimension: None where they are the same everywhere.
        read: both, for a number of channels.
    """

    x: Tensor
    dimension: int | None
    read: Callable[[int], tuple[Array, Array]]


def fold(graph: Graph) -> None:
    """Fold what stands behind a convolution, deconvolution or product, or before one."""
    for node in list(graph.reached()):
        before = list(node.inputs)
        while _behind(node, graph) or _before(node, graph):
            graph.changed(node, before)
            before = list(node.inputs)


def _behind(node: Node, graph: Graph) -> bool:
    """y · factor + term of a y that nobody else reads; a reshape may stand between."""
    found = _channels(node, graph)
    if found is None or not graph.read_only_by(found.x, node):
        return False
    made, between = found.x.node, None
    dimension = found.dimension
    if made.op in ("Reshape", "Squeeze"):
        made, between = made.inputs[0].node, made
        last = len(found.x.shape) - 1
        if not graph.read_only_by(Tensor(made), between) or dimension not in (last, None):
            return False
        if made.shapes[0] is None or made.shapes[0][-1] != found.x.shape[-1]:
            return False
        dimension = len(made.shapes[0]) - 1
    place = 3 if made.op in BACKWARD else 2  # of the bias
    if made.op not in (*FORWARD, *BACKWARD, "MatMul") or dimension not in (_outputs(made), None):
        return False
    if not graph.is_constant(made.inputs[1]):
        return False
    size = Tensor(made).shape[_outputs(made)]
    kernel, bias = made.inputs[1], made.inputs[place] if len(made.inputs) > place else None
    depthwise, turned = made.op.startswith("Depthwise"), _turned(made)

    def read_kernel() -> Array:
        array: Array = graph.constant(kernel).astype(np.float64)
        factor, _ = found.read(size)
        if depthwise:
            factor = factor.reshape(array.shape[-2:])
        array *= factor[:, None] if turned else factor
        return array

    def read_bias() -> Array:
        factor, term = found.read(size)
        return term if bias is None else graph.constant(bias) * factor + term

    inputs = _inputs(node.name, made, made.inputs[:place], graph, read_kernel, read_bias)
    node.origin, node.shapes, node.dtypes = made.origin, node.shapes[:1], node.dtypes[:1]
    if between is None:
        node.op, node.attrs, node.inputs = made.op, made.attrs, inputs
    else:
        whole = Tensor(replace(made, inputs=inputs))
        node.op, node.attrs, node.inputs = between.op, between.attrs, [whole, *between.inputs[1:]]
    return True


def _before(node: Node, graph: Graph) -> bool:
    """x · factor + term as the input of a convolution without pads: its bias takes the terms."""
    if node.op not in _READERS or not graph.is_constant(node.inputs[1]) or _pads(node):
        return False
    found = _channels(node.inputs[0].node, graph)
    own = len(node.shapes[0] or ()) - 1 if node.op == "MatMul" else channel_axis(node)
    if found is None or not graph.read_only_by(node.inputs[0], node):
        return False
    if found.dimension not in (own, None):
        return False
    size = found.x.shape[own]
    kernel, bias = node.inputs[1], node.inputs[2] if len(node.inputs) > 2 else None
    depthwise, turned = node.op.startswith("Depthwise"), _turned(node)

    def parts() -> tuple[Array, Array]:
        """The new kernel, and what each output gains."""
        array: Array = graph.constant(kernel).astype(np.float64)
        factor, term = found.read(size)
        if turned:
            return array * factor, array @ term
        inputs, outputs = array.shape[-2:]
        groups = 1 if depthwise else factor.size // inputs
        split = array.reshape((-1, inputs, groups, outputs // groups))
        by_input, added = (a.reshape(groups, -1).T[None, :, :, None] for a in (factor, term))
        gained = (split * added).sum(axis=0 if depthwise else (0, 1)).reshape(-1)
        return (split * by_input).reshape(array.shape), gained

    def read_bias() -> Array:
        gained = parts()[1]
        return gained if bias is None else gained + graph.constant(bias)

    inputs = [found.x, kernel]
    node.inputs = _inputs(node.name, node, inputs, graph, lambda: parts()[0], read_bias)
    return True


def _inputs(
    name: str,
    made: Node,
    inputs: list[Tensor],
    graph: Graph,
    read_kernel: Callable[[], Array],
    read_bias: Callable[[], Array],
) -> list[Tensor]:
    """What `made` reads, with another kernel and bias."""
    size = Tensor(made).shape[_outputs(made)]
    x, kernel, *rest = inputs
    kernel = graph.later(f"{name}:kernel", kernel.shape, lambda: read_kernel().astype(np.float32))
    bias = graph.later(f"{name}:bias", (size,), lambda: read_bias().astype(np.float32))
    return [x, kernel, *rest, bias]


def _outputs(made: Node) -> int:
    """The dimension of its output that holds the channels."""
    return len(made.shapes[0] or ()) - 1 if made.op == "MatMul" else channel_axis(made)


def _turned(made: Node) -> bool:
    """Whether the kernel's outputs stand before its inputs."""
    return made.op in BACKWARD or (made.op == "MatMul" and bool(made.attrs.get("transpose_b")))


def _pads(node: Node) -> bool:
    if node.op == "MatMul":
        return bool(node.attrs.get("transpose_a"))
    padding = node.attrs["padding"]
    if padding == "EXPLICIT":
        return any(node.attrs["explicit_paddings"])
    return padding != "VALID" and prod(node.inputs[1].shape[:-2]) != 1


def _channels(node: Node, graph: Graph) -> _Channels | None:
    """What a node does to each channel, if that is all that it does."""
    if node.op in FUSED and not node.attrs.get("is_training"):
        return _normalisation(node, graph, channel_axis(node), (1, 2, 3, 4))
    if node.op == "batchNorm":
        places = (node.attrs["gamma"], node.attrs["beta"], 1, 2)
        return _normalisation(node, graph, node.attrs["axis"], places)
    return _affine(node) if node.op == "affine" else None


def _normalisation(
    node: Node, graph: Graph, dimension: int, places: tuple[int | None, int | None, int, int]
) -> _Channels:
    """Places of gamma, beta, mean and variance among the node's inputs."""
    eps = float(node.attrs["eps"] if node.op == "batchNorm" else node.attrs["epsilon"])
    tensors = [None if place is None else node.inputs[place] for place in places]

    def read(_: int) -> tuple[Array, Array]:
        gamma, beta, mean, variance = (
            None if t is None else graph.constant(t).astype(np.float64).reshape(-1) for t in tensors
        )
        assert mean is not None and variance is not None
        factor = (1 if gamma is None else gamma) / np.sqrt(variance + eps)
        return factor, (0 if beta is None else beta) - mean * factor

    return _Channels(node.inputs[0], dimension, read)


def _affine(node: Node) -> _Channels | None:
    """Where no constant varies along more than one dimension, or is larger than x."""
    x = node.inputs[0]
    rank = len(x.shape)
    if x.shape != node.shapes[0] or rank < 2:
        return None
    factor, term = chained(node)
    shapes = [ranked(a.shape, rank) for a in (factor, term)]
    varied = {d for shape in shapes for d, size in enumerate(shape) if size != 1}
    if len(varied) > 1:
        return None

    def read(size: int) -> tuple[Array, Array]:
        one, two = (np.broadcast_to(a.reshape(-1), (size,)) for a in (factor, term))
        return one, two

    return _Channels(x, varied.pop() if varied else None, read)
