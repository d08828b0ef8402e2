"""A GraphDef from a file becomes a network: its ends found, training's half gone, names short."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf2caffe.graph import Graph, Read, branches, loops
from tf2caffe.graph.arrays import without_arrays
from tf2caffe.graph.definition import from_definition
from tf2caffe.graph.ends import (
    all_fixed,
    computed,
    fixed_shapes,
    found_inputs,
    found_outputs,
    free_batches,
    named,
    tensors_of,
)
from tf2caffe.graph.identities import NO_PATH, only_between, skip_identities
from tf2caffe.graph.lowering import lowered
from tf2caffe.graph.node_def import node_of
from tf2caffe.graph.noise import keep_everything, without_noise
from tf2caffe.graph.origins import scopes
from tf2caffe.graph.prune import pruned
from tf2caffe.graph.unroll import Loop, frames, unrolled
from tf2caffe.options import Options
from tfcaffe.errors import UnsupportedError, UsageError

Names = Mapping[str, str]
_STRING, _BOOL = 7, 10  # types.proto
_SCALARS = 24  # older graphs say [] of a placeholder whose shape is not known (array_ops.cc)


def network_of(
    definition: Any,
    variables: Mapping[str, Read],
    options: Options,
    inputs: Names | None = None,
    outputs: Names | None = None,
    all_runs: bool = False,
) -> Graph:
    """The graph between its inputs and outputs.

    Args:
        definition: may be changed.
        variables: numbers of the placeholders that stand for variables, by node.
        inputs, outputs: tensors by the names that a signature gives them; None has them found.
            The options' own come first.
        all_runs: whether it is a function, of which ops run that no output needs: assignments.

    Raises:
        UsageError: names that are not there; sizes that nobody says.
        UnsupportedError: shapes that contradict each other.
    """
    fed, wanted = dict(inputs or {}), dict(outputs or {})
    if inputs is None:
        fed = {k: v for k, v in found_inputs(definition).items() if k not in variables}
    if outputs is None and not options["outputs"]:
        wanted = found_outputs(definition, [*fed.values(), *options["inputs"]])
    flags = _flags(definition, fed)
    found = pruned(definition, _nodes(options["inputs"]), variables)
    definition = found.definition
    known = tensors_of(definition)
    if options["inputs"]:
        fed = named("--inputs", options["inputs"], {**known, **fed}, "the graph")
    if options["outputs"]:
        known = {**known, **wanted}
        offered = computed(definition, known, fed.values())
        wanted = named("--outputs", options["outputs"], known, "the graph", offered)
    fed = {name: found.resolve(tensor) for name, tensor in fed.items()}
    wanted = {name: found.resolve(tensor) for name, tensor in wanted.items()}
    fed = _used(definition, fed, wanted)
    if not fed:
        raise UsageError(NO_PATH)
    given: dict[str, float] = {name: False for name in flags if name not in fed}
    if later := [name for name, tensor in fed.items() if not _first(tensor)]:
        raise UnsupportedError(f"input {later[0]!r}: is not its node's first output; cut behind it")
    if not options["inputs"]:
        fed, kept = keep_everything(definition, fed)
        given |= kept
    said = _shapes(definition, fed)
    shapes = fixed_shapes(said, options)

    def built(definition: Any, wanted: Names) -> Graph:
        ends = {name: (node_of(tensor), _known(shapes[name])) for name, tensor in fed.items()}
        graph = from_definition(definition, ends, wanted, variables, scopes(definition))
        skip_identities(graph)
        return graph

    graph, before = built(definition, wanted), None
    while (ways := branches.decided(graph)) and ways != before:
        found = pruned(definition, _nodes([*fed.values()]), variables, ways)
        definition = found.definition
        wanted = {name: found.resolve(tensor) for name, tensor in wanted.items()}
        graph, before = built(definition, wanted), ways
    graph, definition = _stepwise(graph, definition, wanted, built)
    if all_runs:
        for name in branches.changed(definition, variables):
            graph.unknown(name, "AssignedVariable")
    if outputs is None and not options["outputs"]:  # nobody asked for a loop's counter
        varying = {n: t for n, t in graph.outputs.items() if not graph.is_constant(t)}
        graph.outputs = varying or graph.outputs
    skip_identities(graph, switches=True)
    loops.closed(graph)
    without_noise(graph)
    only_between(graph)
    all_fixed({name: shapes[name] for name in graph.inputs})
    graph.free = [name for name in free_batches(said, options) if name in graph.inputs]
    graph.given = given
    loops.check_sizes(graph)
    codes = sum(node.op == "Dequantize" for node in definition.node)
    if codes:
        graph.notes.append(f"{codes} arrays of 8-bit codes become float32, as TensorFlow uses them")
    return graph


def _stepwise(
    graph: Graph, definition: Any, wanted: Names, built: Callable[[Any, Names], Graph]
) -> tuple[Graph, Any]:
    """With the loops whose number of steps is known written step by step."""
    flat, now, names = graph, definition, wanted
    if framed := lowered(definition):
        now = framed.definition
        names = {name: framed.resolve(tensor) for name, tensor in wanted.items()}
        flat = built(now, names)
    found: list[Loop] = []
    while counted := frames(flat):
        now = unrolled(now, counted)
        without_arrays(now, flat)
        flat = built(now, names)
        while without_arrays(now, flat):
            flat = built(now, names)
        found += counted
    if not found:
        return graph, definition
    flat.steps = {loop.scope: loop.steps for loop in found if loop.steps}
    return flat, now


def _known(shape: tuple[int, ...] | str) -> tuple[int, ...] | None:
    return None if isinstance(shape, str) else shape


def _nodes(names: Sequence[str]) -> set[str]:
    return set(map(node_of, names))


def _first(tensor: str) -> bool:
    return tensor.partition(":")[2] in ("", "0")


def _flags(definition: Any, inputs: Names) -> list[str]:
    """The inputs that are true or false."""
    nodes = {node.name: node for node in definition.node}
    ends = {
        name: nodes[node_of(tensor)] for name, tensor in inputs.items() if node_of(tensor) in nodes
    }
    return [n for n, end in ends.items() if "dtype" in end.attr and end.attr["dtype"].type == _BOOL]


def _used(definition: Any, inputs: Names, outputs: Names) -> dict[str, str]:
    """Of the inputs those that the outputs need."""
    by_name = {node.name: node for node in definition.node}
    ends = _nodes([*inputs.values()])
    seen: set[str] = set()
    stack = list(map(node_of, outputs.values()))
    while stack:
        name = stack.pop()
        if name not in seen and name in by_name:
            seen.add(name)
            stack += [] if name in ends else map(node_of, by_name[name].input)
    return {name: tensor for name, tensor in inputs.items() if node_of(tensor) in seen}


def _shapes(definition: Any, inputs: Names) -> dict[str, tuple[int | None, ...] | None]:
    """What the graph says of the shapes of its inputs."""
    by_name = {node.name: node for node in definition.node}
    found: dict[str, tuple[int | None, ...] | None] = {}
    for name, tensor in inputs.items():
        node = by_name[node_of(tensor)]
        shape = node.attr["shape"].shape if "shape" in node.attr else None
        if shape is None and node.attr["_output_shapes"].list.shape:
            shape = node.attr["_output_shapes"].list.shape[0]
        if node.attr["dtype"].type == _STRING:
            raise UsageError(
                f"input {name!r} holds texts or files; cut the graph behind what decodes them, "
                "with --inputs"
            )
        old = definition.versions.producer < _SCALARS
        found[name] = None
        if shape is not None and not shape.unknown_rank and (shape.dim or not old):
            found[name] = tuple(dim.size if dim.size > 0 else None for dim in shape.dim)
    return found
