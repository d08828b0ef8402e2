"""A learnt array as a tensor of its own, where no Keras layer applies it as Caffe does."""

from __future__ import annotations

import operator

import numpy as np

from caffe2tf.layers.training import training
from caffe2tf.site import Site, Tensor


def learnt(site: Site, role: str, x: Tensor) -> Tensor:
    """The blob of a role as TensorFlow lays it: the one row of an Embedding.

    Args:
        x: any tensor of the net; Keras makes nodes of nothing else.
    """
    shape = site.param(role).to_tf(np.broadcast_to(np.float32(0), site.shape(role))).shape
    values = site.weight(role)
    first = site.op(operator.getitem, x, (0,) * len(x.shape))
    row = site.constant(first, 0.0)
    y = site.learn(
        "Embedding",
        row,
        {"embeddings": None if values is None else values.reshape(1, -1)},
        last=False,
        roles=(role,),
        input_dim=1,
        output_dim=int(np.prod(shape)),
        **training(site, embeddings=role),
    )
    return site.op(site.ops.reshape, y, shape)
