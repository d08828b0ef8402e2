"""`.npz`: arrays by `layer/role`, in TensorFlow's layout; TensorFlow is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffe2tf.formats import Format
from caffe2tf.merge import batch_norm_scales
from caffe2tf.source import Source
from tfcaffe.errors import UsageError
from tfcaffe.variables.kinds.npz import write as write_npz


def write(source: Source, path: Path) -> Sequence[str]:
    """One array per blob of the net; a merged pair bears the BatchNorm's name."""
    return write_npz(path, ((f"{layer}/{role}", array) for layer, role, array in arrays(source)))


def arrays(source: Source) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """(Caffe's layer name, role, array in TensorFlow's layout) of every blob that a layer owns.

    Raises:
        UsageError: there are no weights.
    """
    if source.binding is None:
        raise UsageError("an output of weights needs the WEIGHTS file")
    merged = {} if source.keep_scale else batch_norm_scales(source.plan)
    for i, entry in enumerate(source.plan.layers):
        values = source.binding.values(i) if entry.params else {}
        name = source.plan.layers[merged.get(i, i)].layer.name
        for j, param in enumerate(entry.params):
            if param.role and entry.owners[j] == (i, j):
                array = param.layout.to_tf(values[param.role])
                yield name, param.role, np.ascontiguousarray(array)


FORMAT = Format("npz", ".npz", write, tensorflow=False)
