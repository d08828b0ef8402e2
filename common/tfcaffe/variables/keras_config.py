"""What a Keras model's config says besides the names of its variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ordering:
    """In what a model says that it is not in TensorFlow's usual order.

    Args:
        flat: whether its Flattens go over C, H, W.
        kernels: whether its kernels are OIHW.
        turned: whether they are turned round, as Theano's are.
    """

    flat: bool = False
    kernels: bool = False
    turned: bool = False


def ordering(config: Any, backend: str = "") -> Ordering:
    """What a config says; a Flatten that knows of channels_first goes over H, W, C."""
    found = list(_parts(config))
    first = any(part.get("data_format") == "channels_first" for part in found)
    theano = any(part.get("dim_ordering") == "th" for part in found)
    flattens = [_settings(part) for part in found if part.get("class_name") == "Flatten"]
    kept = not flattens or any(f.get("data_format") != "channels_first" for f in flattens)
    return Ordering(theano or (first and kept), theano, backend == "theano")


def _parts(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a config."""
    waiting = [config]
    while waiting:
        at = waiting.pop()
        if isinstance(at, list):
            waiting += at
        elif isinstance(at, Mapping):
            yield at
            waiting += at.values()


def epsilons(config: Any) -> dict[str, float]:
    """The epsilon of every BatchNormalization by its layer's name, those of nested models too.

    A name that stands for two of them with different epsilons is left out.
    """
    found: dict[str, float] = {}
    twice: set[str] = set()
    for at in _parts(config):
        settings = at.get("config")
        if at.get("class_name") == "BatchNormalization" and isinstance(settings, Mapping):
            name, value = str(settings.get("name", "")), settings.get("epsilon")
            if isinstance(value, int | float) and found.setdefault(name, float(value)) != value:
                twice.add(name)
    return {name: value for name, value in found.items() if name not in twice}


def _settings(part: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = part.get("config")
    return settings if isinstance(settings, Mapping) else {}
