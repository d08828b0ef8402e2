"""Ops that TensorFlow's optimisers made of several, taken apart; and a normalisation of old graphs.

Sources: remapper.cc (`_Fused…`), nn_ops.cc.
"""

from __future__ import annotations

from typing import Any

from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.patterns import pattern

_FUSED = {
    "_FusedConv2D": "Conv2D",
    "_FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedMatMul": "MatMul",
}
_READS = {"BiasAdd": 1, "FusedBatchNorm": 4}  # how many of the further inputs
_ALONE = frozenset(["Relu", "Relu6", "Elu", "LeakyRelu", "Sigmoid", "Tanh"])


@pattern(*_FUSED, order=-10)
def fused(node: Node, graph: Graph) -> bool:
    """A convolution or product with what stands behind it."""
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in node.attrs["fused_ops"]]
    if not all(name in _ALONE or name in _READS for name in names):
        return False
    last = Tensor(_node(node, _FUSED[node.op], node.inputs[:2], node.attrs))
    further = node.inputs[2:]
    lies = {"data_format": node.attrs.get("data_format") or "NHWC"}
    for name in names:
        count = _READS.get(name, 0)
        read, further = further[:count], further[count:]
        attrs: dict[str, Any] = dict(lies)
        if name == "FusedBatchNorm":
            attrs |= {"epsilon": node.attrs["epsilon"], "is_training": False}
        if name == "LeakyRelu":
            attrs["alpha"] = node.attrs["leakyrelu_alpha"]
        last = Tensor(_node(node, name, [last, *read], attrs))
    _become(node, last, graph)
    return True


@pattern("_FusedBatchNormEx", order=-10)
def normalised(node: Node, graph: Graph) -> bool:
    """With a ReLU, and perhaps a sum before that."""
    kind, sides = str(node.attrs["activation_mode"]), node.inputs[5:]
    if kind not in ("Identity", "Relu") or len(sides) > 1:
        return False
    last = Tensor(_node(node, "FusedBatchNormV3", node.inputs[:5], node.attrs))
    if sides:
        last = Tensor(_node(node, "AddV2", [last, *sides], {}))
    if kind == "Relu":
        last = Tensor(_node(node, "Relu", [last], {}))
    _become(node, last, graph)
    return True


@pattern("BatchNormWithGlobalNormalization", order=-10)
def of_old_graphs(node: Node, graph: Graph) -> bool:
    """x, mean, variance, beta, gamma: of graphs of 2015."""
    x, mean, variance, beta, gamma = node.inputs
    scaled = bool(node.attrs["scale_after_normalization"])
    eps = float(node.attrs["variance_epsilon"])
    node.op = "batchNorm"
    node.inputs = [x, mean, variance, beta, *([gamma] if scaled else [])]
    node.attrs = {"eps": eps, "axis": len(x.shape) - 1, "gamma": 4 if scaled else None, "beta": 3}
    return True


def _node(like: Node, op: str, inputs: list[Tensor], attrs: Any) -> Node:
    shapes, dtypes = like.shapes[:1], like.dtypes[:1]
    return Node(f"{like.name}:{op}", op, inputs, attrs, shapes, dtypes, like.origin)


def _become(node: Node, made: Tensor, graph: Graph) -> None:
    """The node is the last of the ops that were made of it."""
    last = made.node
    node.op, node.inputs, node.attrs = last.op, last.inputs, last.attrs
    node.shapes, node.dtypes = node.shapes[:1], node.dtypes[:1]
    graph.forget_readers()
