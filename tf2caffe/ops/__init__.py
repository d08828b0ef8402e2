"""One function per op: how it is said in Caffe's layers. Files in this folder find themselves.

A rule is given a `Site` (tf2caffe.net.site): the node, its inputs as blobs or as numbers, and ways
to add layers. It returns the value of each output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from tfcaffe.tables import add_to, modules, table

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
    return add_to(_OPS, names)


def keras_layer(*names: str) -> Callable[[_R], _R]:
    """Decorator: the rule of Keras layers of these classes, of which a graph loses too much."""
    return add_to(_LAYERS, names)


def no_op(*names: str) -> Callable[[_R], _R]:
    """Decorator: why these ops cannot be said; a plugin may know better, and have a rule."""
    return add_to(_NO_OPS, names)


def no_layer(*names: str) -> Callable[[_R], _R]:
    """As `no_op`, for Keras layers."""
    return add_to(_NO_LAYERS, names)


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
    modules(__name__, __path__)
