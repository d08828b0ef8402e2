"""What moves and weighs H and W, in OpenCV: it reads the forms of both dialects as Caffe does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from branches import branches
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from whole import RTOL, assert_equal, compared, randomised, written


@pytest.mark.parametrize("dialect", ["caffe-1.0", "portable"])
def test_windows_and_sizes(dialect: str, tmp_path: Path, caffe: Caffe, opencv: OpenCV) -> None:
    import keras
    from keras import layers

    class Map(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(11, 14, 1), name="kernel")

        def call(self, x: Any) -> Any:
            return x * self.kernel

    cases = {
        "map": [layers.Conv2D(154, 1), Map()],
        "map_normalised": [layers.BatchNormalization(), Map()],
        "uneven": [layers.Conv2D(4, 3, 2, "same")],
        "uneven_dilated": [layers.Conv2D(4, 2, 1, "same", dilation_rate=3)],
        "depthwise": [layers.DepthwiseConv2D(4, 1, "same")],
        "maximum_cut": [layers.MaxPooling2D(2)],
        "maximum_even": [layers.MaxPooling2D(4, 1, "same")],
        "average_border": [layers.AveragePooling2D(3, 1, "same")],
        "average_even": [layers.AveragePooling2D(2, 1, "same")],
        "average_over": [layers.AveragePooling2D(2, 2, "same")],
        "average_cut": [layers.AveragePooling2D(3, 3)],
        "transposed": [layers.Conv2DTranspose(4, 3, 2, "same")],
        "nearest": [layers.UpSampling2D((2, 3))],
        "bilinear": [layers.UpSampling2D(2, interpolation="bilinear")],
        "matrices": [layers.Resizing(7, 20, interpolation="bicubic")],
        "pad": [layers.ZeroPadding2D(((1, 2), (0, 1)))],
        "cut": [layers.Cropping2D(((1, 2), (0, 1)))],
        "large_cut": [layers.Cropping2D(((4, 3), (5, 6)))],
    }
    # As many channels as places in what is pooled: OpenCV must not mistake one for the other.
    model = randomised(branches((11, 14, 154), cases, batch=1))
    net = written(model, tmp_path, dialect=dialect)
    fed = {"x": np.random.default_rng(0).standard_normal((1, 154, 11, 14), np.float32)}
    run = caffe.run(net.prototxt, net.caffemodel, fed)
    other = {
        layer.name: layer.arrays for layer in opencv.run(net.prototxt, net.caffemodel, fed).layers
    }
    compared = set()
    for blob in net.network.twin.blobs:
        wanted = run.layer(blob.layer).arrays[0]
        (found, *_) = other.get(blob.layer, (None,))
        if found is not None:
            assert np.abs(found - wanted).max() <= 10 * RTOL * np.abs(wanted).max(), blob.layer
            compared.add(blob.node)
    assert set(cases) <= compared


def test_volumes(tmp_path: Path, caffe: Caffe, opencv: OpenCV) -> None:
    """OpenCV takes a list for three axes; other readers were not asked."""
    import keras
    from keras import layers

    x = keras.Input((4, 7, 6, 3), batch_size=2, name="x")
    y = layers.BatchNormalization()(layers.Conv3D(4, 3, 2, padding="same")(x))
    model = randomised(keras.Model(x, layers.Dense(2)(layers.Conv3D(5, (1, 2, 3))(y))))
    net = written(model, tmp_path)
    assert_equal(compared(model, net, caffe))
    assert_equal(compared(model, net, opencv))
    assert any("Convolution with axes 5" in note for note in net.network.notes)
    with pytest.raises(UnsupportedError, match="Convolution with axes 5"):
        written(model, tmp_path, dialect="portable")


def test_depthwise_kernels_on_one_row_or_column(
    tmp_path: Path, caffe: Caffe, opencv: OpenCV
) -> None:
    """OpenCV is wrong where a kernel is wider than that; what lies on the pads alone may go."""
    import keras
    from keras import layers

    x = keras.Input((1, 7, 4), batch_size=2, name="x")
    y = layers.DepthwiseConv2D(3, padding="same", name="row")(x)
    z = layers.GlobalAveragePooling2D(keepdims=True)(y)
    z = layers.DepthwiseConv2D(5, 2, padding="same", name="place")(z)
    model = randomised(keras.Model(x, [y, z]))
    for dialect in ("opencv", "portable"):
        net = written(model, tmp_path, dialect=dialect)
        assert_equal(compared(model, net, caffe))
        assert_equal(compared(model, net, opencv))
        assert "row" in net.network.fixed and "place" not in net.network.fixed
    net = written(model, tmp_path)
    assert_equal(compared(model, net, caffe))
    assert "row" not in net.network.fixed
    assert any("Convolution with thin true: row, place" in note for note in net.network.notes)
