"""The numbers of what depends on no input: views of the weights by NumPy, the rest by TensorFlow.

Each op is run alone and at once: a session would prepare its whole graph for every tensor that is
fetched, and what only turns a weight about must not copy it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfcaffe.errors import UnsupportedError

if TYPE_CHECKING:
    from tf2caffe.graph import Array, Node, Read, Tensor


def evaluator(leaves: Mapping[Node, Read]) -> Callable[[Tensor], Array]:
    """A function that gives the numbers of a constant tensor.

    Args:
        leaves: who gives the numbers of variables and the like.
    """

    def evaluate(wanted: Tensor) -> Array:
        known: dict[Node, Sequence[Array]] = {}
        stack = [wanted.node]
        while stack:
            node = stack[-1]
            missing = [t.node for t in node.inputs if t.node not in known]
            if node in known:
                stack.pop()
            elif node in leaves:
                known[node] = [leaves[node]()]
            elif missing:
                stack += missing
            else:
                known[node] = run(node, [known[t.node][t.index] for t in node.inputs])
        return known[wanted.node][wanted.index]

    return evaluate


def _dequantized(node: Node, arguments: Sequence[Array]) -> Array:
    """Dequantize of 8 bits in the mode MIN_FIRST. Source: quantization_utils.h.

    TensorFlow's own op gives NaN where a step is so small that the processor takes it for 0.
    """
    codes, low, high = (np.asarray(a) for a in arguments)
    signed = node.attrs["T"].name == "qint8"
    steps = codes.view(np.int8 if signed else np.uint8).reshape(codes.shape).astype(np.float32)
    size = np.float32((np.float32(high) - np.float32(low)) / 255.0)
    first = low if high == low else np.round(low / size) * size
    return np.asarray(first + (steps + (128 if signed else 0)) * size, np.float32)


_VIEWS: dict[str, Callable[[Node, Sequence[Array]], Array]] = {
    "Reshape": lambda node, a: a[0].reshape([int(n) for n in a[1].reshape(-1)]),
    "ExpandDims": lambda node, a: np.expand_dims(a[0], int(a[1].reshape(()))),
    "Squeeze": lambda node, a: a[0].reshape([int(n or 0) for n in node.shapes[0] or ()]),
    "Transpose": lambda node, a: np.transpose(a[0], [int(n) for n in a[1]]),
    "Identity": lambda node, a: a[0],
    "GatherV2": lambda node, a: np.take(a[0], a[1], int(a[2].reshape(()))),
}


def run(node: Node, arguments: Sequence[Array]) -> list[Array]:
    """Run one op.

    Raises:
        UnsupportedError: TensorFlow cannot, on this machine or at all.
    """
    if node.op == "Const":
        from tensorflow import make_ndarray

        return [make_ndarray(node.attrs["value"])]
    if node.op == "Dequantize" and node.attrs["mode"] == "MIN_FIRST" and _of_8_bits(node):
        return [_dequantized(node, arguments)]
    if node.op in _VIEWS and not node.attrs.get("batch_dims"):
        return [_VIEWS[node.op](node, arguments)]
    import tensorflow as tf

    function = getattr(tf.raw_ops, node.op)
    typed = [_typed(a, t.dtype) for a, t in zip(arguments, node.inputs, strict=True)]
    given = _arguments(node, typed)
    names = [name for name in inspect.signature(function).parameters if name != "name"]
    attributes = {attribute.name for attribute in node.attrs["op_def"].attr}
    renamed = [name for name in names if name not in given and name not in attributes]
    for name in [name for name in given if name not in names]:
        given[renamed.pop(0)] = given.pop(name)  # Split's split_dim is called axis
    given |= {name: node.attrs[name] for name in names if name not in given}
    try:
        with tf.init_scope(), tf.device("/cpu:0"):
            return [np.asarray(result) for result in tf.nest.flatten(function(**given))]
    except (ValueError, TypeError, tf.errors.OpError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnsupportedError(
            f"{node}: it depends on no input, but TensorFlow cannot compute it: {reason}"
        ) from error


def _typed(array: Array, dtype: str) -> Any:
    """Codes of 8 bits, which NumPy has as plain numbers, in TensorFlow's own type."""
    if not dtype.startswith("q"):
        return array
    import tensorflow as tf

    plain = np.ascontiguousarray(array).view(dtype.removeprefix("q"))
    return tf.bitcast(plain.reshape(array.shape), tf.as_dtype(dtype))


def _of_8_bits(node: Node) -> bool:
    return str(node.attrs["T"].name) in ("qint8", "quint8") and node.attrs.get("axis", -1) == -1


def _arguments(node: Node, arguments: list[Any]) -> dict[str, Any]:
    """An op's inputs by name; some are lists."""
    given: dict[str, Any] = {}
    for arg in node.attrs["op_def"].input_arg:
        count = 1
        if arg.number_attr:
            count = int(node.attrs[arg.number_attr])
        elif arg.type_list_attr:
            count = len(node.attrs[arg.type_list_attr])
        taken, arguments = arguments[:count], arguments[count:]
        given[arg.name] = taken if arg.number_attr or arg.type_list_attr else taken[0]
    return given
