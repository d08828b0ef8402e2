"""Names for the variables of a Keras 3 weights file, which is keyed by structure.

The names are Keras's paths as the model had them when it was built: `conv/kernel`,
`bi/forward_lstm/lstm_cell/bias`, in a Sequential `sequential/dense/kernel`, in a Sequential with an
input of its own or a functional model within another without that one's name. (A Sequential without
an input that is built by the model around it has that one's name in front; the file looks the same,
and the name here is the short one. Keras itself gives others after loading.) They come from
the file's groups, where an attribute holds the layer's name, and from the model's config, which
tells a layer's variables; Keras is not asked, and nothing of the model is made. A layer of a class
that is not known here, or with another number of variables, has its variables numbered:
`layer/0`. Sources: saving_lib.py, and the order of add_weight in each layer's build.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfcaffe.variables.base import Role, Variable, natural
from tfcaffe.variables.h5tree import Data, Group, text

_LAYERS = ("layers", "_layer_checkpoint_dependencies")  # the second: Keras 2.12
_VARS = "vars"
_SEED = "seed_generator"
_METRICS = ("metrics", "compile_metrics")

_KERNEL = ("kernel", "bias")
_CELL = ("kernel", "recurrent_kernel", "bias")
_NORM = ("gamma", "beta")
_ROLES: dict[str, tuple[str, ...]] = {
    "Dense": _KERNEL,
    "Conv1D": _KERNEL,
    "Conv2D": _KERNEL,
    "Conv3D": _KERNEL,
    "Conv1DTranspose": _KERNEL,
    "Conv2DTranspose": _KERNEL,
    "Conv3DTranspose": _KERNEL,
    "DepthwiseConv1D": _KERNEL,
    "DepthwiseConv2D": _KERNEL,
    "SeparableConv1D": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "BatchNormalization": (*_NORM, "moving_mean", "moving_variance"),
    "LayerNormalization": _NORM,
    "GroupNormalization": _NORM,
    "PReLU": ("alpha",),
    "Embedding": ("embeddings",),
    "LSTMCell": _CELL,
    "GRUCell": _CELL,
    "SimpleRNNCell": _CELL,
}
_UNLESS = {  # the setting without which a layer lacks the variable
    "bias": "use_bias",
    "gamma": "scale",
    "beta": "center",
}
_CELLS = {"LSTM": "LSTMCell", "GRU": "GRUCell", "SimpleRNN": "SimpleRNNCell"}


@dataclass(frozen=True)
class _Found:
    """One variable: its name, and that with all models around it, if the short one is taken."""

    name: str
    full: str
    data: Data
    role: Role = ""

    def variable(self, name: str) -> Variable:
        return self.data.variable(name, role=self.role)


def named(root: Group, config: Mapping[str, Any] | None, version: str = "3") -> list[Variable]:
    """The variables of a weights file, in the order of the model's layers.

    Args:
        root: the file.
        config: `config.json`; without it, variables are numbered in each layer: `layer/0`.
        version: Keras's; in Keras 2 a Sequential is no scope.
    """
    scoped = () if version.startswith("2.") else ("Sequential",)
    found = list(_Walk(scoped).layer(root, config or {}, (), ()))
    short = Counter(entry.name for entry in found)
    return [v.variable(v.name if short[v.name] == 1 else v.full) for v in found]


@dataclass(frozen=True)
class _Walk:
    """The way through a file's groups.

    Args:
        scoped: classes of models whose layers are built in their scope.
    """

    scoped: tuple[str, ...]

    def layer(
        self, group: Group, config: Mapping[str, Any], scope: Sequence[str], models: Sequence[str]
    ) -> Iterator[_Found]:
        """What a layer's group holds, and those of the layers within it.

        Args:
            group: the layer's.
            config: its serialised form (`class_name`, `config`), empty where it is not known.
            scope: what stands before its own name.
            models: the same with the names of all models around it.
        """
        name = _name(group, config)
        children = next((group.groups[key] for key in _LAYERS if key in group.groups), None)
        if children is None:
            here, whole = (*scope, name), (*models, name)
            yield from _own(group, config, here, whole)
        else:
            here = (name,) if config.get("class_name") in self.scoped else ()
            whole = (*models, name)
            listed = _settings(config).get("layers")
            yield from self._layers(
                children, listed if isinstance(listed, list) else [], here, whole
            )
        for key, child in sorted(group.groups.items(), key=lambda item: _order(item[0])):
            if not group.place and key in (*_METRICS, "optimizer"):
                yield from _training(child)
            elif key != _VARS and key not in _LAYERS:
                yield from self.layer(child, _inner(config, key), here, whole)

    def _layers(
        self, group: Group, configs: Sequence[Any], scope: Sequence[str], models: Sequence[str]
    ) -> Iterator[_Found]:
        """A model's layers, in the config's order; without one in that of class and number."""
        keyed = _keys(configs)
        named = {_config_name(config): config for config in configs}
        places = {id(config): place for place, config in enumerate(configs)}
        found = []
        for key, child in group.groups.items():
            name = _attribute(child)
            config = named.get(name, {}) if name else keyed.get(key, {})
            found.append((places.get(id(config), len(places)), natural(key), child, config))
        for _, _, child, config in sorted(found, key=lambda entry: entry[:2]):
            yield from self.layer(child, config, scope, models)


def _keys(configs: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    """A model's layers by the keys that Keras gives them: class and number."""
    counts: Counter[str] = Counter()
    found = {}
    for config in configs:
        if not isinstance(config, Mapping) or ".ops." in str(config.get("module")):
            continue
        snake = _snake(str(config.get("class_name")))
        found[f"{snake}_{counts[snake]}" if counts[snake] else snake] = config
        counts[snake] += 1
    return found


