"""`.keras`: a Keras archive that Keras alone loads, with our record as one more member."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from caffe2tf.formats import Format
from tfcaffe.twin import MEMBER

if TYPE_CHECKING:
    from caffe2tf.convert import Source


def write(source: Source, path: Path) -> None:
    """Save the model as Keras does."""
    import keras

    from caffe2tf.build import build

    built = build(source)
    built.model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, built.twin.to_json(**source.facts, keras=keras.__version__))


FORMAT = Format("keras", ".keras", write)
