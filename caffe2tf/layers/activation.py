"""Activations as Keras layers or `keras.ops`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from caffe2tf.layers.training import training
from caffe2tf.site import Site, Tensor, builds


@builds("ReLU")
def relu(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    slope = site.options.negative_slope
    if slope < 0:  # Keras's layer refuses it
        return site.op(site.ops.leaky_relu, bottoms[0], negative_slope=slope)
    return site.add("ReLU", bottoms[0], negative_slope=slope)


@builds("PReLU")
def prelu(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    x = bottoms[0]
    dims = range(1, len(x.shape))
    channel = None if site.options.channel_shared else site.bottom.dim(1)
    return site.learn(
        "PReLU",
        x,
        {"alpha": site.weight("slope")},
        shared_axes=[d for d in dims if d != channel],
        **training(site, alpha="slope"),
    )


@builds("ELU")
def elu(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    return site.add("ELU", bottoms[0], alpha=site.options.alpha)


@builds("Sigmoid")
def sigmoid(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    return site.add("Activation", bottoms[0], activation="sigmoid")


@builds("TanH")
def tanh(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    return site.add("Activation", bottoms[0], activation="tanh")


@builds("AbsVal")
def absval(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    return site.op(site.ops.abs, bottoms[0])


@builds("BNLL")
def bnll(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    return site.add("Activation", bottoms[0], activation="softplus")


@builds("Power")
def power(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Without a power left it is linear; with scale · power 0 Caffe fills in a constant."""
    constant = site.family.constant(site.layer)
    if constant is not None:
        return site.constant(bottoms[0], constant)
    exponent, scale, shift = site.options.power, site.options.scale, site.options.shift
    x = _linear(site, bottoms[0], scale, shift)
    return x if exponent == 1 else site.op(site.ops.power, x, exponent)


@builds("Exp")
def exponential(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """base^(shift + scale·x) as exp(scale·ln(base)·x) · base^shift."""
    base, scale, shift = site.options.base, site.options.scale, site.options.shift
    log_base = 1.0 if base == -1 else math.log(base)
    x = _linear(site, bottoms[0], log_base * scale, 0.0)
    x = site.add("Activation", x, activation="exponential")
    return _linear(site, x, math.exp(log_base * shift), 0.0)


@builds("Log")
def log(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    base, scale, shift = site.options.base, site.options.scale, site.options.shift
    x = site.op(site.ops.log, _linear(site, bottoms[0], scale, shift))
    return x if base == -1 else _linear(site, x, 1 / math.log(base), 0.0)


@builds("Clip")
def clip(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    low, high = site.options.min, site.options.max
    if low == 0 and high >= 0:
        return site.add("ReLU", bottoms[0], max_value=high)
    return site.op(site.ops.clip, bottoms[0], low, high)


@builds("Swish")
def swish(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    if site.options.beta == 1:
        return site.add("Activation", bottoms[0], activation="silu")
    gate = _linear(site, bottoms[0], site.options.beta, 0.0)
    gate = site.add("Activation", gate, activation="sigmoid")
    return site.add("Multiply", bottoms[0], gate)


@builds("Threshold")
def threshold(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    above = site.op(site.ops.greater, bottoms[0], site.options.threshold)
    return site.op(site.ops.cast, above, "float32")


@builds("Dropout")
def dropout(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Keras scales while training, as BVLC's Caffe does; a fork's way is a factor when testing."""
    ratio = site.options.dropout_ratio
    if site.family.scales_in_test(site.layer):
        return _linear(site, bottoms[0], 1 - ratio, 0.0)
    return site.add("Dropout", bottoms[0], rate=ratio)


def _linear(site: Site, x: Tensor, scale: float, shift: float) -> Tensor:
    if scale == 1 and shift == 0:
        return x
    return site.add("Rescaling", x, scale=scale, offset=shift)
