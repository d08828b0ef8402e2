"""blocks.prototxt as a TF1 graph: makes blocks.ckpt, as training leaves it.

python blocks.py            # writes blocks.ckpt, and the image.npy and answer.npy of one run
python blocks.py back.ckpt  # do these variables give that answer, too?
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import tensorflow as tf

v1: Any = tf.compat.v1
EPSILON = 1e-3


def variable(name: str, *shape: int) -> Any:
    start = 1.0 if name in ("gamma", "moving_variance") else 0.0
    kind = v1.random_uniform_initializer(start - 0.4, start + 0.4, seed=1 + sum(shape))
    return v1.get_variable(name, shape, initializer=kind)


def norm(x: Any) -> Any:
    with v1.variable_scope("norm"):
        mean, variance = variable("moving_mean", 8), variable("moving_variance", 8)
        beta, gamma = variable("beta", 8), variable("gamma", 8)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, EPSILON)


def conv(x: Any, name: str, inputs: int, outputs: int, **how: Any) -> Any:
    return tf.nn.conv2d(x, variable(name, 3, 3, inputs, outputs), **how)


def net(x: Any) -> Any:
    with v1.variable_scope("net/stem"):
        x = conv(x, "weights", 3, 8, strides=2, padding="VALID") + variable("biases", 8)
        x = tf.nn.relu(norm(x))
    for unit in (1, 2):
        with v1.variable_scope(f"net/unit_{unit}"):
            halves = enumerate(tf.split(x, 2, axis=3), 1)  # groups, as TF1 code wrote them
            how = {"strides": 1, "padding": "SAME"}
            y = tf.concat([conv(half, f"weights_{i}", 4, 4, **how) for i, half in halves], axis=3)
            x = tf.nn.relu(x + norm(y))
    with v1.variable_scope("net/logits"):
        x = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
        x = tf.nn.conv2d(x, variable("weights", 1, 1, 8, 5), strides=1, padding="VALID")
        return x + variable("biases", 5)


def main() -> None:
    v1.disable_eager_execution()
    image = v1.placeholder(tf.float32, (None, 15, 12, 3), "image")  # RGB, channels last
    answer = net(image)
    step = v1.train.get_or_create_global_step()
    train = v1.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(answer**2), step)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        if len(sys.argv) == 1:
            images = np.random.default_rng(2).normal(size=(2, 15, 12, 3)).astype(np.float32)
            session.run(train, {image: images})
            v1.train.Saver().save(session, "./blocks.ckpt", write_meta_graph=False)
            np.save("image.npy", images)
            np.save("answer.npy", session.run(answer, {image: images}))
            return
        v1.train.Saver().restore(session, sys.argv[1])
        found = session.run(answer, {image: np.load("image.npy")})
        same = np.allclose(found, np.load("answer.npy"), rtol=1e-5, atol=1e-5)
        print("the same answers" if same else "other answers")


if __name__ == "__main__":
    main()
