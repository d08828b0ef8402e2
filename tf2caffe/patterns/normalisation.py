"""Normalisation by fused kernels that normalise something else than the batch."""

from __future__ import annotations

import numpy as np

from tf2caffe.graph import Graph, Node
from tf2caffe.patterns import pattern

FUSED = ("FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm")


@pattern(*FUSED)
def rows(node: Node, graph: Graph) -> bool:
    """Keras 2's LayerNormalization: rows as channels of one image, in training mode.

    Source: tf_keras layer_normalization.py, _call with _fused_can_be_used: gamma 1, beta 0,
    data_format NCHW, shape [1, rows, columns, 1].
    """
    x, gamma, beta = node.inputs[:3]
    ours = (
        node.attrs.get("is_training")
        and x.op == "Reshape"
        and len(x.shape) == 4
        and x.shape[0] == 1 == x.shape[3]
        and str(node.attrs["data_format"]) == "NCHW"
    )
    if not ours or graph.number(gamma) != 1 or graph.number(beta) != 0:
        return False
    eps = float(node.attrs["epsilon"])
    node.op, node.inputs = "standardise", [x]
    node.shapes, node.dtypes = node.shapes[:1], node.dtypes[:1]
    node.attrs = {"over": [2], "eps": eps, "gamma": None, "beta": None}
    return True


@pattern("Minimum")
def bounded_inverse(node: Node, graph: Graph) -> bool:
    """min(rsqrt(s), c) is rsqrt(max(s, c⁻²)), which loses no digits: Keras's UnitNormalization."""
    for inverse, bound in (node.inputs, node.inputs[::-1]):
        number = graph.number(bound)
        if inverse.op == "Rsqrt" and number is not None and number > 0:
            total = inverse.node.inputs[0]
            least = graph.leaf(f"{node.name}:least", np.full(bound.shape, number**-2.0, np.float32))
            held = Node(
                f"{node.name}:held",
                "Maximum",
                [total, least],
                {},
                list(node.shapes),
                list(node.dtypes),
                node.origin,
            )
            node.op, node.inputs = "Rsqrt", [type(total)(held)]
            return True
    return False
