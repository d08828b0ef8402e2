"""forked.prototxt as a TF2 user writes it: makes the object checkpoint forked.ckpt.

python forked.py            # writes forked.ckpt, and the image.npy and answer.npy of one run
python forked.py forked_back.ckpt  # do these variables give that answer, too?
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import tensorflow as tf


class Stage(tf.Module):
    """A convolution and a scaled tanh."""

    def __init__(self, rng: np.random.Generator, *shape: int) -> None:
        super().__init__()
        self.kernel = tf.Variable(rng.normal(0, 0.3, shape).astype(np.float32))
        self.bias = tf.Variable(rng.normal(size=shape[-1:]).astype(np.float32))
        self.scale = tf.Variable(rng.normal(size=shape[-1:]).astype(np.float32))

    def __call__(self, x: Any) -> Any:
        x = tf.nn.conv2d(x, self.kernel, strides=1, padding="VALID") + self.bias
        return self.scale * tf.tanh(x)


class Net(tf.Module):
    """Two stages and a matrix, which reads channels first."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.stages = [Stage(rng, 3, 3, 2, 4), Stage(rng, 3, 2, 4, 2)]
        self.matrix = tf.Variable(rng.normal(size=(2 * 4 * 3, 5)).astype(np.float32))
        self.offset = tf.Variable(rng.normal(size=5).astype(np.float32))

    def __call__(self, x: Any) -> Any:
        for stage in self.stages:
            x = stage(x)
        x = tf.transpose(x, (0, 3, 1, 2))
        return tf.reshape(x, (len(x), -1)) @ self.matrix + self.offset


def main() -> None:
    if len(sys.argv) == 1:
        images = np.random.default_rng(3).normal(size=(2, 8, 6, 2)).astype(np.float32)
        net = Net(seed=4)
        tf.train.Checkpoint(net=net).write("forked.ckpt")
        np.save("image.npy", images)
        np.save("answer.npy", net(images))
        return
    net = Net(seed=5)
    tf.train.Checkpoint(net=net).read(sys.argv[1]).assert_consumed()
    same = np.array_equal(net(np.load("image.npy")), np.load("answer.npy"))
    print("the same answers" if same else "other answers")


if __name__ == "__main__":
    main()
