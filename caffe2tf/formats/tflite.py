"""A TensorFlow Lite model of 32-bit floats."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from caffe2tf.formats import Format, savedmodel
from caffe2tf.source import Source


def write(source: Source, path: Path) -> Sequence[str]:
    """Through a SavedModel: its signature `serving_default` keeps the blob names."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="tfcaffe-") as folder:
        saved = Path(folder) / "model"
        notes = savedmodel.write(source, saved)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
        path.write_bytes(converter.convert())
    return notes


FORMAT = Format("tflite", ".tflite", write)
