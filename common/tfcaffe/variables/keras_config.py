"""What a Keras model's config says besides the names of its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def epsilons(config: Any) -> dict[str, float]:
    """The epsilon of every BatchNormalization by its layer's name, those of nested models too.

    A name that stands for two of them with different epsilons is left out.
    """
    found: dict[str, float] = {}
    twice: set[str] = set()
    waiting = [config]
    while waiting:
        at = waiting.pop()
        if isinstance(at, list):
            waiting += at
        if not isinstance(at, Mapping):
            continue
        waiting += at.values()
        settings = at.get("config")
        if at.get("class_name") == "BatchNormalization" and isinstance(settings, Mapping):
            name, value = str(settings.get("name", "")), settings.get("epsilon")
            if isinstance(value, int | float) and found.setdefault(name, float(value)) != value:
                twice.add(name)
    return {name: value for name, value in found.items() if name not in twice}
