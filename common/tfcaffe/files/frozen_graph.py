"""The constants of a frozen graph (`.pb`), without TensorFlow: names, shapes and types only.

Source: graph.proto, node_def.proto, attr_value.proto, tensor.proto, tensor_shape.proto and
types.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfcaffe.errors import FileFormatError
from tfcaffe.files.wire import Buffer, Field, WireError, WireType, append, fields, signed
from tfcaffe.input import map_file

_NODE = 1  # of a GraphDef
_NAME, _OP, _ATTRIBUTE = 1, 2, 5  # of a NodeDef
_KEY, _VALUE = 1, 2  # of one attribute
_TENSOR = 8  # of its value
_DTYPE, _SHAPE = 1, 2  # of a TensorProto
_AXIS, _SIZE = 2, 1
_FLOATS = {1: "float32", 2: "float64", 14: "bfloat16", 19: "float16"}
_MOST_NODES, _MOST_AXES, _MOST_TEXT = 1 << 20, 254, 1 << 12


@dataclass(frozen=True)
class Constant:
    """A constant of a graph.

    Args:
        dtype: empty unless it holds floats.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


def read(path: Path) -> list[Constant]:
    """A graph's constants, in the file's order.

    Raises:
        UsageError: there is no such file.
        FileFormatError: it is no graph, or a damaged one.
    """
    _, data = map_file(path)
    found: list[Constant] = []
    try:
        nodes = 0
        for field in fields(data, 0, len(data)):
            if field.number == _NODE:
                nodes += 1
                field.expect(WireType.BYTES, "a node")
                if (constant := _constant(data, field)) is not None:
                    append(found, constant, _MOST_NODES, field, "constants")
    except (WireError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: is no TensorFlow graph, or damaged: {error}") from error
    if not nodes:
        raise FileFormatError(f"{path}: is no TensorFlow graph: it has no nodes")
    return found


def _constant(data: Buffer, node: Field) -> Constant | None:
    """None for a node of another kind."""
    name = op = ""
    tensor: Field | None = None
    for field in fields(data, node.start, node.end):
        if field.number == _NAME:
            name = _text(data, field)
        elif field.number == _OP:
            op = _text(data, field)
        elif field.number == _ATTRIBUTE:
            tensor = _tensor(data, field) or tensor
    if op != "Const" or tensor is None:
        return None
    dtype, shape = 0, list[int]()
    for field in fields(data, tensor.start, tensor.end):
        if field.number == _DTYPE:
            dtype = field.value
        elif field.number == _SHAPE:
            shape = list(_sizes(data, field))
    return Constant(name, tuple(shape), _FLOATS.get(dtype, ""))


def _tensor(data: Buffer, attribute: Field) -> Field | None:
    """The tensor in a node's attribute `value`."""
    attribute.expect(WireType.BYTES, "an attribute")
    key, found = "", None
    for field in fields(data, attribute.start, attribute.end):
        if field.number == _KEY:
            key = _text(data, field)
        elif field.number == _VALUE:
            field.expect(WireType.BYTES, "an attribute's value")
            for inner in fields(data, field.start, field.end):
                if inner.number == _TENSOR:
                    inner.expect(WireType.BYTES, "a tensor")
                    found = inner
    return found if key == "value" else None


def _sizes(data: Buffer, shape: Field) -> Iterator[int]:
    shape.expect(WireType.BYTES, "a shape")
    axes: list[Field] = []
    for field in fields(data, shape.start, shape.end):
        if field.number == _AXIS:
            field.expect(WireType.BYTES, "an axis")
            append(axes, field, _MOST_AXES, field, "axes")
    for axis in axes:
        sizes = [f for f in fields(data, axis.start, axis.end) if f.number == _SIZE]
        size = signed(sizes[-1].value, 64) if sizes else 0
        if size < 0:
            raise WireError(axis.tag, f"a constant has the size {size}")
        yield size


def _text(data: Buffer, field: Field) -> str:
    field.expect(WireType.BYTES, "a name")
    if field.end - field.start > _MOST_TEXT:
        raise WireError(field.tag, "a name is too long")
    return bytes(data[field.start : field.end]).decode()
