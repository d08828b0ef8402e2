"""TensorFlow without its chatter, for commands: on the CPU, and with stderr left to us."""

import os
from pathlib import Path


def set_environment() -> None:
    """Whoever imports TensorFlow from now on, such as a plugin: no GPU, errors only."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def quiet_tensorflow() -> None:
    """Import TensorFlow in that environment.

    Some lines that it writes while it is imported heed no setting, so stderr is shut meanwhile;
    an import that fails still raises.
    """
    set_environment()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import keras  # noqa: F401
        import tensorflow as tf

        tf.constant(0)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def quiet_for(*variables: Path | None, run: bool = False) -> None:
    """Either of these, by what is to be read.

    Args:
        variables: files of variables.
        run: whether a model is run as well.

    Raises:
        FileFormatError: one of them cannot be read.
    """
    from tfcaffe.variables.files import needs_tensorflow

    if run or any(path is not None and needs_tensorflow(path) for path in variables):
        quiet_tensorflow()
    else:
        set_environment()
