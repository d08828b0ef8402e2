"""A functional Keras model, run node by node so that every tensor can be seen and replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import UsageError
from tfcaffe.keras_files import load_model
from tfcaffe.keras_graph import Body, Calls, functional
from tfcaffe.verify.compare import Array
from tfcaffe.verify.model import Instead, ModelError, Place, Visit, first_line


def load(path: Path, trust: bool = False) -> KerasModel:
    """A `.keras` file, or a whole model in Keras's `.h5`.

    Raises:
        FileFormatError: Keras does not load it; in its own words.
    """
    return KerasModel(load_model(path, trust), str(path))


class KerasModel:
    """Implements `Model` for a functional or sequential model.

    Raises:
        UsageError: a model whose layers are wired in Python code only.
    """

    by_blob = False
    sees_inside = True

    def __init__(self, model: Any, name: str) -> None:
        import keras

        found = functional(model) if isinstance(model, keras.Model) else None
        if found is None:
            raise UsageError(f"{name}: is no functional Keras model, so its layers cannot be seen")
        self.name = name
        self.model = found
        self.inputs = tuple(t._keras_history.operation.name for t in found.inputs)
        self._calls = Calls(found)
        fed = zip(self.inputs, self._calls.body.inputs, strict=True)
        self._places: dict[Place, int] = {**self._calls.places, **{(n, 0): t for n, t in fed}}
        places = {number: place for place, number in self._places.items()}
        self.outputs = tuple(places[number] for number in self._calls.body.outputs)
        self._within = False

    def feed_at(self, names: Sequence[str]) -> None:
        self.inputs, self._within = tuple(names), True

    def has(self, place: Place) -> bool:
        return place in self._places

    def run(
        self,
        feeds: Mapping[str, Array],
        watched: Collection[Place],
        visit: Visit,
        instead: Instead | None = None,
    ) -> None:
        """Step by step: a tensor is forgotten as soon as nothing reads it any more."""
        from keras import ops

        places: dict[int, list[Place]] = {}
        for place in watched:
            places.setdefault(self._places[place], []).append(place)
        body = self._calls.body
        if self._within:
            body = _between(body, [self._places[name, 0] for name in self.inputs], places)
            fed = [ops.convert_to_tensor(feeds[name]) for name in self.inputs]
        else:
            symbols = zip(self.inputs, self.model.inputs, strict=True)
            fed = [ops.convert_to_tensor(feeds[name], symbol.dtype) for name, symbol in symbols]
        self._run(body, fed, _Watch(places, visit, instead))

    def _run(self, body: Body, inputs: Sequence[Any], watch: _Watch) -> None:
        from keras import tree

        uses = Counter(number for step in body.steps for number in step.reads)
        values: dict[int, Any] = {}

        def keep(numbers: Sequence[int], made: Sequence[Any]) -> None:
            for number, value in zip(numbers, made, strict=True):
                kept = watch.see(number, value)
                if uses[number]:
                    values[number] = kept

        keep(body.inputs, inputs)
        for step in body.steps:
            arguments, keywords = step.arguments(values)
            layer = step.node.operation
            if getattr(layer, "_call_has_training_arg", False):  # some default to True
                keywords = {**keywords, "training": False}
            try:
                if step.body and any(n in watch.places for s in step.body.steps for n in s.writes):
                    self._run(step.body, [_all_steps(layer, arguments[0])], watch)
                results = tree.flatten(layer(*arguments, **keywords))
            except ModelError:
                raise
            except Exception as error:  # whatever the backend raises on numbers it cannot take
                raise ModelError(
                    f"{self.name}: its node {step.name!r} fails on this input: {first_line(error)}"
                ) from error
            for number in step.reads:
                uses[number] -= 1
                if not uses[number]:
                    values.pop(number, None)
            del arguments, keywords
            keep(step.writes, results)


def _between(body: Body, inputs: Sequence[int], wanted: Collection[int]) -> Body:
    """The steps from some tensors to others."""
    makers = {number: step for step in body.steps for number in step.writes}
    needed: set[int] = set()
    stack = [number for number in wanted if number not in inputs]
    while stack:
        number = stack.pop()
        if number in makers and number not in needed:
            needed.update(makers[number].writes)
            stack += [read for read in makers[number].reads if read not in inputs]
    steps = [step for step in body.steps if needed.intersection(step.writes)]
    return Body(inputs, [*wanted], steps)


@dataclass(frozen=True)
class _Watch:
    """Who looks at the tensors, by number."""

    places: Mapping[int, Sequence[Place]]
    visit: Visit
    instead: Instead | None

    def see(self, number: int, value: Any) -> Any:
        """Have a tensor visited; gives what takes its place."""
        from keras import ops

        for place in self.places.get(number, ()):
            self.visit(place, np.asarray(ops.convert_to_numpy(value)))
            if self.instead is not None and (replaced := self.instead(place)) is not None:
                value = ops.convert_to_tensor(np.ascontiguousarray(replaced), value.dtype)
        return value


def _all_steps(layer: Any, x: Any) -> Any:
    """What a model in TimeDistributed is called with, of all steps as one batch."""
    from keras import ops

    while type(layer).__name__ == "TimeDistributed":
        x, layer = ops.reshape(x, (-1, *x.shape[2:])), layer.layer
    return x
