"""SavedModels of TensorFlow 2: branches, loops and state within functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfcaffe.errors import ConversionError
from tfcaffe.oracle.pycaffe import Caffe
from whole import written

SHAPE = (2, 7, 6, 4)
RNG = np.random.default_rng(3)
KERNEL = RNG.standard_normal((3, 3, 4, 4)).astype(np.float32)
IMAGES = RNG.standard_normal(SHAPE).astype(np.float32)


def saved(folder: Path, function: Callable[[Any, Any, Any], Any]) -> Path:
    """A module with variables `kernel`, `flag` (false) and `count` (3), and one function."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(KERNEL)
            self.flag = tf.Variable(False, trainable=False)
            self.count = tf.Variable(3, trainable=False)

        def conv(self, x: Any) -> Any:
            return tf.nn.conv2d(x, self.kernel, 1, "SAME")

        @tf.function(input_signature=[tf.TensorSpec(SHAPE, tf.float32, name="x")])
        def serve(self, x: Any) -> Any:
            return {"y": function(tf, self, x)}

    module = Module()
    tf.saved_model.save(module, str(folder), {"serving_default": module.serve})
    return folder


DECIDED: dict[str, tuple[Callable[[Any, Any, Any], Any], list[str]]] = {
    "by a variable": (
        lambda tf, m, x: tf.cond(m.flag, lambda: tf.tanh(x), lambda: m.conv(x)),
        ["Convolution"],
    ),
    "by a size": (
        lambda tf, m, x: tf.cond(tf.shape(x)[1] < 9, lambda: m.conv(x), lambda: tf.tanh(x)),
        ["Convolution"],
    ),
    "within another": (
        lambda tf, m, x: tf.cond(
            tf.equal(tf.shape(x)[0], 2),
            lambda: tf.cond(tf.shape(x)[2] > 6, lambda: x, lambda: tf.sigmoid(m.conv(x))),
            lambda: x,
        ),
        ["Convolution", "Sigmoid"],
    ),
    "of several": (
        lambda tf, m, x: tf.switch_case(tf.rank(x) - 2, [lambda: x, lambda: x, lambda: tf.abs(x)]),
        ["AbsVal"],
    ),
    "beyond the last": (
        lambda tf, m, x: tf.switch_case(tf.rank(x), [lambda: x, lambda: tf.abs(x)]),
        ["AbsVal"],
    ),
}


@pytest.mark.parametrize("name", DECIDED)
def test_a_branch_that_is_known(name: str, tmp_path: Path, caffe: Caffe) -> None:
    import tensorflow as tf

    function, layers = DECIDED[name]
    folder = saved(tmp_path / "saved", function)
    net = written(folder, tmp_path)
    assert net.types == ["Input", *layers]
    expected = tf.saved_model.load(str(folder)).signatures["serving_default"](x=IMAGES)["y"].numpy()
    fed = {"x": IMAGES.transpose(0, 3, 1, 2)}
    found = caffe.run(net.prototxt, net.caffemodel, fed).layers[-1].arrays[0]
    expected = expected.transpose(0, 3, 1, 2)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def looped(tf: Any, m: Any, x: Any) -> Any:
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: (m.conv(y),), (x,))[0]


REFUSED: dict[str, tuple[Callable[[Any, Any, Any], Any], str]] = {
    "branch": (
        lambda tf, m, x: tf.cond(tf.reduce_sum(x) > 0, lambda: m.conv(x), lambda: x) * 2.0,
        r"^node '\S+cond' \(If\): a branch that depends on the net's inputs",
    ),
    "loop": (looped, r"^node '\S+while' \(While\): a loop, .* the Keras model"),
    "state": (
        lambda tf, m, x: x + tf.cast(m.count.assign_add(1), tf.float32),
        r"\(AssignedVariable\): a variable that the network changes while it runs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    function, message = REFUSED[name]
    with pytest.raises(ConversionError, match=message):
        written(saved(tmp_path / "saved", function), tmp_path)


def test_state_that_no_output_needs(tmp_path: Path) -> None:
    def counted(tf: Any, m: Any, x: Any) -> Any:
        m.count.assign_add(1)
        return tf.abs(x)

    net = written(saved(tmp_path / "saved", counted), tmp_path)
    assert net.types == ["Input", "AbsVal"]
