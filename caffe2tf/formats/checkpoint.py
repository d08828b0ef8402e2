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

# TensorFlow's customary names; other roles stay as they are.
_CUSTOMARY = {
    "weights": "weights",
    "bias": "biases",
    "mean": "moving_mean",
    "variance": "moving_variance",
}


def write(source: Source, path: Path) -> Sequence[str]:
    """Layer names are escaped: only then can a variable bear them."""
    import tensorflow as tf

    found = list(arrays(source))
    names = [f"{escape(layer)}/{_CUSTOMARY.get(role, role)}" for layer, role, _ in found]
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[array for _, _, array in found],
    )
    return ()


def files(prefix: Path) -> list[Path]:
    """TensorFlow's two files for a prefix."""
    return [Path(f"{prefix}.index"), Path(f"{prefix}.data-00000-of-00001")]


FORMAT = Format("checkpoint", ".ckpt", write, files=files)
