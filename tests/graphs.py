"""Graphs as files hold them: built with TensorFlow 1, converted, run on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.oracle.pycaffe import Caffe
from whole import Written, written


def tf1(build: Callable[[Any, Any], None]) -> tuple[Any, Any]:
    """A graph of TensorFlow 1, built in a block of its own; and TensorFlow 1."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.variable_scope("", use_resource=False):
        build(tf, v1)
    return graph, v1


@contextmanager
def control_flow(v1: Any, functions: bool) -> Iterator[None]:
    """Conditions and loops as functions (While), or as TF1's switches and frames."""
    before = v1.control_flow_v2_enabled()
    (v1.enable_control_flow_v2 if functions else v1.disable_control_flow_v2)()
    try:
        yield
    finally:
        (v1.enable_control_flow_v2 if before else v1.disable_control_flow_v2)()


def answer(graph: Any, v1: Any, feeds: dict[str, Any], name: str = "y") -> Any:
    """What TensorFlow computes; variables are initialised."""
    with v1.Session(graph=graph) as session:
        if graph.get_operations() and v1.global_variables():
            session.run(v1.global_variables_initializer())
        return session.run(f"{name}:0", feeds)


def frozen(graph: Any, folder: Path) -> Path:
    path = folder / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def run(net: Written, caffe: Caffe, images: Any) -> Any:
    """Caffe's answer."""
    name = net.network.layers[0].name
    return (
        caffe.run(net.prototxt, net.caffemodel, {name: images.transpose(0, 3, 1, 2)})
        .layers[-1]
        .arrays[0]
    )


def assert_close(found: Any, expected: Any) -> None:
    if expected.ndim == 4:
        expected = expected.transpose(0, 3, 1, 2)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def same(
    build: Callable[[Any, Any], None], folder: Path, caffe: Caffe, scale: float = 1.0
) -> Written:
    """Convert a graph from the input `x` to the output `y`; the numbers of both sides agree."""
    graph, v1 = tf1(build)
    x = graph.get_tensor_by_name("x:0")
    shape = [size or 1 for size in x.shape.as_list()]
    numbers = np.random.default_rng(4)
    if x.dtype.is_floating:
        images = (scale * numbers.standard_normal(shape)).astype(np.float32)
    else:
        images = numbers.integers(0, 5, shape).astype(x.dtype.as_numpy_dtype)
    net = written(frozen(graph, folder), folder)
    (twin,), (end,) = net.network.twin.inputs, net.network.twin.outputs
    fed = {twin.blob: twin.layout.pattern().to_caffe(images.astype(np.float32))}
    blobs = caffe.run(net.prototxt, net.caffemodel, fed).layers
    found = {t: a for la in blobs for t, a in zip(la.tops, la.arrays, strict=True)}[end.blob]
    expected = np.asarray(answer(graph, v1, {"x:0": images}), np.float32)
    laid = end.layout.pattern().to_caffe(expected).reshape(found.shape)
    assert np.ptp(laid) > 0 or expected.ndim == 0
    assert np.abs(found - laid).max() <= 1e-5 * np.abs(laid).max()
    return net
