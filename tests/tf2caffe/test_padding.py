"""Pads and cuts that no layer takes over, in real Caffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from branches import branches
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written


def _lambda(function: Any) -> Any:
    import keras

    class Call(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return function(x)

    return Call()


def _pad(pads: Any, mode: str = "constant", value: float | None = None) -> Any:
    import keras

    pads = ((0, 0), *pads)
    return _lambda(lambda x: keras.ops.pad(x, pads, mode=mode, constant_values=value))


def test_pads(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import ZeroPadding2D

    cases = {
        "even": [ZeroPadding2D(2)],
        "uneven": [ZeroPadding2D(((0, 3), (2, 1)))],
        "wide": [ZeroPadding2D(((0, 7), (6, 1)))],
        "height": [ZeroPadding2D(((1, 2), (0, 0)))],
        "channels": [_pad(((0, 0), (0, 0), (1, 2)))],
        "all": [_pad(((1, 0), (0, 2), (2, 0)))],
        "ones": [_pad(((1, 2), (0, 1), (0, 0)), value=1.0)],
        "around": [_pad(((1, 0), (0, 2), (2, 1)), value=-1.5)],
        "lowest": [_pad(((0, 1), (1, 1), (0, 0)), value=float(np.finfo(np.float32).min))],
        "nothing": [_pad(((0, 0), (0, 0), (0, 0)))],
    }
    net = check(branches((5, 6, 3), cases), tmp_path, caffe)
    wide = [la.message for la in net.network.layers if la.origin == "wide"]
    kernels = [(m.convolution_param.kernel_h, m.convolution_param.kernel_w) for m in wide]
    assert kernels == [(8, 1), (1, 6)]  # one of 8 x 6 would be more work


@pytest.mark.parametrize("dialect", ["caffe-1.0", "portable"])
def test_pads_of_sequences(dialect: str, tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Cropping1D

    cases = {
        "behind": [_pad(((1, 2), (0, 0)), value=1.0)],
        "channels": [_pad(((0, 0), (1, 2)), value=1.0)],
        "both": [_pad(((2, 1), (0, 1)))],
        "cut": [Cropping1D((1, 2))],
    }
    check(branches((7, 3), cases), tmp_path, caffe, dialect=dialect)


def test_mirrors(tmp_path: Path, caffe: Caffe) -> None:
    """A few rows are slices; more a product with a one-hot matrix."""
    cases = {
        f"{mode}_{name}": [_pad(pads, mode)]
        for mode in ("reflect", "symmetric")
        for name, pads in {
            "one": ((1, 1), (1, 1), (0, 0)),
            "uneven": ((0, 2), (3, 1), (0, 0)),
            "most": ((6, 6), (7, 7), (0, 0)),
            "channels": ((0, 0), (0, 0), (1, 2)),
        }.items()
    }
    net = check(branches((7, 8, 3), cases), tmp_path, caffe)
    types = {layer.type for layer in net.network.layers if layer.origin == "reflect_one"}
    assert types == {"Slice", "Concat"}


def test_cuts(tmp_path: Path, caffe: Caffe) -> None:
    from keras.layers import Cropping1D, Cropping2D, Cropping3D

    cases = {
        "both": [Cropping2D(((1, 2), (0, 1)))],
        "front": [Cropping2D(((1, 0), (1, 0)))],
        "most": [Cropping2D(((5, 6), (7, 5)))],
        "channels": [_lambda(lambda x: x[..., 1:3])],
        "one_channel": [_lambda(lambda x: x[..., 2])],
        "turned_channels": [_lambda(lambda x: x[..., ::-1])],
        "other_channels": [_lambda(lambda x: x[..., 1::2])],
        "every_other": [_lambda(lambda x: x[:, ::2, 1::3])],
        "one_row": [_lambda(lambda x: x[:, 3])],
        "turned": [_lambda(lambda x: x[:, ::-1, ::-1])],
        "all_three": [_lambda(lambda x: x[:, 1:-1, 2:, :2])],
        "new": [_lambda(lambda x: x[:, None, 1:4])],
        "last_place": [_lambda(lambda x: x[:, -1, -1, :])],
    }
    check(branches((13, 14, 4), cases), tmp_path, caffe)
    cases = {"cut": [Cropping1D((1, 2))], "last": [_lambda(lambda x: x[:, -1])]}
    check(branches((7, 3), cases), tmp_path, caffe)
    check(branches((4, 5, 6, 2), {"cube": [Cropping3D(((1, 0), (0, 2), (1, 1)))]}), tmp_path, caffe)
    check(branches((9,), {"some": [_lambda(lambda x: x[:, 2:5])]}), tmp_path, caffe)


def test_parts_that_are_all_used_are_one_slice(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    x = keras.Input((5, 6, 7), batch_size=2, name="x")
    parts = [x[..., :2], x[..., 2:5], x[..., 5:], x[:, :2], x[:, 2:]]
    made = [keras.layers.ReLU(name=f"relu{i}")(part) for i, part in enumerate(parts)]
    net = check(keras.Model(x, made), tmp_path, caffe)
    assert sorted(net.types) == ["Input", *["ReLU"] * 5, "Slice", "Slice"]
    points = [la.message.slice_param for la in net.network.layers if la.type == "Slice"]
    assert {(p.axis, *p.slice_point) for p in points} == {(1, 2, 5), (2, 2)}


def test_a_part_alone_leaves_no_top_that_nobody_reads(tmp_path: Path) -> None:
    net = written(branches((5, 6, 7), {"part": [_lambda(lambda x: x[..., :2])]}), tmp_path)
    assert net.types == ["Input", "Convolution"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: x[:1], "cuts the batch"),
        (lambda x: __import__("tensorflow").pad(x, [[1, 0], [0, 0], [0, 0], [0, 0]]), "the batch"),
    ],
)
def test_the_batch_is_never_changed(call: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=said) as error:
        written(branches((5, 6, 3), {"batch": [_lambda(call)]}), tmp_path)
    assert "layer 'batch'" in str(error.value)
