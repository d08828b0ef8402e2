"""Nets that are run at another height, width and batch than they were written for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tf2caffe
from tfcaffe.errors import ConversionError
from tfcaffe.oracle.pycaffe import Caffe
from whole import RTOL, Written, randomised, written

Layers = Callable[[Any, Any], list[Any]]  # of keras.layers and keras.ops
SIZE = (11, 14)


def function(call: Callable[[Any], Any], name: str = "out") -> Any:
    import keras

    class Function(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return call(x)

    return Function(name=name)


def at(layers: Sequence[Any], size: tuple[int, int]) -> Any:
    """A model of these layers for images of a size."""
    import keras

    x = y = keras.Input((*size, 4), name="x")
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def difference(net: Written, model: Any, caffe: Caffe, size: tuple[int, int], batch: int) -> float:
    """Of the whole net's output at another size, relative to the largest number."""
    text = re.sub(
        r"dim: 1 dim: 4 dim: \d+ dim: \d+",
        f"dim: {batch} dim: 4 dim: {size[0]} dim: {size[1]}",
        net.prototxt.read_text(),
        count=1,
    )
    other = net.prototxt.with_name("other.prototxt")
    other.write_text(text)
    image = np.random.default_rng(1).standard_normal((batch, *size, 4)).astype(np.float32)
    run = caffe.run(other, net.caffemodel, {"x": image.transpose(0, 3, 1, 2)})
    made = run.layer(net.network.twin.outputs[0].layer).arrays[-1]
    wanted = np.asarray(model(image))
    if wanted.ndim == 4:
        wanted = wanted.transpose(0, 3, 1, 2)
    if made.size != wanted.size or made.shape[0] != batch:
        return np.inf
    return float(np.abs(made.reshape(wanted.shape) - wanted).max() / np.abs(wanted).max())


ANY: dict[str, tuple[Layers, list[int]]] = {  # sizes may change by these multiples
    "convolutions": (lambda k, o: [k.Conv2D(4, 3, 1, "same"), k.Conv2D(3, 3, 2)], [1]),
    "uneven pads": (lambda k, o: [k.ZeroPadding2D(((0, 1), (2, 1))), k.Conv2D(3, 4, 2)], [1]),
    "same": (lambda k, o: [k.Conv2D(4, 3, (2, 3), "same"), k.Conv2D(3, 3, 2, "same")], [4, 6]),
    "pooled": (lambda k, o: [k.MaxPooling2D(2), k.Conv2D(3, 3, 2, "same")], [4]),
    "averages": (lambda k, o: [k.AveragePooling2D(2), k.UpSampling2D(2), k.Conv2D(2, 3)], [2]),
    "transposed": (
        lambda k, o: [k.Conv2DTranspose(4, 3, 2, "same"), k.Conv2D(3, 2, 2, "same")],
        [1],
    ),
    "gate": (lambda k, o: [function(lambda x: x * o.mean(x, (1, 2), keepdims=True))], [1]),
    "instances": (lambda k, o: [k.GroupNormalization(-1), k.LayerNormalization()], [1]),
    "head": (lambda k, o: [k.Conv2D(4, 3), k.GlobalAveragePooling2D(), k.Dense(3)], [1]),
    "cut": (lambda k, o: [k.Cropping2D(((1, 2), (0, 3))), k.Conv2D(3, 3)], [1]),
    "steps": (lambda k, o: [function(lambda x: x[:, 1::2, ::3])], [2, 3]),
}


@pytest.mark.parametrize("name", ANY)
def test_right_at_other_sizes(name: str, tmp_path: Path, caffe: Caffe) -> None:
    import keras

    build, multiples = ANY[name]
    layers = build(keras.layers, keras.ops)
    net = written(randomised(at(layers, SIZE)), tmp_path)
    assert not net.network.fixed
    assert list(net.network.multiples) == multiples
    high, wide = (multiples * 2)[:2]
    for size, batch in [(SIZE, 3), ((SIZE[0] + high, SIZE[1] + 3 * wide), 2)]:
        assert difference(net, at(layers, size), caffe, size, batch) < RTOL, (size, batch)


def flattened(k: Any, o: Any) -> list[Any]:
    return [k.Flatten(), k.Dense(3, name="out")]


FIXED: dict[str, Layers] = {
    "dense": flattened,
    "average": lambda k, o: [k.AveragePooling2D(3, 1, "same", name="out")],
    "whole average": lambda k, o: [k.AveragePooling2D(SIZE, name="out")],
    "bilinear": lambda k, o: [k.UpSampling2D(2, interpolation="bilinear", name="out")],
    "size": lambda k, o: [k.Resizing(22, 28, interpolation="nearest", name="out")],
    "groups": lambda k, o: [k.GroupNormalization(2, name="out")],
    "the size it has": lambda k, o: [k.Resizing(*SIZE, name="out")],
    "mean of one": lambda k, o: [
        k.AveragePooling2D((7, 9), (5, 6)),
        function(lambda x: x * o.sigmoid(o.mean(x, (1, 2), keepdims=True))),
    ],
    "rows": lambda k, o: [function(lambda x: o.mean(x, 1, keepdims=True))],
    "sum": lambda k, o: [function(lambda x: o.sum(x, (1, 2), keepdims=True))],
    "turned": lambda k, o: [function(lambda x: o.flip(x, 1))],
    "places": lambda k, o: [function(lambda x: x[:, 2:7])],
    "from behind": lambda k, o: [function(lambda x: x[:, -3:])],
    "places before a kernel": lambda k, o: [
        function(lambda x: x[:, 1:10], "cut"),
        k.Conv2D(3, 3, name="out"),
    ],
    "half": lambda k, o: [function(lambda x: o.split(x, 2, 2)[1])],
    "permuted": lambda k, o: [k.Permute((2, 1, 3), name="out")],
}


@pytest.mark.parametrize("name", FIXED)
def test_what_holds_for_one_size_is_told(name: str, tmp_path: Path, caffe: Caffe) -> None:
    """At another one Caffe stops, or computes something else."""
    import keras

    layers = FIXED[name](keras.layers, keras.ops)
    net = written(randomised(at([keras.layers.Conv2D(4, 1), *layers], SIZE)), tmp_path)
    assert "out" in net.network.fixed
    if name == "dense":  # nor does Keras take another
        return
    different = []
    for size in [(13, 14), (11, 16), (22, 28)]:
        try:
            other = at([keras.layers.Activation("linear"), *layers], size)
            different.append(difference(net, other, caffe, size, 1))
        except ConversionError:
            different.append(np.inf)
    assert max(different) > RTOL


def test_the_header_says_so(tmp_path: Path) -> None:
    import keras

    k = keras.layers

    def header(*layers: Any) -> str:
        tf2caffe.convert(at(layers, SIZE), tmp_path / "net", overwrite=True)
        text = (tmp_path / "net.prototxt").read_text()
        return "\n".join(line for line in text.splitlines() if line.startswith("#"))

    assert "height and width" not in header(k.Conv2D(4, 3))
    told = header(k.MaxPooling2D((2, 3)))
    assert "# height and width may change by multiples of 2 and 3\n" in told
    assert "multiples of 8\n" in header(*[k.Conv2D(4, 3, 2, "same") for _ in range(3)])
    told = header(k.GroupNormalization(2, name="groups"), k.MaxPooling2D(2))
    assert "# height and width are fixed by: groups\n" in told
