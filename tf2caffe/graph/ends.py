"""Where a graph begins and ends: named by the user, or found."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from tf2caffe.graph.node_def import node_of, source
from tf2caffe.options import Options
from tfcaffe.errors import UsageError

_NO_OUTPUTS = frozenset(["NoOp", "Const", "Assert", "Placeholder", "PlaceholderWithDefault"])
_BRANCHES = frozenset(["Identity", "Switch"])
_TRAINING = re.compile("Apply|Assign|Queue|Summary|Save|gradients/|save/|Momentum|Adam")
_LISTED = 10


def named(
    flag: str,
    names: Iterable[str],
    known: Mapping[str, str],
    what: str,
    offered: Collection[str] | None = None,
) -> dict[str, str]:
    """What each name stands for; of a tensor in a call or scope its end will do if it is alone.

    Args:
        offered: the names that may be suggested; all, if left out.

    Raises:
        UsageError: there is no such name; with near ones.
    """
    found = {}
    for name in names:
        key = name.removesuffix(":0")
        ends = [other for other in known if other.endswith(f"/{key}")]
        if key not in known and len(ends) != 1:
            near = _near(key, known if offered is None else offered)
            raise UsageError(f"{flag} {name}: {what} has no such name{near}")
        found[name] = known[key if key in known else ends[0]]
    return found


def _near(name: str, known: Iterable[str]) -> str:
    listed = list(known)
    last = name.rpartition("/")[2]
    near = get_close_matches(name, listed, 3, 0.5) or [n for n in listed if last and last in n][:3]
    return f"; near ones are {', '.join(near)}" if near else ""


def tensors_of(definition: Any) -> dict[str, str]:
    """What a graph's tensors can be called: `node`, and `node:1` where somebody reads that."""
    found = {node.name: f"{node.name}:0" for node in definition.node}
    for node in definition.node:
        for name in node.input:
            if ":" in name:
                found[name] = name
    return found


def computed(definition: Any, known: Mapping[str, str], inputs: Iterable[str]) -> list[str]:
    """The names of tensors that depend on inputs, and so can be outputs."""
    reached = _behind(definition, {tensor.partition(":")[0] for tensor in inputs})
    able = {n.name for n in definition.node if n.name in reached and n.op not in _NO_OUTPUTS}
    return [name for name, tensor in known.items() if tensor.partition(":")[0] in able]


def found_inputs(definition: Any) -> dict[str, str]:
    """Placeholders by name; without any, those with a default value."""
    for op in ("Placeholder", "PlaceholderWithDefault"):
        found = {node.name: f"{node.name}:0" for node in definition.node if node.op == op}
        if found:
            return found
    return {}


def found_outputs(definition: Any, inputs: Iterable[str]) -> dict[str, str]:
    """What depends on inputs and nobody reads, by node name.

    Raises:
        UsageError: there is no such thing, or too much: this is no graph for inference.
    """
    fed = {tensor.partition(":")[0] for tensor in inputs}
    read: set[str] = set()
    for node in definition.node:
        read |= {name.lstrip("^").partition(":")[0] for name in node.input}
    reached = _behind(definition, fed)
    ends = [
        node.name
        for node in definition.node
        if node.name not in read and node.op not in _NO_OUTPUTS and node.name in reached - fed
    ]
    nodes = {node.name: node for node in definition.node}
    ends = [
        n for n in ends if node_of(source(nodes, n, _BRANCHES)) not in fed
    ] or ends  # a cond's branches
    if not ends:
        raise UsageError("the graph computes nothing from its placeholders; name --outputs")
    training = any(name.startswith("gradients/") for name in nodes)
    if training or len(ends) > _LISTED:
        shown = [name for name in ends if not _TRAINING.search(f"{nodes[name].op} {name}")]
        raise UsageError(
            "the graph is one for training, so name what is to be computed with --outputs (and "
            f"--inputs); nobody reads, for instance, {', '.join(shown[:_LISTED]) or 'nothing'}"
        )
    return {name: f"{name}:0" for name in ends}


def _behind(definition: Any, nodes: Iterable[str]) -> set[str]:
    readers: dict[str, list[str]] = {}
    for node in definition.node:
        for name in node.input:
            readers.setdefault(name.lstrip("^").partition(":")[0], []).append(node.name)
    reached, stack = set(nodes), list(nodes)
    while stack:
        for name in readers.get(stack.pop(), ()):
            if name not in reached:
                reached.add(name)
                stack.append(name)
    return reached


def _fixed_shape(
    name: str, known: Sequence[int | None] | None, options: Options
) -> tuple[int, ...] | str:
    """The sizes of an input: those that are said, else those that are known, with a batch of 1.

    Gives what to say for people where a size is missing.
    """
    given: Mapping[str, Sequence[int | None]] = options["input_shape"] or {}
    shape = given.get(name, known)
    if shape is None:
        return f"{name!r} has an unknown shape: say --input-shape {name}=1,H,W,C"
    if known is not None and name in given and not _fits(shape, known):
        return f"{name!r} has the shape {list(known)}, which {list(shape)} does not fit"
    sizes = list(shape)
    if sizes and name not in given and all(sizes[1:]):
        sizes[0] = sizes[0] or 1
    if not all(sizes):
        letters = ",".join(str(size or "ABCDEFGH"[i % 8]) for i, size in enumerate(shape))
        return (
            f"{name!r} has the shape {list(shape)}: say its sizes with --input-shape {name}="
            f"{letters}, with whole numbers for the letters"
        )
    return tuple(int(size or 0) for size in sizes)


def _fits(shape: Sequence[int | None], known: Sequence[int | None]) -> bool:
    """All but the batch must agree where both are known; a fixed batch may be changed."""
    return len(shape) == len(known) and all(
        a is None or b is None or a == b for a, b in zip(shape[1:], known[1:], strict=True)
    )


def free_batches(known: Mapping[str, Sequence[int | None] | None], options: Options) -> list[str]:
    """The inputs whose first size neither the network nor the options say."""
    given = options["input_shape"] or {}
    return [n for n, shape in known.items() if n not in given and shape and shape[0] is None]


def fixed_shapes(
    known: Mapping[str, Sequence[int | None] | None], options: Options
) -> dict[str, tuple[int, ...] | str]:
    """The sizes of all inputs, or what to say where some are missing.

    Raises:
        UsageError: --input-shape names no input.
    """
    given: Mapping[str, Sequence[int | None]] = options["input_shape"] or {}
    if unknown := given.keys() - known.keys():
        raise UsageError(
            f"--input-shape {min(unknown)}: there is no such input; the inputs are "
            f"{', '.join(known)}"
        )
    return {name: _fixed_shape(name, shape, options) for name, shape in known.items()}


def all_fixed(shapes: Mapping[str, tuple[int, ...] | str]) -> dict[str, tuple[int, ...]]:
    """The sizes of all inputs.

    Raises:
        UsageError: sizes that nobody says, all at once.
    """
    if lacking := [shape for shape in shapes.values() if isinstance(shape, str)]:
        raise UsageError("the input " + "; the input ".join(lacking))
    return {name: shape for name, shape in shapes.items() if not isinstance(shape, str)}
