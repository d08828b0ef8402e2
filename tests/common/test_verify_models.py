"""What `verify` says of outputs of `convert` that are no models: what it is, and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

import caffe2tf
from caffe2tf.__main__ import main
from verify_nets import Files

NO_MODELS = {
    "c.ckpt": "a TensorFlow checkpoint",
    "h.h5": "an HDF5 file of arrays",
    "k.weights.h5": "a file of Keras weights without their model",
    "n.npz": "a file of NumPy arrays",
    "t.tflite": "a TensorFlow Lite model",
}


@pytest.mark.parametrize(("name", "kind"), NO_MODELS.items(), ids=NO_MODELS)
def test_outputs_that_are_no_models(
    small: Files, tmp_path: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    caffe2tf.convert(small.net, small.weights, tmp_path / name)
    assert main(["verify", str(small.net), str(small.weights), str(tmp_path / name)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("error:") == 1
    assert f"{name}: is {kind}, which verify cannot run; it takes a .keras file" in err
    assert "Convert to .keras as well" in err


def test_a_part_of_a_checkpoint(small: Files, capsys: pytest.CaptureFixture[str]) -> None:
    caffe2tf.convert(small.net, small.weights, part := small.net.with_name("p.ckpt"))
    assert main(["verify", str(small.net), str(small.weights), f"{part}.index"]) == 2
    assert "is a part of a TensorFlow checkpoint" in capsys.readouterr().err
