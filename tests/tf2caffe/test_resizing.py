"""Images that change size, in real Caffe."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from branches import branches
from tf2caffe.ops.resizing import band
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written


def _op(name: str, case: str, **options: Any) -> Any:
    import keras
    import tensorflow as tf

    class Op(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return getattr(tf.raw_ops, name)(**{"images": x, **options})

    return Op(name=case)


@pytest.mark.parametrize(("size", "channels"), [((5, 7), 3), ((240, 200), 1)])
def test_upsampling(size: tuple[int, int], channels: int, tmp_path: Path, caffe: Caffe) -> None:
    """By whole factors: one Deconvolution, and a Scale for the border where matrices cost more.

    OpenCV would fold that into the Deconvolution if it were not on axis 1.
    """
    from keras.layers import UpSampling2D

    cases = {
        f"{rule}_{h}x{w}": [UpSampling2D((h, w), interpolation=rule)]
        for rule, (h, w) in product(
            ["nearest", "bilinear", "bicubic", "lanczos3"], [(2, 2), (3, 3), (2, 3), (1, 4)]
        )
    }
    net = check(branches((*size, channels), cases, batch=1), tmp_path, caffe)
    windows = ["Deconvolution", "Reshape", "Scale", "Reshape"]
    matrices = ["InnerProduct", "Reshape", "Convolution", "Reshape"]
    by_origin: dict[str, list[str]] = {}
    for layer in net.network.layers:
        by_origin.setdefault(layer.origin, []).append(layer.type)
    for name, types in by_origin.items():
        if name.startswith("nearest"):
            assert types == ["Deconvolution"], name
        if name == "bilinear_2x2":
            assert types == (windows if min(size) > 100 else matrices), name
    strides = [d.message.convolution_param for d in net.network.layers if d.type == "Deconvolution"]
    assert all(s.stride or s.stride_h for s in strides)
    assert set(net.network.fixed) == {n for n in cases if not n.startswith("nearest")}


@pytest.mark.parametrize("size", [(9, 13), (5, 21), (18, 24), (3, 4), (10, 14)])
def test_every_rule_of_coordinates(size: tuple[int, int], tmp_path: Path, caffe: Caffe) -> None:
    """Larger and smaller; the matrices are TensorFlow's own."""
    rules = [(False, False), (True, False), (False, True)]
    cases = {
        f"{name}_{int(corners)}{int(half)}": [
            _op(
                name,
                f"{name}_{int(corners)}{int(half)}",
                size=size,
                align_corners=corners,
                half_pixel_centers=half,
            )
        ]
        for name, (corners, half) in product(
            ["ResizeNearestNeighbor", "ResizeBilinear", "ResizeBicubic"], rules
        )
    }
    for corners in (False, True):
        cases[f"area_{corners}"] = [
            _op("ResizeArea", f"area_{corners}", size=size, align_corners=corners)
        ]
    check(branches((6, 8, 3), cases), tmp_path, caffe)


def test_antialias(tmp_path: Path, caffe: Caffe) -> None:
    import keras
    from keras.layers import Resizing

    class Resized(keras.layers.Layer):
        def __init__(self, size: tuple[int, int], rule: str, name: str) -> None:
            super().__init__(name=name)
            self.numbers = size, rule

        def call(self, x: Any) -> Any:
            size, rule = self.numbers
            return keras.ops.image.resize(x, size, interpolation=rule, antialias=True)

    cases: dict[str, list[Any]] = {
        f"{rule}_{h}": [Resized((h, w), rule, f"{rule}_{h}")]
        for rule, (h, w) in product(["bilinear", "bicubic", "lanczos5"], [(4, 6), (5, 9), (16, 24)])
    }
    cases["layer"] = [Resizing(5, 7)]
    cases["cut"] = [Resizing(4, 8, crop_to_aspect_ratio=True)]
    check(branches((8, 12, 3), cases), tmp_path, caffe)


