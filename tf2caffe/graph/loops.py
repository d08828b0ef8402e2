"""Loops of TF1 (`tf.while_loop`) as one op each, so that they are refused once and by name."""

from __future__ import annotations

from collections.abc import Iterator

from tf2caffe.graph import Graph, Node, Tensor, all_nodes
from tf2caffe.graph.branches import BRANCHES
from tf2caffe.graph.node_def import ENTERS, EXITS
from tf2caffe.problems import told
from tfcaffe.errors import UnsupportedError

_ARRAY = "TensorArray"
_LOOP = (
    "a loop, which no layer of Caffe says; a recurrent layer converts from the Keras model (.keras "
    "or .h5), where it is still one layer; or cut the net before it with --outputs"
)
_BRANCH = (
    "a branch that depends on the net's inputs; Caffe computes the same layers for every input. If "
    "the condition is the learning phase, it is fed by no bool placeholder: freeze the graph for "
    "inference"
)
_PYTHON = (
    "calls code of Python, which no file of Caffe's holds; write it with TensorFlow's ops, or cut "
    "the net before it with --outputs"
)
_ARRAY_REASON = (
    "an array that a loop reads or fills at places that depend on the data, or not to its end; cut "
    "the net before it with --outputs"
)
_ARRAYS = [
    *("TensorListGetItem", "TensorListSetItem", "TensorListStack"),
    *("TensorArrayReadV3", "TensorArrayWriteV3", "TensorArrayGatherV3", "TensorArraySizeV3"),
    *("TensorArrayScatterV3", "TensorArrayConcatV3"),
]
REASONS = {
    **dict.fromkeys(["loop", "While", "StatelessWhile"], _LOOP),
    **dict.fromkeys(["TensorListReserve", "TensorListFromTensor"], _LOOP),
    **dict.fromkeys(_ARRAYS, _ARRAY_REASON),
    **dict.fromkeys(["Switch", "Merge", *sorted(BRANCHES)], _BRANCH),
    **dict.fromkeys(["PyFunc", "EagerPyFunc", "PyFuncStateless"], _PYTHON),
}


def closed(graph: Graph) -> None:
    """Every result of a loop becomes a node `loop` that reads what goes into it."""
    nodes = list(all_nodes(graph.outputs.values()))
    if not any(node.op in EXITS for node in nodes):
        return
    entries: dict[str, list[Tensor]] = {}
    for node in nodes:
        if node.op in ENTERS:
            entries.setdefault(node.attrs["frame_name"], []).extend(_data(node.inputs[0]))
    for node in nodes:
        if node.op not in EXITS:
            continue
        frames = [n for n in all_nodes([Tensor(node)]) if n.op in ENTERS]
        names = {str(n.attrs["frame_name"]) for n in frames}
        node.op = "loop"
        node.inputs = list(dict.fromkeys(t for name in names for t in entries[name]))
    for node in nodes:
        if node.op.startswith(_ARRAY):
            node.inputs = [t for t in node.inputs if not t.op.startswith(_ARRAY)]
    graph.volatile = {*graph.volatile, *(node for node in nodes if node.op == "loop")}


def _data(tensor: Tensor) -> Iterator[Tensor]:
    """What goes into a loop; of an array of tensors what goes into that."""
    if not tensor.op.startswith(_ARRAY):
        yield tensor
        return
    for inner in tensor.node.inputs:
        yield from _data(inner)


def check_sizes(graph: Graph) -> None:
    """Refuse a graph in which sizes are not known, before anything asks for them.

    Raises:
        UnsupportedError: naming all loops, and ops whose sizes depend on the data.
    """
    nodes = list(graph.reached())
    if all(_sized(node) for node in nodes):
        return
    problems = []
    lost: set[Node] = set()
    for node in nodes:
        reason = _reason(node)
        if any(t.node in lost for t in node.inputs):
            lost.add(node)
        elif reason:
            lost.add(node)
            problems.append(f"{node}: {reason}")
    raise UnsupportedError(told(problems))


def _reason(node: Node) -> str:
    if node.op in REASONS:
        return REASONS[node.op]
    if not _sized(node):
        return (
            f"its shape is {node.shapes[0] and list(node.shapes[0])}, which depends on the data; "
            "Caffe's nets have fixed sizes; cut the net before it with --outputs"
        )
    return ""


def _sized(node: Node) -> bool:
    return all(shape is not None and None not in shape for shape in node.shapes[:1])
