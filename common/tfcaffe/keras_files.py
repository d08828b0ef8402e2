"""Whole Keras models in files: `.keras`, and `.h5` of any Keras that Keras 3 still reads."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError, UnsupportedError
from tfcaffe.interrupts import interruptible

_UNKNOWN = re.compile(r"Could not locate class '([^']+)'|Unknown layer: '([^']+)'")
_KERNEL = 3  # axes that a convolution's kernel has at least
_TURNED = {  # layers whose kernels Theano turned round, and these
    **dict.fromkeys(["Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"], ("kernel",)),
    "ConvLSTM2D": ("kernel", "recurrent_kernel"),
}


def load_model(path: Path, trust: bool = False) -> Any:
    """The model.

    Args:
        trust: whether code in it may run (Lambda layers).

    Raises:
        FileFormatError: Keras does not load it; in its own words.
        UnsupportedError: it was written under Theano, with layers of which nobody can say how.
    """
    import keras

    backend, version = _written_by(path)
    try:
        with interruptible():
            model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # Keras raises all kinds on a damaged file
        raise FileFormatError(f"{path}: {_reason(error, version, trust)}") from error
    if backend == "theano":
        _turn_kernels(model, path)
    if version[:2] in ("1.", "2."):
        _restore_hard_sigmoids(model)
    return model


def _turn_kernels(model: Any, path: Path) -> None:
    """Theano convolves, so its kernels lie turned round along their spatial axes, which come first.

    Source: keras/engine/saving.py of Keras 2.3 (preprocess_weights_for_loading).

    Raises:
        UnsupportedError: other layers have kernels, which Keras 2 did not turn back.
    """
    done = set()
    for layer in model._flatten_layers():
        for name in _TURNED.get(type(layer).__name__, ()):
            kernel = getattr(getattr(layer, "cell", layer), name)
            axes = range(len(kernel.shape) - 2)
            kernel.assign(np.flip(np.asarray(kernel), tuple(axes)))
            done.add(id(kernel))
    left = [v.path for v in model.variables if len(v.shape) >= _KERNEL and id(v) not in done]
    if left:
        raise UnsupportedError(
            f"{path}: was written under Theano, which turns the kernels of convolutions round, and "
            f"nobody says whether {left[0]!r} is one; load it with Keras 2.3 or older under "
            "TensorFlow and save it there, or fill a prototxt of yours by a mapping with "
            "`reverse: [H, W]`"
        )


def _restore_hard_sigmoids(model: Any) -> None:
    """What Keras 1 and 2 meant by the name; Keras 3 means relu6(x + 3) / 6.

    Source: keras/backend/tensorflow_backend.py of Keras 2.3 (hard_sigmoid).
    """
    from keras import activations, ops

    def hard_sigmoid(x: Any) -> Any:
        return ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    for layer in model._flatten_layers():
        for name in ("activation", "recurrent_activation"):
            if vars(layer).get(name) is activations.hard_sigmoid:
                setattr(layer, name, hard_sigmoid)


def _written_by(path: Path) -> tuple[str, str]:
    """The backend and version of the Keras that wrote a file; empty where nothing says so."""
    import h5py

    found: Any = {}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found = json.loads(archive.read("metadata.json"))
        elif path.is_file() and h5py.is_hdf5(path):
            with h5py.File(path) as file:
                found = {**getattr(file.get("model_weights"), "attrs", {}), **file.attrs}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):  # damaged, of which Keras tells
        pass
    said = (found.get(name, "") for name in ("backend", "keras_version"))
    backend, version = (s.decode() if isinstance(s, bytes) else str(s) for s in said)
    return backend, version


def _reason(error: Exception, version: str, trust: bool) -> str:
    """Why Keras does not load a file, and the way out."""
    told = str(error)
    if "No model config" in told:
        return (
            "holds weights without their model; build the model, load them, and save it as "
            ".keras; or fill a prototxt with --prototxt and --mapping"
        )
    reason = (told.strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if unknown := _UNKNOWN.search(told):
        reason = f"it does not know the class {unknown[1] or unknown[2]!r}"
    if not trust and "unsafe" in told.lower():
        return f"Keras cannot load it: {reason}; --trust lets its code run"
    old = version and not version.startswith("3")
    way = (
        f"it was written by Keras {version}; load it with that, or with tf_keras, and save it as "
        "a SavedModel"
        if old
        else "register it in a --plugin FILE.py, or convert the model in memory"
        if unknown
        else ""
    )
    return f"Keras cannot load it: {reason}" + (f"; {way}" if way else "")
