"""Which layer a node of a graph without Keras's record belongs to: by the scopes in its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from os.path import commonpath
from typing import Any

_LEARNED = frozenset(
    [
        "Conv2D",
        "_FusedConv2D",
        "_FusedDepthwiseConv2dNative",
        "_FusedMatMul",
        "Conv3D",
        "DepthwiseConv2dNative",
        "Conv2DBackpropInput",
        "MatMul",
        "FusedBatchNorm",
        "FusedBatchNormV3",
        "Rsqrt",
    ]
)
_INNER = "/batchnorm"  # what tf.nn.batch_normalization calls its own scope


def scopes(definition: Any) -> Callable[[str], str]:
    """A function that names a node's layer.

    A scope with one op that learns, and no such scope in it, is a layer, and called as it is within
    the scope that all of them share. Any other node is a layer of its own.
    """
    learned = [node.name for node in definition.node if node.op in _LEARNED]
    own = Counter(map(_parent, learned))
    outer = {above for scope in own for above in _above(scope)}
    shared = _shared(list(own))
    again = "_1" if own and all(scope.endswith("_1") for scope in own) else ""

    def origin(name: str) -> str:
        scope = _parent(name)
        if own[scope] == 1 and scope not in outer:  # Keras's export calls all of them a second time
            return scope.removeprefix(shared).removesuffix(again) or name
        return name.removeprefix(shared) or name

    return origin


def _parent(name: str) -> str:
    return name.rpartition("/")[0].removesuffix(_INNER)


def _above(scope: str) -> Iterable[str]:
    while "/" in scope:
        scope = scope.rpartition("/")[0]
        yield scope


def _shared(names: Collection[str]) -> str:
    """The scope that all are in, with its slash."""
    whole = commonpath(names) if names else ""
    if whole in names:  # one of them itself
        whole = _parent(whole)
    return f"{whole}/" if whole else ""
