"""Keras's old HDF5 files: whole models and weights alone, of Keras 1, 2 and 3."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfcaffe.errors import FileFormatError
from tfcaffe.variables.base import Variable, Variables, gathered, some
from tfcaffe.variables.h5tree import SIGNATURE, Data, Group, Source, text, tree
from tfcaffe.variables.keras_config import Ordering, epsilons, ordering
from tfcaffe.variables.kinds import Kind, Place

_MODEL = "model_weights"
_LAYERS = "layer_names"
_WEIGHTS = "weight_names"
_TOP = "top_level_model_weights"
_OPTIMIZER = "optimizer_weights"


def _has_layers(group: Group) -> bool:
    return _LAYERS in group.attributes or f"{_LAYERS}0" in group.attributes


def _takes(place: Place) -> bool:
    if not place.head.startswith(SIGNATURE):
        return False
    root = tree(Source.of(place.path))
    return _MODEL in root.groups or _has_layers(root)


def read(path: Path, like: Path | None = None) -> Variables:
    """The variables by the names that the file lists for each layer, in the layers' order.

    Raises:
        FileFormatError: it is damaged, or lists what it does not hold.
    """
    root = tree(Source.of(path))
    model = root.groups.get(_MODEL, root)
    found: list[tuple[str, Variable]] = []
    layers = model.names(_LAYERS)
    for layer in [*layers, *([_TOP] if _TOP in model.groups and _TOP not in layers else [])]:
        group = model.find(layer)
        if not isinstance(group, Group):
            raise FileFormatError(f"{path}: lists a layer {layer!r} that it does not hold")
        found += [(layer, _variable(path, group, layer, name)) for name in group.names(_WEIGHTS)]
    names = Counter(variable.name for _, variable in found)
    variables = [v if names[v.name] == 1 else _longer(layer, v) for layer, v in found]
    if _OPTIMIZER in root.groups:
        variables += _optimizer(root.groups[_OPTIMIZER])
    notes = [f"{some(other)}: no numbers, left out"] if (other := root.all_other()) else []
    config = _config(path, root)
    backend = text(model.attributes.get("backend", root.attributes.get("backend", "")))
    order = ordering(config, backend)
    notes += _about_order(order)
    read = gathered(path, "a Keras HDF5 file", variables, notes, [path])
    return replace(read, epsilons=epsilons(config), ordering=order)


def _variable(path: Path, group: Group, layer: str, name: str) -> Variable:
    data = group.find(name)
    if not isinstance(data, Data):
        raise FileFormatError(f"{path}: layer {layer!r} lists {name!r}, which it does not hold")
    short = name.removesuffix(":0")
    short = re.sub(rf"^{re.escape(layer)}_\d+/", f"{layer}/", short)  # Keras 2, loaded and saved
    if "/" not in short:  # Keras 1: `conv_W`, `conv_b`, or `param_0`
        short = f"{layer}/{short.removeprefix(f'{layer}_')}"
    return data.variable(short, role="counter" if short.endswith("seed_generator_state") else "")


def _longer(layer: str, variable: Variable) -> Variable:
    """With the layer in front: nested models may have layers of one name."""
    return replace(variable, name=f"{layer}/{variable.name}")


def _optimizer(group: Group) -> list[Variable]:
    """Scalars are counters and rates, all others slots."""
    found = []
    for data in group.all_data():
        name = data.place.removeprefix("/").removesuffix(":0")
        found.append(data.variable(name, role="slot" if data.shape else "counter"))
    return found


def _config(path: Path, root: Group) -> Any:
    """The model's config; None where the file has weights alone."""
    if "model_config" not in root.attributes:
        return None
    try:
        return json.loads(text(root.attributes["model_config"]))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: its model_config is no JSON: {error}") from error


def _about_order(said: Ordering) -> list[str]:
    """Notes on kernels and inputs that are not in TensorFlow's order."""
    notes = []
    if said.turned:
        notes.append(
            "written under Theano, which convolves: the kernels of convolutions are turned round; "
            "say `reverse: [H, W]` in the mapping"
        )
    if said.kernels:
        notes.append("the model says dim_ordering th: its kernels are OIHW (`layout: OIHW`)")
    if said.flat:
        notes.append("the model says channels first: its Flatten goes over C, H, W")
    return notes


KIND = Kind(_takes, read)
