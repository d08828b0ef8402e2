"""Several ops that mean one thing, each found by a function of its own and replaced by one node.

A pattern is given the last of its ops and the graph. If it matches, it changes that node's op,
inputs and attributes, so that whoever reads the node reads the whole, and returns True; ops that
nobody reads any more are not converted. Names of ops that TensorFlow does not have begin with a
lower-case letter. Patterns of one op are tried in the order of `order`, then of their names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tf2caffe.graph import Graph, Node
from tfcaffe.errors import UnsupportedError
from tfcaffe.tables import add_to, modules, table

Match = Callable[[Node, Graph], bool]
_PATTERNS: dict[str, Match] = table()
_ROOTS: dict[str, tuple[int, tuple[str, ...]]] = {}


def pattern(*roots: str, order: int = 0) -> Callable[[Match], Match]:
    """Decorator: tried at nodes of these ops; a lower `order` sooner."""

    def add(match: Match) -> Match:
        name = f"{match.__module__}.{match.__name__}"
        _ROOTS[name] = (order, roots)
        return add_to(_PATTERNS, [name])(match)

    return add


def rewrite(graph: Graph) -> None:
    """Try all patterns from the inputs to the outputs; those of a lower order come first."""
    _load()
    for order in sorted({order for order, _ in _ROOTS.values()}):
        here = [name for name in sorted(_PATTERNS) if _ROOTS[name][0] == order]
        for node in list(graph.reached()):
            before = list(node.inputs)
            while any(node.op in _ROOTS[name][1] and _matches(name, node, graph) for name in here):
                graph.changed(node, before)
                before = list(node.inputs)


def _matches(name: str, node: Node, graph: Graph) -> bool:
    try:
        return _PATTERNS[name](node, graph)
    except UnsupportedError:  # a size that nobody knows, which is told when the node is said
        return False


@cache
def _load() -> None:
    modules(__name__, __path__)
