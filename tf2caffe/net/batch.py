"""Layers that join what lies in the batch, of which Caffe may be given any number."""

from __future__ import annotations

from collections.abc import Sequence

from tf2caffe.graph import Graph, Tensor
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value

_NUMBERS_ALONE = frozenset(
    [
        *("AddV2", "Sub", "Mul", "RealDiv", "Neg", "affine", "Maximum", "Minimum", "Abs", "Square"),
        *("Sqrt", "Rsqrt", "Pow", "Exp", "Log", "Relu", "Relu6", "LeakyRelu", "pRelu", "Elu"),
        *("Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"),
    ]
)


def joined(
    site: Site, x: Value, over: Sequence[int], how: str = "joins what is in the batch"
) -> None:
    """Say that a net holds for this batch alone, where these dimensions of a value are joined.

    Raises:
        UnsupportedError: nobody said the batch.
    """
    if not x.shape or not any(0 in x.layout.dims[d] for d in over):
        return
    size = x.shape[0]
    if site.graph.free and size == 1:
        name = next(iter(site.graph.free))
        raise site.refusal(
            f"{how}, whose size is free: the net would hold for one image at a time. If that is "
            f"meant, say it with --input-shape {name}=1,...; else export the network for "
            "inference, or cut it before this node with --outputs"
        )
    site.builder.notes.append(f"{site.node}: {how}: the net holds for a batch of {size} alone")


def of_steps(tensor: Tensor, dimension: int, graph: Graph) -> bool:
    """Whether a dimension was made by stacking, as the steps of a loop are: not the batch."""
    stack, seen = [(tensor, dimension)], set()
    while stack:
        here = stack.pop()
        if here in seen:
            continue
        seen.add(here)
        top, d = here
        node = top.node
        if node.op in ("lstmSteps", "Pack"):
            if int(node.attrs["axis"]) % len(top.shape) == d:
                return True
        elif node.op == "Transpose" and graph.is_constant(node.inputs[1]):
            stack.append((node.inputs[0], int(graph.constant(node.inputs[1])[d])))
        elif node.op in _NUMBERS_ALONE:
            stack += [(t, d) for t in node.inputs if t.shape == top.shape]
    return False
