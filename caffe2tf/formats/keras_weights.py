"""`.weights.h5`: Keras's own weights file of the model that `-o x.keras` would write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caffe2tf.build import build
from caffe2tf.formats import Format
from caffe2tf.source import Source
from tfcaffe.errors import UsageError


def write(source: Source, path: Path) -> Sequence[str]:
    """Save the model's weights as Keras does.

    Raises:
        UsageError: Keras refuses any other suffix.
    """
    if not path.name.endswith(FORMAT.suffix):
        raise UsageError(f"{path.name}: Keras's weights files end in {FORMAT.suffix}")
    built = build(source)
    built.model.save_weights(path)
    return built.notes


FORMAT = Format("keras-weights", ".weights.h5", write)
