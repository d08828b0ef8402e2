"""HDF5 of data sets by `layer/role`, as `caffe2tf convert -o OUT.h5` writes it."""

from __future__ import annotations

from pathlib import Path

from tfcaffe.variables.base import Variables, gathered, some
from tfcaffe.variables.h5tree import SIGNATURE, Source, tree
from tfcaffe.variables.kinds import Kind, Place, keras_legacy, keras_weights
from tfcaffe.variables.roles import with_roles


def _takes(place: Place) -> bool:
    others = (keras_legacy.KIND, keras_weights.KIND)
    return place.head.startswith(SIGNATURE) and not any(kind.takes(place) for kind in others)


def read(path: Path, like: Path | None = None) -> Variables:
    """Each data set by its path.

    Raises:
        FileFormatError: it is damaged.
    """
    root = tree(Source.of(path))
    found = [data.variable(data.place.removeprefix("/")) for data in root.all_data()]
    notes = [f"{some(other)}: no numbers, left out"] if (other := root.all_other()) else []
    return gathered(path, "an HDF5 file", with_roles(found), notes, [path])


KIND = Kind(_takes, read)
