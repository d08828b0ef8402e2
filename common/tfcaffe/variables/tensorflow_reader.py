"""TensorFlow's own reader of checkpoints, with its errors in our words.

For what `bundle_reader` leaves to it: V1, variables in slices, and whatever is rare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError
from tfcaffe.variables.base import Array, Shape

_MOST_PACKED = 64  # V1 packs its tables, at the very best so much


class TensorFlowReader:
    """The tensors of a checkpoint.

    Args:
        prefix: of the files.
        files: all of them, for V2 with the index in front.
        user: the checkpoint as users called it, for messages.

    Raises:
        FileFormatError: it is damaged.
    """

    def __init__(self, prefix: Path, files: Sequence[Path], user: Path) -> None:
        import tensorflow as tf

        self._prefix, self._user = prefix, user
        with self._told(f"{user}: cannot be read as a checkpoint"):
            self._reader = tf.train.load_checkpoint(str(prefix))
            shapes = self._reader.get_variable_to_shape_map()
            self._types = self._reader.get_variable_to_dtype_map()
        self.shapes: dict[str, Shape] = {
            name: tuple(int(size) for size in shape) for name, shape in shapes.items()
        }
        self.types = {name: self._types[name].name.removesuffix("_ref") for name in shapes}
        self._check_sizes(files)

    def read(self, name: str) -> Array:
        """The numbers of one (texts as objects).

        Raises:
            FileFormatError: they are damaged.
        """
        with self._told(f"{self._user}: variable {name!r}: cannot be read"):
            value = self._value(name)
        return np.asarray(value, object) if self.types[name] == "string" else np.asarray(value)

    def _value(self, name: str) -> Any:
        import tensorflow as tf

        try:
            return self._reader.get_tensor(name)
        except tf.errors.UnimplementedError:  # V1, a variable in parts
            dtype = self._types[name]
            return tf.raw_ops.RestoreV2(
                prefix=str(self._prefix), tensor_names=[name], shape_and_slices=[""], dtypes=[dtype]
            )[0].numpy()

    def _check_sizes(self, files: Sequence[Path]) -> None:
        """Refuse a tensor that is larger than the files, before any memory is taken for it."""
        index = files[0].suffix == ".index"
        held = sum(file.stat().st_size for file in files[index:])
        most = held if index else held * _MOST_PACKED
        for name, shape in self.shapes.items():
            if self._types[name].size is None:  # texts
                continue
            size = int(np.prod(shape, dtype=object)) * self._types[name].size
            if size < 0 or size > most:
                raise FileFormatError(
                    f"{self._user}: variable {name!r}: claims the shape {shape}, more than the "
                    "files hold; fetch or save it again"
                )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        import tensorflow as tf

        try:
            yield
        except (
            tf.errors.OpError,
            RuntimeError,
            ValueError,
            TypeError,
            KeyError,
            MemoryError,
        ) as error:
            reason = str(getattr(error, "message", error)).strip().splitlines() or [""]
            raise FileFormatError(f"{what}: {reason[0]}; fetch or save it again") from error
