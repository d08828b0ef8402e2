"""Nets of the shipped mappings whose own code no longer runs, as TF1 graphs under its names.

Each is a function from a placeholder (N, H, W, C) and the mode to logits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

Build = Callable[[Any, bool], Any]


class Layers:
    """Layers whose variables are called `layer/weights` and `layer/biases`, or by other roles."""

    def __init__(self, weights: str = "weights", biases: str = "biases") -> None:
        import tensorflow as tf

        self.tf = tf
        self.relu = tf.nn.relu
        self.lrn = partial(tf.nn.lrn, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
        self._roles = weights, biases
        self._get = tf.compat.v1.get_variable

    def conv(
        self,
        value: Any,
        name: str,
        size: int,
        count: int,
        stride: int = 1,
        *,
        pad: int = 0,
        groups: int = 1,
        bias: bool = True,
    ) -> Any:
        """A convolution; the groups' kernels lie one behind the other."""
        kernel = self._get(
            f"{name}/{self._roles[0]}", [size, size, value.shape[-1] // groups, count]
        )
        pads = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
        parts = [
            self.tf.nn.conv2d(mine, part, stride, pads)
            for mine, part in zip(
                self.tf.split(value, groups, -1), self.tf.split(kernel, groups, -1), strict=True
            )
        ]
        made = self.tf.concat(parts, -1)
        return made + self._get(f"{name}/{self._roles[1]}", [count]) if bias else made

    def halves(self, value: Any, name: str, size: int, count: int, pad: int) -> Any:
        """A convolution in two groups, as two layers."""
        parts = [
            self.conv(part, f"{name}_{i}", size, count // 2, pad=pad)
            for i, part in enumerate(self.tf.split(value, 2, -1), 1)
        ]
        return self.tf.concat(parts, -1)

    def dense(self, value: Any, name: str, count: int) -> Any:
        """A fully connected layer of the flattened map."""
        flat = self.tf.reshape(value, [-1, prod(value.shape[1:])])
        kernel = self._get(f"{name}/{self._roles[0]}", [flat.shape[-1], count])
        return flat @ kernel + self._get(f"{name}/{self._roles[1]}", [count])

    def pool(self, value: Any, size: int = 3, stride: int = 2, *, same: bool = False) -> Any:
        """The maximum; `same` where Caffe's last window hangs over."""
        return self.tf.nn.max_pool2d(value, size, stride, "SAME" if same else "VALID")

    def norm(self, value: Any, name: str, training: bool) -> Any:
        """BatchNorm in caffe-tensorflow's words."""
        v1 = self.tf.compat.v1
        roles = ("mean", "variance", "offset", "scale")
        kept = [self._get(f"{name}/{role}", value.shape[-1:]) for role in roles]
        used = kept[:2]
        if training:
            used = self.tf.nn.moments(value, [0, 1, 2])
            for variable, now in zip(kept, used, strict=False):
                v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign(variable, now))
        return self.tf.nn.batch_normalization(value, *used, *kept[2:], 1e-5)


def vgg(repeats: tuple[int, ...], conv: Callable[[int, int], str], fc: tuple[str, ...]) -> Build:
    """A VGG.

    Args:
        repeats: convolutions per block.
        conv: the name of a convolution by its block and its place in it, from 1.
        fc: the names of the fully connected layers.
    """

    def build(data: Any, training: bool) -> Any:
        net, value = Layers(*(("W", "b") if fc[0] == "FullyConnected" else ())), data
        for block, count in enumerate(repeats, 1):
            for n in range(1, count + 1):
                width = min(32 << block, 512)
                value = net.relu(net.conv(value, conv(block, n), 3, width, pad=1))
            value = net.pool(value, 2, same=True)
        value = net.relu(net.dense(value, fc[0], 4096))
        value = net.relu(net.dense(value, fc[1], 4096))
        return net.dense(value, fc[2], 1000)

    return build


def tflearn_vgg19() -> Build:
    """tflearn's, under the names that it gives of itself."""
    repeats = (2, 2, 4, 4, 4)

    def name(block: int, n: int) -> str:
        i = sum(repeats[: block - 1]) + n - 1
        return f"Conv2D_{i}" if i else "Conv2D"

    return vgg(repeats, name, ("FullyConnected", "FullyConnected_1", "FullyConnected_2"))


def alexnet(*, norm_first: bool, halves: bool = False) -> Build:
    """AlexNet, or CaffeNet, which pools first and normalises then.

    Args:
        halves: whether each group is a layer of its own, with Keras's roles.
    """

    def build(data: Any, training: bool) -> Any:
        net, value = Layers(*(("kernel", "bias") if halves else ())), data

        def lower(value: Any) -> Any:
            return net.pool(net.lrn(value)) if norm_first else net.lrn(net.pool(value))

        def grouped(value: Any, name: str, size: int, count: int, pad: int) -> Any:
            if halves:
                return net.relu(net.halves(value, name, size, count, pad))
            return net.relu(net.conv(value, name, size, count, pad=pad, groups=2))

        value = lower(net.relu(net.conv(value, "conv1", 11, 96, 4)))
        value = lower(grouped(value, "conv2", 5, 256, 2))
        value = net.relu(net.conv(value, "conv3", 3, 384, pad=1))
        value = grouped(value, "conv4", 3, 384, 1)
        value = net.pool(grouped(value, "conv5", 3, 256, 1))
        value = net.relu(net.dense(value, "fc6", 4096))
        value = net.relu(net.dense(value, "fc7", 4096))
        return net.dense(value, "fc8", 1000)

    return build


def lenet(data: Any, training: bool) -> Any:
    """LeNet."""
    net = Layers()
    value = net.pool(net.conv(data, "conv1", 5, 20), 2)
    value = net.pool(net.conv(value, "conv2", 5, 50), 2)
    return net.dense(net.relu(net.dense(value, "ip1", 500)), "ip2", 10)


def nin(data: Any, training: bool) -> Any:
    """Network in Network."""
    net = Layers()

    def block(value: Any, names: str, size: int, counts: tuple[int, ...], **words: Any) -> Any:
        first, *others = names.split()
        value = net.relu(net.conv(value, first, size, counts[0], **words))
        for name, count in zip(others, counts[1:], strict=True):
            value = net.relu(net.conv(value, name, 1, count))
        return value

    value = net.pool(block(data, "conv1 cccp1 cccp2", 11, (96, 96, 96), stride=4), same=True)
    value = net.pool(block(value, "conv2 cccp3 cccp4", 5, (256, 256, 256), pad=2))
    value = net.pool(block(value, "conv3 cccp5 cccp6", 3, (384, 384, 384), pad=1))
    value = block(value, "conv4-1024 cccp7-1024 cccp8-1024", 3, (1024, 1024, 1000), pad=1)
    return net.tf.reduce_mean(value, [1, 2])


def squeezenet(*, first: tuple[int, int], pools: tuple[int, ...], pad: int, names: str) -> Build:
    """SqueezeNet.

    Args:
        first: kernel and outputs of the first convolution.
        pools: the fires behind which there is a pooling.
        pad: the last convolution's.
        names: those of a fire's convolutions, and of the last one.
    """
    squeeze, one, three, last = names.split()

    def build(data: Any, training: bool) -> Any:
        net = Layers()
        value = net.pool(net.relu(net.conv(data, "conv1", *first, 2)))
        for i in range(2, 10):
            width = 16 * (i // 2)
            name = f"fire{i}_"
            value = net.relu(net.conv(value, name + squeeze, 1, width))
            both = [
                net.conv(value, name + one, 1, 4 * width),
                net.conv(value, name + three, 3, 4 * width, pad=1),
            ]
            value = net.relu(net.tf.concat(both, -1))
            if i in pools:
                value = net.pool(value, same=not value.shape[1] % 2)
        value = net.relu(net.conv(value, last, 1, 1000, pad=pad))
        return net.tf.reduce_mean(value, [1, 2])

    return build


_INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(data: Any, training: bool) -> Any:
    """GoogLeNet."""
    net = Layers()

    def conv(value: Any, name: str, *sizes: int, pad: int = 0) -> Any:
        return net.relu(net.conv(value, name, *sizes, pad=pad))

    value = net.pool(conv(data, "conv1_7x7_s2", 7, 64, 2, pad=3), same=True)
    value = conv(net.lrn(value), "conv2_3x3_reduce", 1, 64)
    value = net.pool(net.lrn(conv(value, "conv2_3x3", 3, 192, pad=1)), same=True)
    for block, (one, less3, three, less5, five, proj) in _INCEPTION.items():
        name = f"inception_{block}_"
        parts = [
            conv(value, name + "1x1", 1, one),
            conv(conv(value, name + "3x3_reduce", 1, less3), name + "3x3", 3, three, pad=1),
            conv(conv(value, name + "5x5_reduce", 1, less5), name + "5x5", 5, five, pad=2),
            conv(net.pool(value, 3, 1, same=True), name + "pool_proj", 1, proj),
        ]
        value = net.tf.concat(parts, -1)
        if block in ("3b", "4e"):
            value = net.pool(value, same=True)
    return net.dense(net.tf.reduce_mean(value, [1, 2]), "loss3_classifier", 1000)


def resnet50(data: Any, training: bool) -> Any:
    """ResNet-50."""
    net = Layers()

    def unit(value: Any, name: str, size: int, count: int, stride: int = 1) -> Any:
        made = net.conv(value, f"res{name}", size, count, stride, pad=(size - 1) // 2, bias=False)
        return net.norm(made, f"bn{name}", training)

    value = net.norm(net.conv(data, "conv1", 7, 64, 2, pad=3), "bn_conv1", training)
    value = net.pool(net.relu(value), same=True)
    for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3)):
        for n, letter in enumerate("abcdef"[:count]):
            name, width = f"{stage}{letter}_branch", 16 << stage
            stride = 2 if stage > 2 and not n else 1
            short = value if n else unit(value, name + "1", 1, 4 * width, stride)
            inner = net.relu(unit(value, name + "2a", 1, width, stride))
            inner = net.relu(unit(inner, name + "2b", 3, width))
            value = net.relu(short + unit(inner, name + "2c", 1, 4 * width))
    return net.dense(net.tf.reduce_mean(value, [1, 2]), "fc1000", 1000)
