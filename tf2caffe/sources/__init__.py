"""What a network can be read from; each kind is a module with `takes` and `open_source`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from tf2caffe.graph import Graph
from tf2caffe.options import Options
from tfcaffe.errors import UsageError
from tfcaffe.tables import modules


@dataclass
class Source:
    """A network that was read.

    Args:
        kind: what it is, for messages.
        name: what the net is called.
        graph: what it computes.
        keras: the Keras model, where there is one.
        files: what was read, to ask at the end whether it is as it was.
    """

    kind: str
    name: str
    graph: Graph
    keras: Any = None
    files: Sequence[Path] = ()
    notes: list[str] = field(default_factory=list)


def open_source(source: Any, options: Options) -> Source:
    """The network in a file or folder, or in a Keras model in memory.

    Raises:
        UsageError: it is of no kind that is known.
        FileFormatError: it is damaged.
    """
    found: Source = kind_of(source).open_source(source, options)
    return found


def kind_of(source: Any) -> Any:
    """The module that reads such a source; needs no TensorFlow.

    Raises:
        UsageError: it is of no kind that is known.
    """
    for module in modules(__name__, __path__):
        if module.takes(source):
            return module
    if isinstance(source, str | PathLike):
        path = Path(source)
        if path.with_name(f"{path.name}.index").is_file() if path.name else False:
            raise UsageError(
                f"{source}: is a checkpoint without its graph ({path.name}.meta): give the model "
                "as .keras or SavedModel, or fill a prototxt of yours with --prototxt and --mapping"
            )
        if not path.exists():
            raise UsageError(f"{source}: there is no such file")
    raise UsageError(
        f"{source}: is no network that is known: give a .keras file, a whole model in Keras's .h5, "
        "a SavedModel's folder, a frozen graph (.pb), or a checkpoint with its .meta file; with "
        "--prototxt and --mapping the numbers of any checkpoint fill a net of yours"
    )
