"""Function calls in a GraphDef, replaced by what they call."""

from __future__ import annotations

from typing import Any

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


def inline(definition: Any) -> Any:
    """A GraphDef without calls and control inputs; nodes of a function are named `call/node`."""
    import tensorflow as tf

    functions = {f.signature.name: f for f in definition.library.function}
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(definition.versions)
    results: dict[str, list[str]] = {}
    for node in definition.node:
        _add(result, node, functions, results)
    for node in result.node:
        kept = [_resolved(name, results) for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
    return result


def resolve(definition: Any, tensor: str) -> str:
    """What a tensor of the graph before `inline` is called after it."""
    results: dict[str, list[str]] = {}
    functions = {f.signature.name: f for f in definition.library.function}
    import tensorflow as tf

    scratch = tf.compat.v1.GraphDef()
    for node in definition.node:
        if node.name == tensor.partition(":")[0]:
            _add(scratch, node, functions, results)
    return _resolved(tensor, results)


def _add(result: Any, node: Any, functions: Any, results: dict[str, list[str]]) -> None:
    called = node.attr["f"].func.name if node.op in _CALLS else node.op
    if called not in functions:
        result.node.add().CopyFrom(node)
        return
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

    body, flat = function_def_to_graph_def(functions[called])
    signature = functions[called].signature
    arguments = [name for name in node.input if not name.startswith("^")]
    given = dict(zip((arg.name for arg in signature.input_arg), arguments, strict=True))
    for inner in body.node:
        if inner.name in given:
            continue
        inner.name = f"{node.name}/{inner.name}"
        kept = []
        for name in inner.input:
            source, _, index = name.lstrip("^").partition(":")
            if name.startswith("^"):
                continue
            kept.append(given[source] if source in given else _joined(node.name, source, index))
        del inner.input[:]
        inner.input.extend(kept)
        _add(result, inner, functions, results)
    answers = []
    for arg in signature.output_arg:
        name = functions[called].ret[arg.name]
        name = name if name in given else flat[name]
        source, _, index = name.partition(":")
        answers.append(given[source] if source in given else _joined(node.name, source, index))
    results[node.name] = answers


def _joined(prefix: str, source: str, index: str) -> str:
    return f"{prefix}/{source}" + (f":{index}" if index not in ("", "0") else "")


def _resolved(name: str, results: dict[str, list[str]]) -> str:
    while name.partition(":")[0] in results:
        source, _, index = name.partition(":")
        name = results[source][int(index or 0)]
    return name
