"""Keras models: `.keras`, whole models in `.h5`, and models in memory.

The model is called layer by layer inside a function that TensorFlow traces, each call in a scope
that tells whose ops these are. Layers of which a graph would lose what Caffe can say (recurrent
ones) are not called: one node stands for the whole layer.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

from tf2caffe import dialect
from tf2caffe.graph import Graph
from tf2caffe.graph.concrete import Ends, from_concrete
from tf2caffe.graph.ends import all_fixed, fixed_shapes, free_batches, named
from tf2caffe.graph.identities import only_between, skip_identities
from tf2caffe.ops import keras_layers
from tf2caffe.options import Options
from tf2caffe.sources import Source
from tf2caffe.stepwise import step_by_step, unsaid
from tfcaffe.errors import UnsupportedError
from tfcaffe.keras_files import load_model
from tfcaffe.keras_graph import Body, Calls, Step, functional

_SUFFIXES = (".keras", ".h5", ".hdf5")
_SCOPE = "k"
_PLAIN = re.compile(r"[A-Za-z0-9_.\\/>-]*")  # what TensorFlow allows in a scope


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
        model = load_model(Path(source), options["trust"])
    tracer = _Tracer(model, options)
    graph = tracer.graph()
    graph.notes += tracer.notes
    return Source("a Keras model", model.name, graph, model, files)


_Shapes = list[tuple[int | None, ...] | None]
_Whole = tuple[Any, bool, _Shapes]  # a layer that one node says, if masked, its outputs


class _Tracer:
    """Calls the model's layers inside a traced function."""

    def __init__(self, model: Any, options: Options) -> None:
        self.model, self.options = model, options
        self.functional: Any = functional(model)
        self.notes: list[str] = []
        self._scopes: dict[str, str] = {}  # scope -> Keras layer
        self._layers: list[_Whole] = []
        self._free: list[str] = []
        self._values: dict[int, Any] = {}
        self._marks: dict[tuple[str, int], Any] = {}

    def graph(self) -> Graph:
        """Trace the model, and cut it as the options say."""
        import tensorflow as tf

        inputs = self._inputs()
        outputs: dict[str, Any] = {}

        def run(*tensors: Any) -> Any:
            results = self._run(list(tensors))
            outputs.update(dict(zip(self._output_names(len(results)), results, strict=True)))
            return results

        specs = [
            tf.TensorSpec(shape, dtype, name if name.isidentifier() else None)
            for name, (shape, dtype) in inputs.items()
        ]
        with tf.device("/cpu:0"):
            traced = tf.function(run, autograph=False).get_concrete_function(*specs)
        fed = dict(zip(inputs, traced.graph.inputs[: len(inputs)], strict=True))
        known = {f"{layer}:{i}" if i else layer: t for (layer, i), t in self._marks.items()}
        ends = self._ends(fed, outputs, known)
        graph = from_concrete(traced, ends, self._origin)
        self._restore_layers(graph)
        graph.free = self._free
        skip_identities(graph)
        if self.options["inputs"]:
            only_between(graph)
        return graph

    def _ends(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], known: Mapping[str, Any]
    ) -> Ends:
        """Where the options cut the model: at layers, or inputs."""
        names = {name: name for name in (*inputs, *known)}
        tensors = {**known, **inputs}
        if self.options["inputs"]:
            chosen = named("--inputs", self.options["inputs"], names, "the model")
            inputs = {name: tensors[name] for name in chosen.values()}
        if self.options["outputs"]:
            chosen = named("--outputs", self.options["outputs"], names, "the model")
            outputs = {name: tensors[name] for name in chosen.values()}
        return Ends(
            {name: tensor.name for name, tensor in inputs.items()},
            {name: tensor.name for name, tensor in outputs.items()},
            {name: tuple(tensor.shape) for name, tensor in inputs.items()},
            {mark: tensor.name for mark, tensor in self._marks.items()},
        )

    def _inputs(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Name, shape and type of each input; a free batch is 1."""
        if self.functional is None:
            raise UnsupportedError(
                f"model {self.model.name!r}: has no defined inputs; call it once on data, or make "
                "it a functional model"
                if hasattr(self.model, "_functional")
                else f"model {self.model.name!r}: its layers are wired in Python code; export it "
                "as a SavedModel and convert that"
            )
        known = {_name_of(symbol): symbol for symbol in self.functional.inputs}
        sizes = {name: tuple(symbol.shape) for name, symbol in known.items()}
        shapes = all_fixed(fixed_shapes(sizes, self.options))
        self._free = free_batches(sizes, self.options)
        return {name: (shape, known[name].dtype) for name, shape in shapes.items()}

    def _output_names(self, count: int) -> list[str]:
        names = [_name_of(symbol) for symbol in self.functional.outputs]
        for i, name in enumerate(names):
            if names.index(name) != i:
                names[i] = f"{name}_{i}"
        return names[:count]

    def _run(self, tensors: list[Any]) -> list[Any]:
        found = Calls(self.functional)
        results = self._run_body(found.body, tensors)
        fed = set(found.body.inputs)
        self._marks = {
            place: self._values[number]
            for place, number in found.places.items()
            if number in self._values and number not in fed
        }
        return results

    def _run_body(self, body: Body, tensors: list[Any]) -> list[Any]:
        import keras
        import tensorflow as tf

        values = self._values
        values.update(zip(body.inputs, tensors, strict=True))
        for step in body.steps:
            arguments, keywords = step.arguments(values)
            layer = step.node.operation
            scope = f"{_SCOPE}{len(self._scopes)}"
            self._scopes[scope] = step.name
            with tf.name_scope(f"{scope}/"), _plain_names(layer):  # also within another
                results = keras.tree.flatten(self._call(layer, step, arguments, keywords))
            values.update(zip(step.writes, results, strict=True))
        return [values[number] for number in body.outputs]

    def _call(self, operation: Any, step: Step, arguments: Any, keywords: Any) -> Any:
        import keras
        import tensorflow as tf

        masks = keras.tree.flatten(keywords.get("mask"))
        given = keras.tree.flatten((arguments, _tensors_only(keywords)))
        flat = [t for t in given if isinstance(t, tf.Tensor)]
        masks += [getattr(t, "_keras_mask", None) for t in flat]
        masked = any(mask is not None for mask in masks)
        if type(operation).__name__ == "TimeDistributed" and not masked:
            return self._each_step(operation.layer, step, flat[0])
        steps: Any = nullcontext()
        if type(operation).__name__ in keras_layers():
            reason = self._unsaid(operation, len(flat), masked)
            if not reason and not _is_unrolled(operation):
                return self._whole(operation, masked, flat, arguments, keywords)
            if reason:
                self.notes.append(
                    f"layer {operation.name!r}: {reason}; its steps are traced one by one"
                )
                steps = step_by_step(operation)
        if _takes_training(operation):
            if keywords.get("training") is True and not _trains_by_default(operation):
                self.notes.append(
                    f"layer {operation.name!r}: was called with training=True; it is converted as "
                    "the model's predict() computes it, with training=False"
                )
            keywords = {**keywords, "training": False}
        if mode := getattr(operation, "quantization_mode", None):
            self.notes.append(
                f"layer {operation.name!r}: was quantised ({mode}); its weights are written as the "
                "numbers that they stand for"
            )
        try:
            with steps:
                return operation(*arguments, **keywords)
        except Exception as error:  # Keras raises all kinds on shapes and types it cannot take
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise UnsupportedError(
                f"layer {operation.name!r}: Keras cannot call it: {' '.join(lines[:3])}"
            ) from error

    def _unsaid(self, operation: Any, inputs: int, masked: bool) -> str:
        """Why a recurrent layer is to be traced step by step."""
        import keras

        if not isinstance(operation, keras.layers.RNN | keras.layers.Bidirectional):
            return ""
        written = dialect.load(str(self.options["dialect"]))
        return unsaid(operation, inputs, masked, written)

    def _whole(
        self, operation: Any, masked: bool, flat: list[Any], arguments: Any, keywords: Any
    ) -> list[Any]:
        """A node in the place of a layer."""
        import keras
        import tensorflow as tf

        token = str(len(self._layers))
        shapes = keras.tree.flatten(operation.compute_output_spec(*arguments, **keywords))
        self._layers.append((operation, masked, [tuple(s.shape) for s in shapes]))
        results = tf.raw_ops.PyFunc(
            input=flat, token=token, Tout=[tf.as_dtype(s.dtype) for s in shapes]
        )
        return [tf.ensure_shape(r, s.shape) for r, s in zip(results, shapes, strict=True)]

    def _each_step(self, layer: Any, step: Step, x: Any) -> Any:
        """TimeDistributed: for inference the steps are as good as a larger batch."""
        import keras
        import tensorflow as tf

        batch, steps, *rest = x.shape
        flat = tf.reshape(x, (batch * steps, *rest))
        if step.body and functional(layer):
            results = self._run_body(step.body, [flat])
        else:
            results = keras.tree.flatten(self._call(layer, step, (flat,), {}))
        return [tf.reshape(r, (batch, steps, *r.shape[1:])) for r in results]

    def _restore_layers(self, graph: Graph) -> None:
        """The nodes that stand for whole layers, as ops called after the layer's class."""
        for node in graph.reached():
            if node.op == "PyFunc":
                layer, masked, node.shapes = self._layers[int(node.attrs["token"])]
                node.op = "KerasLayer"
                node.attrs = {"layer": layer, "class": type(layer).__name__, "masked": masked}

    def _origin(self, name: str) -> str:
        return self._scopes.get(name.partition("/")[0], name)


@contextmanager
def _plain_names(operation: Any) -> Iterator[None]:
    """Keras opens a scope of a layer's name, of which TensorFlow takes few letters in a graph."""
    layers = getattr(operation, "_flatten_layers", lambda: [operation])()
    odd = {layer: layer.name for layer in layers if not _PLAIN.fullmatch(layer.name)}
    try:
        for layer in odd:
            layer.name = "layer"
        yield
    finally:
        for layer, name in odd.items():
            layer.name = name


def _tensors_only(keywords: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keywords.items() if key not in ("training", "mask")}


def _is_unrolled(operation: Any) -> bool:
    """Whether a recurrent layer is to be written step by step, so that any cell will do."""
    return bool(getattr(getattr(operation, "forward_layer", operation), "unroll", False))


def _takes_training(operation: Any) -> bool:
    return bool(getattr(operation, "_call_has_training_arg", False))


def _trains_by_default(operation: Any) -> bool:
    """Keras notes such a default as if it had been said: that of Resizing and RandomFlip."""
    said = inspect.signature(operation.call).parameters.get("training")
    return said is not None and said.default is True


def _name_of(symbol: Any) -> str:
    return str(symbol._keras_history.operation.name)
