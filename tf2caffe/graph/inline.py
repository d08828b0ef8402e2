"""Function calls in a GraphDef, replaced by what they call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


@dataclass(frozen=True)
class Inlined:
    """A GraphDef without calls and control inputs; a function's nodes are named `call/node`.

    Args:
        results: the tensors that a call gave, by its name.
    """

    definition: Any
    results: Mapping[str, Sequence[str]]

    def resolve(self, tensor: str) -> str:
        """What a tensor of the graph before is called now."""
        while tensor.partition(":")[0] in self.results:
            source, _, index = tensor.partition(":")
            tensor = self.results[source][int(index or 0)]
        return tensor


def inline(definition: Any) -> Inlined:
    """Replace all calls, also those in functions. The library of functions stays."""
    import tensorflow as tf

    functions = {f.signature.name: f for f in definition.library.function}
    if not functions:  # perhaps with all weights in it: no copy
        for node in definition.node:
            kept = [name for name in node.input if not name.startswith("^")]
            if len(kept) < len(node.input):
                del node.input[:]
                node.input.extend(kept)
        return Inlined(definition, {})
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(definition.versions)
    result.library.CopyFrom(definition.library)
    results: dict[str, list[str]] = {}
    taken = {node.name for node in definition.node}
    for node in definition.node:
        _add(result, node, functions, results, taken)
    found = Inlined(result, results)
    for node in result.node:
        kept = [found.resolve(name) for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
    return found


def _add(
    result: Any, node: Any, functions: Any, results: dict[str, list[str]], taken: set[str]
) -> None:
    called = node.attr["f"].func.name if node.op in _CALLS else node.op
    if called not in functions:
        result.node.add().CopyFrom(node)
        return
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

    body, flat = function_def_to_graph_def(functions[called])
    signature = functions[called].signature
    arguments = [name for name in node.input if not name.startswith("^")]
    given = dict(zip((arg.name for arg in signature.input_arg), arguments, strict=True))
    inside = [inner for inner in body.node if inner.name not in given]
    prefix = node.name  # `cond` has an Identity in it, and `cond/Identity` stands behind it
    while any(f"{prefix}/{inner.name}" in taken for inner in inside):
        prefix += "_"
    taken.update(f"{prefix}/{inner.name}" for inner in inside)
    for inner in inside:
        inner.name = f"{prefix}/{inner.name}"
        kept = []
        for name in inner.input:
            source, _, index = name.lstrip("^").partition(":")
            if name.startswith("^"):
                continue
            kept.append(given[source] if source in given else _joined(prefix, source, index))
        del inner.input[:]
        inner.input.extend(kept)
        _add(result, inner, functions, results, taken)
    answers = []
    for arg in signature.output_arg:
        name = functions[called].ret[arg.name]
        name = name if name in given else flat[name]
        source, _, index = name.partition(":")
        answers.append(given[source] if source in given else _joined(prefix, source, index))
    results[node.name] = answers


def _joined(prefix: str, source: str, index: str) -> str:
    return f"{prefix}/{source}" + (f":{index}" if index not in ("", "0") else "")
