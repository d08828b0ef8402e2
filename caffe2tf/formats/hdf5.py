"""`.h5` of weights: a group per layer, a data set per role, in TensorFlow's layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caffe2tf.formats import Format
from caffe2tf.formats.npz import arrays
from caffe2tf.source import Source
from tfcaffe.names import escape


def write(source: Source, path: Path) -> Sequence[str]:
    """Layer names are escaped, as HDF5 takes "/" for a path."""
    import h5py

    with h5py.File(path, "w") as file:
        for layer, role, array in arrays(source):
            file.create_dataset(f"{escape(layer)}/{role}", data=array)
    return ()


FORMAT = Format("hdf5", ".h5", write, tensorflow=False)
