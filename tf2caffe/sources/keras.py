"""Keras models: `.keras`, whole models in `.h5`, and models in memory.

The model is called layer by layer inside a function that TensorFlow traces, each call in a scope
that tells whose ops these are. Layers of which a graph would lose what Caffe can say (recurrent
ones) are not called: one node stands for the whole layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from tf2caffe.graph import Graph, Read, from_definition, skip_identities
from tf2caffe.inline import inline, resolve
from tf2caffe.ops import keras_layers
from tf2caffe.options import Options
from tf2caffe.sources import Source
from tfcaffe.errors import FileFormatError, UnsupportedError, UsageError
from tfcaffe.keras_graph import calls

_SUFFIXES = (".keras", ".h5", ".hdf5")
_SCOPE = "k"


def takes(source: Any) -> bool:
    """Whether it is one."""
    if isinstance(source, str | PathLike):
        return Path(source).suffix in _SUFFIXES and Path(source).is_file()
    return hasattr(source, "layers") and hasattr(source, "variables")


def open_source(source: Any, options: Options) -> Source:
    """The model's graph.

    Raises:
        FileFormatError: Keras does not load the file; in its own words.
        UnsupportedError: sizes that nobody says.
    """
    files: list[Path] = []
    model = source
    if isinstance(source, str | PathLike):
        files = [Path(source)]
        model = _load(Path(source), options["trust"])
    tracer = _Tracer(model, options)
    graph = tracer.graph()
    graph.notes += tracer.notes
    return Source("a Keras model", model.name, graph, model, files)


def _load(path: Path, trust: bool) -> Any:
    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # Keras raises all kinds on a damaged file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = "" if trust or "unsafe" not in reason.lower() else "; --trust lets its code run"
        raise FileFormatError(f"{path}: Keras cannot load it: {reason}{hint}") from error


class _Tracer:
    """Calls the model's layers inside a traced function."""

    def __init__(self, model: Any, options: Options) -> None:
        self.model, self.options = model, options
        self.functional = getattr(model, "_functional", None) or model
        self.notes: list[str] = []
        self._scopes: dict[str, str] = {}  # scope -> Keras layer
        self._layers: list[Any] = []  # those that one node stands for
        self._marks: dict[tuple[str, int], str] = {}

    def graph(self) -> Graph:
        import tensorflow as tf

        inputs = self._inputs()
        outputs: dict[str, Any] = {}

        def run(*tensors: Any) -> Any:
            results = self._run(list(tensors))
            outputs.update(dict(zip(self._output_names(len(results)), results, strict=True)))
            return results

        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in inputs.values()]
        with tf.device("/cpu:0"):
            traced = tf.function(run, autograph=False).get_concrete_function(*specs)
        definition = traced.graph.as_graph_def(add_shapes=False)
        kept, variables = _variables(definition, traced)
        kept = inline(kept)
        placeholders = [t.op.name for t in traced.graph.inputs[: len(inputs)]]
        graph = from_definition(
            kept,
            {
                name: (node, shape)
                for (name, (shape, _)), node in zip(inputs.items(), placeholders, strict=True)
            },
            {name: resolve(definition, tensor.name) for name, tensor in outputs.items()},
            variables,
            self._origin,
        )
        names = {mark: resolve(definition, tensor) for mark, tensor in self._marks.items()}
        graph.marks = {mark: graph.find(name) for mark, name in names.items()}
        self._restore_layers(graph)
        skip_identities(graph)
        return graph

    def _inputs(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Name, shape and type of each input; a free batch is 1."""
        given: Mapping[str, Sequence[int | None]] = self.options["input_shape"] or {}
        found: dict[str, tuple[tuple[int, ...], Any]] = {}
        symbols = getattr(self.functional, "inputs", None)
        if not symbols:
            raise UnsupportedError(
                f"model {self.model.name!r}: has no defined inputs; call it once on data, or make "
                "it a functional model"
            )
        names = [_name_of(symbol) for symbol in symbols]
        if unknown := given.keys() - set(names):
            raise UsageError(
                f"--input-shape {min(unknown)}: the model's inputs are {', '.join(names)}"
            )
        for name, symbol in zip(names, symbols, strict=True):
            shape = tuple(given.get(name, symbol.shape))
            shape = (shape[0] or 1, *shape[1:]) if shape else shape
            if any(size is None for size in shape):
                raise UsageError(
                    f"input {name!r} has the shape {list(symbol.shape)}: say its sizes with "
                    f"--input-shape {name}=1,H,W,C"
                )
            found[name] = (tuple(int(s or 0) for s in shape), symbol.dtype)
        return found

    def _output_names(self, count: int) -> list[str]:
        names = [_name_of(symbol) for symbol in self.functional.outputs]
        for i, name in enumerate(names):
            if names.index(name) != i:
                names[i] = f"{name}_{i}"
        return names[:count]

    def _run(self, tensors: list[Any]) -> list[Any]:
        if not hasattr(self.functional, "_nodes_by_depth"):
            raise UnsupportedError(
                f"model {self.model.name!r}: its layers are wired in Python code; export it as a "
                "SavedModel and convert that"
            )
        return self._run_functional(self.functional, tensors)

    def _run_functional(self, model: Any, tensors: list[Any]) -> list[Any]:
        import keras
        import tensorflow as tf

        values: dict[int, Any] = dict(zip(map(id, model.inputs), tensors, strict=True))
        for node in calls(model):
            if node.is_input:
                continue
            arguments, keywords = node.arguments.fill_in(values)
            operation = node.operation
            inner = getattr(operation, "_functional", None) or operation
            if hasattr(inner, "_nodes_by_depth"):
                flat = keras.tree.flatten((arguments, _tensors_only(keywords)))
                results = self._run_functional(inner, flat)
            else:
                scope = f"{_SCOPE}{len(self._scopes)}"
                self._scopes[scope] = operation.name
                with tf.name_scope(scope):
                    results = keras.tree.flatten(self._call(operation, node, arguments, keywords))
            values.update(zip(map(id, node.outputs), results, strict=True))
            if model is self.functional:
                for i, result in enumerate(results):
                    self._marks.setdefault((operation.name, i), result.name)
        return [values[id(symbol)] for symbol in model.outputs]

    def _call(self, operation: Any, node: Any, arguments: Any, keywords: Any) -> Any:
        import keras
        import tensorflow as tf

        if type(operation).__name__ in keras_layers():
            flat = [
                t for t in keras.tree.flatten((arguments, keywords)) if isinstance(t, tf.Tensor)
            ]
            token = str(len(self._layers))
            self._layers.append(operation)
            shapes = keras.tree.flatten(operation.compute_output_spec(*arguments, **keywords))
            results = tf.raw_ops.PyFunc(
                input=flat, token=token, Tout=[tf.as_dtype(s.dtype) for s in shapes]
            )
            return [tf.ensure_shape(r, s.shape) for r, s in zip(results, shapes, strict=True)]
        if _takes_training(operation):
            keywords = {**keywords, "training": False}
        return operation(*arguments, **keywords)

    def _restore_layers(self, graph: Graph) -> None:
        """The nodes that stand for whole layers, as ops called after the layer's class."""
        for node in graph.reached():
            if node.op == "PyFunc":
                layer = self._layers[int(node.attrs["token"])]
                node.op = "KerasLayer"
                node.attrs = {"layer": layer, "class": type(layer).__name__}

    def _origin(self, name: str, op: str) -> str:
        return self._scopes.get(name.partition("/")[0], name)


def _tensors_only(keywords: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keywords.items() if key not in ("training", "mask")}


def _takes_training(operation: Any) -> bool:
    return bool(getattr(operation, "_call_has_training_arg", False))


def _name_of(symbol: Any) -> str:
    return str(symbol._keras_history.operation.name)


def _variables(definition: Any, traced: Any) -> tuple[Any, dict[str, Read]]:
    """The graph with plain placeholders where variables are read, and who gives their numbers."""
    import tensorflow as tf

    by_handle = {id(variable.handle): variable for variable in traced.variables}
    captured = {
        placeholder.op.name: by_handle.get(id(tensor), tensor)
        for tensor, placeholder in traced.graph.captures
    }
    readers: dict[str, Read] = {}
    del tf
    for node in definition.node:
        if node.op == "Placeholder" and node.name in captured:
            held = captured[node.name]
            node.attr["dtype"].type = held.dtype.base_dtype.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(held.shape.as_proto())
            readers[node.name] = held.numpy
    return definition, readers
