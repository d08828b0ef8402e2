"""The smallest net of each family of keras.applications, at small sizes; `make zoo` has all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from whole import assert_equal, compared, written
from zoo_sweep import LIMIT, MOVED, images, moved, prepared

NETS = [
    ("VGG16", 40),
    ("ResNet50", 65),
    ("ResNet50V2", 64),
    ("InceptionV3", 91),
    ("InceptionResNetV2", 80),
    ("Xception", 73),
    ("MobileNet", 64),
    ("MobileNetV2", 65),
    ("MobileNetV3Small", 64),
    ("DenseNet121", 64),
    ("NASNetMobile", 64),
    ("EfficientNetB0", 65),
    ("EfficientNetV2B0", 64),
    ("ConvNeXtTiny", 64),
]
NOT_OPENCV: set[str] = set()  # what it cannot read in the default dialect


@pytest.mark.parametrize(("name", "size"), NETS)
def test_zoo(name: str, size: int, tmp_path: Path, caffe: Caffe, opencv: OpenCV) -> None:
    model = prepared(name, size)
    net = written(model, tmp_path)
    (title,) = (t._keras_history.operation.name for t in model.inputs)
    fed = {title: images(size, 1).transpose(0, 3, 1, 2)}
    assert_equal(compared(model, net, caffe, fed, LIMIT))
    assert moved(model, size) > MOVED
    if name not in NOT_OPENCV:
        run = opencv.run(net.prototxt, net.caffemodel, fed)
        wanted = model(images(size, 1), training=False).numpy()
        found = run.layers[-1].arrays[0].reshape(wanted.shape)
        assert abs(found - wanted).max() <= LIMIT * abs(wanted).max()
