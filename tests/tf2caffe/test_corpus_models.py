"""Real graphs, checkpoints and Keras files on a photograph: Caffe equals TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import needs_corpus
from tf_models import MODELS, feeds, options_of, reference
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from whole import written

LAYERS = {
    "espcn_tf/ESPCN_x2.pb": 8,
    "fsrcnn_tf/ckpt_x2/fsrcnn_ckpt": 46,
    "keras_xception/mini_XCEPTION_KDEF.hdf5": 68,
    "kws_tf/Basic_LSTM_S.pb": 8,
    "kws_tf/DS_CNN_S.pb": 41,
    "mtcnn_tf_frozen/mtcnn.pb": 18,
    "mtcnn_tf1_ckpt/RNet-14": 14,
    "mtcnn_tf_frozen/pnet.pb": 11,
    "opencv_extra_tf_layers/uint8_single_conv_net.pb": 3,
}


@needs_corpus
@pytest.mark.parametrize("name", LAYERS)
def test_real_model(name: str, tmp_path: Path, caffe: Caffe) -> None:
    from tf2caffe.options import with_defaults
    from tf2caffe.sources import open_source

    options = options_of(name)
    net = written(MODELS / name, tmp_path, **options)
    opened = open_source(MODELS / name, with_defaults(options))  # type: ignore[typeddict-item]
    fed = feeds(name, opened.graph)
    twin = net.network.twin
    inputs = {blob.blob: blob.layout.pattern().to_caffe(fed[blob.node]) for blob in twin.inputs}
    model = opened.keras or reference(name, opened.graph, tmp_path / "reference.pb")
    report = verify(
        net.prototxt, net.caffemodel, model, record=twin, input=inputs, rtol=2e-5, oracle=caffe
    )
    wrong = [f"{b.layer} {b.max:.1e}" for b in report.blobs if b.status == "different"]
    assert report.verdict == "equal", wrong
    assert max(out.max for out in report.outputs) <= 1e-5
    assert len(net.types) <= LAYERS[name]


@needs_corpus
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("keras_dncnn/DnCNN_sigma25.h5", "holds weights without their model"),
        ("mnistcls_tf1_ckpt/model.ckpt-0", "by the statistics of the batch"),
    ],
)
def test_refused(name: str, words: str, tmp_path: Path) -> None:
    from tfcaffe.errors import ConversionError

    with pytest.raises(ConversionError, match=words):
        written(MODELS / name, tmp_path, **options_of(name))
