"""SavedModels: of TensorFlow 2 as functions, of TensorFlow 1 as a graph and its checkpoint."""

from __future__ import annotations

from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

from tf2caffe.graph import Graph
from tf2caffe.graph.concrete import definition_of
from tf2caffe.graph.graph_def import network_of
from tf2caffe.options import Options
from tf2caffe.sources import Source
from tf2caffe.sources.checkpoint import of_meta_graph, signature_name
from tfcaffe.errors import FileFormatError
from tfcaffe.variables.files import open_variables

_FILES = ("saved_model.pb", "saved_model.pbtxt")


def takes(source: Any) -> bool:
    """Whether it is one: its folder, or the file in it."""
    return isinstance(source, str | PathLike) and _file(Path(source)) is not None


def _file(path: Path) -> Path | None:
    if path.name in _FILES:
        return path if path.is_file() else None
    return next((path / name for name in _FILES if (path / name).is_file()), None)


def open_source(source: Any, options: Options) -> Source:
    """The graph of one of its signatures.

    Raises:
        FileFormatError: it is damaged; in TensorFlow's own words.
        UsageError: it has no such signature.
    """
    path = Path(source)
    file = _file(path)
    assert file is not None
    held = _meta_graph(file)
    folder = file.parent
    files = [file, *(f for f in sorted((folder / "variables").glob("*")) if f.is_file())]
    if held.object_graph_def.nodes:
        graph = _of_functions(folder, options)
    else:
        stored = cache(lambda: open_variables(folder))
        graph = of_meta_graph(held, stored, options, options["signature"])
    return Source("a SavedModel", folder.name, graph, files=files)


def _meta_graph(file: Path) -> Any:
    """The graph for serving."""
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        if file.suffix == ".pb":
            model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        else:
            model = text_format.Parse(file.read_text("utf-8"), saved_model_pb2.SavedModel())
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{file}: is no SavedModel: {error}") from error
    graphs = [g for g in model.meta_graphs if "serve" in g.meta_info_def.tags]
    if not graphs and not model.meta_graphs:
        raise FileFormatError(f"{file}: holds no graph")
    return (graphs or model.meta_graphs)[0]


def _of_functions(folder: Path, options: Options) -> Graph:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises all kinds on a damaged folder
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FileFormatError(f"{folder}: TensorFlow cannot load it: {reason}") from error
    name = signature_name(list(loaded.signatures), options["signature"])
    function = loaded.signatures[name]
    inner = function.graph
    count = len(inner.inputs) - len(inner.captures)
    names = sorted(function.structured_input_signature[1])
    inputs = {n: t.name for n, t in zip(names, inner.inputs[:count], strict=True)}
    answers = sorted(function.structured_outputs)
    outputs = {n: t.name for n, t in zip(answers, inner.outputs, strict=True)}
    definition, readers = definition_of(function)
    graph = network_of(definition, readers, options, inputs, outputs, all_runs=True)
    graph.kept = loaded  # its variables live as long as it does
    return graph
