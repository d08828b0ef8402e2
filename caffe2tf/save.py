"""Writes a built model in the formats that users name."""

from __future__ import annotations

import zipfile
from pathlib import Path

from caffe2tf.build import Built
from tfcaffe.twin import MEMBER


def save_keras(built: Built, path: Path, facts: dict[str, str]) -> None:
    """A `.keras` archive that Keras alone loads, with our record as one more member."""
    built.model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, built.twin.to_json(**facts))
