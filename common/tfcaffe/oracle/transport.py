"""Arrays between this process and a worker: .npy files in a folder of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tfcaffe.oracle.records import Array, LayerRun, Run

Key = TypeVar("Key")
MAP_BYTES = 1 << 20


def save_arrays(arrays: Mapping[Key, ArrayLike], folder: Path, stem: str) -> dict[Key, str]:
    """Writes arrays as float32 (Caffe's blobs are) and C-contiguous; the files' paths by key."""
    files = {}
    for number, (key, array) in enumerate(arrays.items()):
        file = folder / f"{stem}-{number}.npy"
        np.save(file, np.asarray(array, dtype=np.float32, order="C"))
        files[key] = str(file)
    return files


def load_run(answer: Mapping[str, Any]) -> Run:
    """A worker's answer with its arrays, which stay valid when the files are deleted."""
    layers = tuple(
        LayerRun(
            name=layer["name"],
            type=layer["type"],
            bottoms=tuple(layer["bottoms"]),
            tops=tuple(layer["tops"]),
            arrays=tuple(_load(Path(file)) for file in layer["files"]),
        )
        for layer in answer["layers"]
    )
    return Run(layers, tuple(answer["inputs"]), tuple(answer["outputs"]))


def _load(file: Path) -> Array:
    """A read-only array; a big one is mapped, and outlives its file's name."""
    big = file.stat().st_size >= MAP_BYTES
    array: Array = np.load(file, mmap_mode="r" if big else None, allow_pickle=False)
    array.setflags(write=False)
    return array.view(np.ndarray)