def test_one_and_three_dimensions(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Conv1D, UpSampling1D, UpSampling3D

    cases = {"at_once": [UpSampling1D(3)], "behind": [Conv1D(4, 3), UpSampling1D(2)]}
    check(branches((7, 3), cases), tmp_path, caffe)
    check(branches((2, 3, 4, 2), {"cube": [UpSampling3D((2, 1, 3))]}), tmp_path, caffe)


def test_smaller_by_whole_numbers_is_one_layer(tmp_path: Path, caffe: Caffe) -> None:
    cases = {
        name: [_op(kind, name, size=(4, 6), half_pixel_centers=half)]
        for name, kind, half in [
            ("nearest", "ResizeNearestNeighbor", False),
            ("nearest_half", "ResizeNearestNeighbor", True),
            ("bilinear", "ResizeBilinear", True),
        ]
    }
    net = check(branches((8, 12, 3), cases), tmp_path, caffe)
    assert net.types == ["Input", *["Convolution"] * 3]


def test_the_same_size_is_no_layer(tmp_path: Path) -> None:
    from keras.layers import ReLU

    resize = _op("ResizeBilinear", "resize", size=(5, 7), half_pixel_centers=True)
    net = written(branches((5, 7, 3), {"relu": [resize, ReLU()]}), tmp_path)
    assert net.types == ["Input", "ReLU"]


def test_a_dialect_without_what_is_cheapest(tmp_path: Path, caffe: Caffe) -> None:
    """`portable` has InnerProduct and Scale on axis 1 alone."""
    from keras.layers import AveragePooling2D, Resizing, UpSampling2D

    cases = {
        "matrices": [Resizing(7, 9)],
        "border": [UpSampling2D(2, interpolation="bilinear")],
        "divisors": [AveragePooling2D(3, 1, "same")],
    }
    net = check(branches((5, 6, 3), cases), tmp_path, caffe, dialect="portable")
    parameters = [layer.message for layer in net.network.layers]
    assert {m.inner_product_param.axis for m in parameters if m.type == "InnerProduct"} == {1}
    assert {m.scale_param.axis for m in parameters if m.type == "Scale"} == {1}


def test_a_band_is_told_from_other_matrices() -> None:
    whole = np.repeat(np.eye(4), 3, axis=1)
    found = band(whole, 1)
    assert found is not None and found.stride == 3 and found.pad == 0
    assert np.array_equal(found.weights, [1, 1, 1]) and np.all(found.factors == 1)
    moved = whole.copy()
    moved[1, 6] = 1e-3
    assert band(moved, 1) is None
    assert band(np.ones((3, 4)), 1) is None


def test_blocks(tmp_path: Path, caffe: Caffe) -> None:
    import keras
    import tensorflow as tf

    class Blocks(keras.layers.Layer):
        def __init__(self, kind: Any, size: int, name: str) -> None:
            super().__init__(name=name)
            self.kind, self.size = kind, size

        def call(self, x: Any) -> Any:
            return self.kind(x, self.size)

    depth, space = tf.nn.depth_to_space, tf.nn.space_to_depth
    order = [Blocks(depth, 2, "depth_2"), Blocks(space, 3, "space_3")]
    cases = {"depth_2": [order[0]], "space_3": [order[1]]}
    both = [Blocks(space, 2, "there"), Blocks(depth, 2, "back")]
    net = check(branches((6, 12, 4), {**cases, "back": both}), tmp_path, caffe)
    assert set(net.types) == {"Input", "Convolution", "Deconvolution"}
    wide = [Blocks(space, 2, "apart"), Blocks(depth, 2, "together")]
    for dialect in ("caffe-1.0", "portable"):  # many channels: no product of all with all
        net = check(branches((4, 6, 36), {"together": wide}), tmp_path, caffe, dialect=dialect)
        kernels = [la for la in net.network.layers if la.blobs]
        assert [la.message.convolution_param.group for la in kernels] == [36, 36]


# What the channels are split into, in which order they come out, and if that is blocks' way.
SPLIT = {
    "tensorflow": ((6, 12, 2, 2, 3), (0, 1, 3, 2, 4, 5), True),
    "pytorch": ((6, 12, 3, 2, 2), (0, 1, 4, 2, 5, 3), True),
    "turned": ((6, 12, 2, 2, 3), (0, 1, 4, 2, 3, 5), False),
    "oblong": ((6, 12, 4, 1, 3), (0, 1, 3, 2, 4, 5), False),
}


@pytest.mark.parametrize("name", SPLIT)
def test_blocks_as_people_write_them(name: str, tmp_path: Path, caffe: Caffe) -> None:
    """There and back: one layer each, but for what only looks alike."""
    import keras
    from keras import ops

    parts, order, alike = SPLIT[name]
    back = [order.index(axis) for axis in range(6)]
    x = keras.Input((6, 12, 12), name="x")
    moved = ops.transpose(ops.reshape(x, (-1, *parts)), order)
    rows, columns = (moved.shape[i] * moved.shape[i + 1] for i in (1, 3))
    wide = ops.relu(ops.reshape(moved, (-1, rows, columns, 3)))
    again = ops.transpose(ops.reshape(wide, (-1, *moved.shape[1:])), back)
    net = check(keras.Model(x, ops.reshape(again, (-1, 6, 12, 12))), tmp_path, caffe)
    assert (net.types == ["Input", "Deconvolution", "ReLU", "Convolution"]) == alike


def test_patches(tmp_path: Path, caffe: Caffe) -> None:
    rules = {"strides": [1, 2, 2, 1], "padding": "SAME"}
    cases = {
        name: [_op("ExtractImagePatches", name, **{**rules, **other})]
        for name, other in {
            "uneven": {"ksizes": [1, 3, 3, 1], "rates": [1, 1, 1, 1]},
            "dilated": {"ksizes": [1, 2, 3, 1], "rates": [1, 2, 3, 1]},
            "apart": {"ksizes": [1, 2, 2, 1], "rates": [1, 1, 1, 1], "padding": "VALID"},
        }.items()
    }
    check(branches((8, 9, 3), cases), tmp_path, caffe)
