"""A checkpoint by names, as TensorFlow 1 wrote them: variables `layer/role`.

`tf.train.load_checkpoint` and `tf.compat.v1.train.Saver` read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caffe2tf.formats import Format
from caffe2tf.formats.npz import arrays
from caffe2tf.source import Source
from tfcaffe.names import escape
from tfcaffe.variables import bundle
from tfcaffe.variables.kinds.checkpoint import write as write_checkpoint

# TensorFlow's customary names; other roles stay as they are.
_CUSTOMARY = {
    "weights": "weights",
    "bias": "biases",
    "mean": "moving_mean",
    "variance": "moving_variance",
}


def write(source: Source, path: Path) -> Sequence[str]:
    """Layer names are escaped: only then can a variable bear them."""
    return write_checkpoint(
        path,
        (
            (f"{escape(layer)}/{_CUSTOMARY.get(role, role)}", array)
            for layer, role, array in arrays(source)
        ),
    )


FORMAT = Format("checkpoint", ".ckpt", write, files=bundle.files, tensorflow=False)