def _snake(name: str) -> str:
    """Source: naming.py, to_snake_case."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _own(
    group: Group, config: Mapping[str, Any], scope: Sequence[str], models: Sequence[str]
) -> Iterator[_Found]:
    data = group.groups[_VARS].data if _VARS in group.groups else {}
    seed = group.place.endswith(f"/{_SEED}")
    roles = ("seed_generator_state",) if seed else _roles(config)
    keys = sorted(data, key=natural)
    if keys != [str(i) for i in range(len(roles))]:
        roles = tuple(keys)
    for key, role in zip(keys, roles, strict=True):
        tails = [part for part in (*scope, role) if part], [p for p in (*models, role) if p]
        yield _Found("/".join(tails[0]), "/".join(tails[1]), data[key], "counter" if seed else "")


def _roles(config: Mapping[str, Any]) -> tuple[str, ...]:
    settings = _settings(config)
    roles = _ROLES.get(str(config.get("class_name")), ())
    return tuple(role for role in roles if settings.get(_UNLESS.get(role, ""), True))


def _training(group: Group) -> Iterator[_Found]:
    """An optimizer's variables and metrics: scalars are counters and rates, all others slots."""
    for data in group.all_data():
        name = data.place.removeprefix("/").replace("/vars/", "/")
        yield _Found(name, name, data, "slot" if data.shape else "counter")


def _order(key: str) -> tuple[bool, list[tuple[int, str]]]:
    """Attributes by name, but forward before backward."""
    return key != "forward_layer", natural(key)


def _inner(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The config of a layer within another one (a wrapper's, a recurrent layer's cell)."""
    settings = _settings(config)
    inner = settings.get(key.removeprefix("_"))
    if key in ("forward_layer", "backward_layer") and not inner:
        inner = settings.get("layer")
    if isinstance(inner, Mapping) and "class_name" in inner:
        return inner
    cell = _CELLS.get(str(config.get("class_name")))
    if key == "cell" and cell:
        return {"class_name": cell, "config": {**settings, "name": ""}}
    return {}


def _settings(config: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = config.get("config")
    return settings if isinstance(settings, Mapping) else {}


def _config_name(config: Any) -> str:
    return str(_settings(config).get("name", "")) if isinstance(config, Mapping) else ""


def _attribute(group: Group) -> str:
    inner = group.groups.get(_VARS)
    return text(inner.attributes.get("name", "")) if inner else ""


def _name(group: Group, config: Mapping[str, Any]) -> str:
    """The layer's name: the file's attribute (since Keras 3.7), the config's, or its key."""
    return _attribute(group) or _config_name(config) or group.place.rpartition("/")[2]
