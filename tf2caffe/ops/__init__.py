"""One function per op: how it is said in Caffe's layers. Files in this folder find themselves.

A rule is given a `Site` (tf2caffe.net.site): the node, its inputs as blobs or as numbers, and ways
to add layers. It returns the value of each output.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from tfcaffe.tables import table

if TYPE_CHECKING:
    from tf2caffe.net.site import Site
    from tf2caffe.net.value import Value

Rule = Callable[["Site"], "Value | Sequence[Value]"]
_R = TypeVar("_R", bound=Rule)
_OPS: dict[str, Rule] = table()
_LAYERS: dict[str, Rule] = table()
_NO_OPS: dict[str, Rule] = table()
_NO_LAYERS: dict[str, Rule] = table()


def op(*names: str) -> Callable[[_R], _R]:
    """Decorator: the rule of these TensorFlow ops."""
    return _register(_OPS, names)


def keras_layer(*names: str) -> Callable[[_R], _R]:
    """Decorator: the rule of Keras layers of these classes, of which a graph loses too much."""
    return _register(_LAYERS, names)


def no_op(*names: str) -> Callable[[_R], _R]:
    """Decorator: why these ops cannot be said; a plugin may know better, and have a rule."""
    return _register(_NO_OPS, names)


def no_layer(*names: str) -> Callable[[_R], _R]:
    """As `no_op`, for Keras layers."""
    return _register(_NO_LAYERS, names)


def _register(rules: dict[str, Rule], names: Sequence[str]) -> Callable[[_R], _R]:
    def add(rule: _R) -> _R:
        for name in names:
            if name in rules:
                raise ValueError(f"{name} is registered twice")
            rules[name] = rule
        return rule

    return add


def ops() -> dict[str, Rule]:
    """All rules of ops."""
    _load()
    return _NO_OPS | _OPS


def keras_layers() -> dict[str, Rule]:
    """All rules of Keras layers."""
    _load()
    return _NO_LAYERS | _LAYERS


@cache
def _load() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
