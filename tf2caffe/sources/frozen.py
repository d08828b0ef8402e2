"""Frozen graphs: a GraphDef in a `.pb`, with constants for variables."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from tf2caffe.graph.graph_def import network_of
from tf2caffe.options import Options
from tf2caffe.sources import Source
from tfcaffe.errors import FileFormatError

_SAVED_MODEL = "saved_model.pb"


def takes(source: Any) -> bool:
    """Whether it is one."""
    if not isinstance(source, str | PathLike):
        return False
    path = Path(source)
    return path.suffix == ".pb" and path.is_file() and path.name != _SAVED_MODEL


def open_source(source: Any, options: Options) -> Source:
    """Its graph: placeholders are inputs, what nobody reads is an output, or as the options say.

    Raises:
        FileFormatError: it is no GraphDef.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    path = Path(source)
    try:
        definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    except DecodeError as error:
        raise FileFormatError(f"{path}: is no frozen graph: {error}") from error
    if not definition.node:
        raise FileFormatError(f"{path}: holds no graph")
    return Source("a frozen graph", path.stem, network_of(definition, {}, options), files=[path])
