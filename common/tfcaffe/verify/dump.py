"""Both sides' blobs as `.npy` files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from tfcaffe.output import DUMP_INDEX
from tfcaffe.twin import BlobTwin
from tfcaffe.verify.compare import Array

_LONGEST = 60  # characters of a name that a file's name keeps
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Dump:
    """Writes `0001-layer-blob.caffe.npy` and `….tensorflow.npy` in Caffe's layout.

    `index.json` says which files belong to which layer and blob, whatever their names are. Use it
    as a context manager: the index is written at its end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: list[dict[str, str]] = []

    def __enter__(self) -> Dump:
        self.folder.mkdir()
        return self

    def __exit__(self, *error: object) -> None:
        text = json.dumps({"blobs": self._entries}, ensure_ascii=False, indent=1)
        (self.folder / DUMP_INDEX).write_text(text, encoding="utf-8", errors="surrogateescape")

    def __call__(self, blob: BlobTwin, caffe: Array, tensorflow: Array) -> None:
        stem = f"{len(self._entries):04d}-{_safe(blob.layer)}-{_safe(blob.blob)}"
        files = {"caffe": f"{stem}.caffe.npy", "tensorflow": f"{stem}.tensorflow.npy"}
        np.save(self.folder / files["caffe"], caffe)
        np.save(self.folder / files["tensorflow"], tensorflow)
        self._entries.append({"layer": blob.layer, "blob": blob.blob, "node": blob.node, **files})


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)[:_LONGEST]
