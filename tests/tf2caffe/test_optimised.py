"""Graphs that TensorFlow's optimisers left, and old ones, beside the same nets as plain ops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import frozen, same, tf1
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import Written, written

RNG = np.random.default_rng(9)
KERNEL = RNG.standard_normal((3, 3, 3, 4)).astype(np.float32)
DEPTHWISE = RNG.standard_normal((3, 3, 3, 1)).astype(np.float32)
MATRIX = RNG.standard_normal((126, 4)).astype(np.float32)
ROWS = RNG.standard_normal((4, 4)).astype(np.float32)
VARIANCE = (np.abs(RNG.standard_normal(4)) + 0.5).astype(np.float32)
SHAPE = (2, 7, 6, 3)


def conv_bias_leaky(tf: Any, v1: Any, x: Any) -> None:
    y = tf.nn.bias_add(tf.nn.conv2d(x, KERNEL, 2, "SAME", name="c"), ROWS[0], name="b")
    tf.nn.leaky_relu(y, 0.3, name="y")


def conv_norm(tf: Any, v1: Any, x: Any) -> None:
    y = tf.nn.conv2d(x, KERNEL, 1, "VALID", name="c")
    y = v1.nn.fused_batch_norm(
        y, ROWS[0], ROWS[1], ROWS[2], VARIANCE, epsilon=0.1, is_training=False, name="b"
    )[0]
    tf.nn.relu(y, name="y")


def depthwise(tf: Any, v1: Any, x: Any) -> None:
    y = tf.nn.depthwise_conv2d(x, DEPTHWISE, [1, 1, 1, 1], "SAME", name="c")
    y = tf.nn.bias_add(y, ROWS[0][:3], name="b")
    tf.nn.relu6(y, name="y")


def dense(tf: Any, v1: Any, x: Any) -> None:
    y = tf.matmul(tf.reshape(x, [2, 126]), MATRIX, name="c")
    tf.tanh(tf.nn.bias_add(y, ROWS[0], name="b"), name="y")


Merge = Callable[[dict[str, Any], Any], None]


def _fused(op: str, *names: str, args: int, **attrs: float) -> Merge:
    """The nodes `c`, `b` and `y` as one."""

    def merge(nodes: dict[str, Any], definition: Any) -> None:
        first, second, last = (nodes[name] for name in "cby")
        last.op = op
        inputs = [*first.input, *list(second.input)[1 : 1 + args]]
        for name in list(last.attr):
            del last.attr[name]
        for name, value in first.attr.items():
            last.attr[name].CopyFrom(value)
        del last.input[:]
        last.input.extend(inputs)
        last.attr["fused_ops"].list.s.extend(name.encode() for name in names)
        last.attr["num_args"].i = args
        if "Conv2D" in op and "Depth" not in op:
            last.attr["TArgs"].list.type.extend([1] * args)
        for name, number in attrs.items():
            last.attr[name].f = number
        for node in (first, second):
            definition.node.remove(node)

    return merge


def _normalised(nodes: dict[str, Any], definition: Any) -> None:
    last = nodes["y"]
    last.op = "_FusedBatchNormEx"
    inputs = list(nodes["b"].input)
    last.attr.clear()
    last.attr["T"].type = last.attr["U"].type = 1
    last.attr["epsilon"].f, last.attr["is_training"].b = 0.1, False
    last.attr["num_side_inputs"].i, last.attr["activation_mode"].s = 1, b"Relu"
    del last.input[:]
    last.input.extend([*inputs, inputs[0]])
    definition.node.remove(nodes["b"])


def _of_2015(nodes: dict[str, Any], definition: Any) -> None:
    node = nodes["b"]
    x, gamma, beta, mean, variance = node.input
    node.op = "BatchNormWithGlobalNormalization"
    node.attr.clear()
    node.attr["T"].type = 1
    node.attr["variance_epsilon"].f, node.attr["scale_after_normalization"].b = 0.1, True
    del node.input[:]
    node.input.extend([x, mean, variance, beta, gamma])
    definition.versions.producer = 8


MERGED: dict[str, tuple[Callable[..., None], Merge]] = {
    "bias, leaky": (
        conv_bias_leaky,
        _fused("_FusedConv2D", "BiasAdd", "LeakyRelu", args=1, leakyrelu_alpha=0.3),
    ),
    "normalisation": (
        conv_norm,
        _fused("_FusedConv2D", "FusedBatchNorm", "Relu", args=4, epsilon=0.1),
    ),
    "depthwise": (
        depthwise,
        _fused("_FusedDepthwiseConv2dNative", "BiasAdd", "Relu6", args=1),
    ),
    "dense": (dense, _fused("_FusedMatMul", "BiasAdd", "Tanh", args=1)),
    "old normalisation": (conv_norm, _of_2015),
}


def merged(build: Callable[..., None], merge: Merge, folder: Path) -> Written:
    graph, _ = tf1(fed(build))
    definition = graph.as_graph_def()
    merge({node.name: node for node in definition.node}, definition)
    path = folder / "merged.pb"
    path.write_bytes(definition.SerializeToString())
    return written(path, folder)


def fed(build: Callable[..., None]) -> Callable[[Any, Any], None]:
    return lambda tf, v1: build(tf, v1, v1.placeholder(tf.float32, SHAPE, "x"))


def answer_of(net: Written, caffe: Caffe) -> Any:
    images = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    name = net.network.layers[0].name
    fed = {name: images.transpose(0, 3, 1, 2)}
    return caffe.run(net.prototxt, net.caffemodel, fed).layers[-1].arrays[0]


@pytest.mark.parametrize("name", MERGED)
def test_merged(name: str, tmp_path: Path, caffe: Caffe) -> None:
    build, merge = MERGED[name]
    plain = same(fed(build), tmp_path, caffe)
    types, expected = plain.types, answer_of(plain, caffe)
    net = merged(build, merge, tmp_path)
    assert net.types == types
    found = answer_of(net, caffe)
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


def test_a_sum_within_a_normalisation(tmp_path: Path, caffe: Caffe) -> None:
    def plain(tf: Any, v1: Any, x: Any) -> None:
        c = tf.nn.conv2d(x, KERNEL, 1, "VALID", name="c")
        y = v1.nn.fused_batch_norm(
            c, ROWS[0], ROWS[1], ROWS[2], VARIANCE, epsilon=0.1, is_training=False, name="b"
        )[0]
        tf.nn.relu(y + c, name="y")

    expected = answer_of(same(fed(plain), tmp_path, caffe), caffe)
    net = merged(conv_norm, _normalised, tmp_path)
    assert net.types == ["Input", "Convolution", "BatchNorm", "Scale", "Eltwise", "ReLU"]
    found = answer_of(net, caffe)
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


def test_what_passes_on(tmp_path: Path, caffe: Caffe) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SHAPE, "x")
        kernel = tf.raw_ops.GuaranteeConst(input=tf.constant(KERNEL))
        tf.nn.conv2d(tf.raw_ops.DeepCopy(x=x), kernel, 1, "SAME", name="y")

    assert same(build, tmp_path, caffe).types == ["Input", "Convolution"]


def test_an_op_of_somebody_else(tmp_path: Path) -> None:
    def rename(nodes: dict[str, Any], definition: Any) -> None:
        nodes["b"].op = "RoiAlignOfMine"

    with pytest.raises(UnsupportedError, match=r"node 'b' \(RoiAlignOfMine\): .* no such op; cut"):
        merged(conv_norm, rename, tmp_path)


def test_single_numbers_are_inputs(tmp_path: Path, caffe: Caffe) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SHAPE, "x")
        factor = v1.placeholder(tf.float32, (), "factor")
        tf.multiply(tf.abs(x), factor, name="y")

    graph, _ = tf1(build)
    net = written(frozen(graph, tmp_path), tmp_path)
    images = RNG.standard_normal((2, 3, 7, 6)).astype(np.float32)
    feeds = {"x": images, "factor": np.full(1, -1.5, np.float32)}
    found = caffe.run(net.prototxt, net.caffemodel, feeds).layers[-1].arrays[0]
    assert np.allclose(found, -1.5 * np.abs(images), rtol=1e-6)


def test_sizes_that_are_fed(tmp_path: Path) -> None:
    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, (None, 7, 6, 3), "x")
        batch = v1.placeholder(tf.int32, (), "batch")
        tf.reshape(x, tf.stack([batch, 126]), name="y")

    graph, _ = tf1(build)
    with pytest.raises(UnsupportedError, match="make a constant of the placeholder"):
        written(frozen(graph, tmp_path), tmp_path)


def test_a_share_that_dropout_keeps(tmp_path: Path) -> None:
    """Of later TensorFlow 1: the rate is 1 - keep_prob."""

    def build(tf: Any, v1: Any) -> None:
        x = v1.placeholder(tf.float32, SHAPE, "x")
        share = v1.placeholder(tf.float32, (), "keep_prob")
        tf.abs(v1.nn.dropout(tf.square(x), keep_prob=share), name="y")

    graph, _ = tf1(build)
    net = written(frozen(graph, tmp_path), tmp_path)
    assert net.types == ["Input", "Eltwise", "AbsVal"]
