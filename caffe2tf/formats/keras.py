"""`.keras`: a Keras archive that Keras alone loads, with our record as one more member."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from caffe2tf.build import build
from caffe2tf.formats import Format
from caffe2tf.source import Source
from tfcaffe.twin import MEMBER


def write(source: Source, path: Path) -> Sequence[str]:
    """Save the model as Keras does.

    Keras's own `.keras` files are put together in memory, weights and all; so the folder that it
    writes as well, straight to the disk, is made the archive here.
    """
    import keras

    built = build(source)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        built.model.save(folder, zipped=False)
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(folder))
            archive.writestr(MEMBER, built.twin.to_json(**source.facts, keras=keras.__version__))
    return built.notes


FORMAT = Format("keras", ".keras", write)
