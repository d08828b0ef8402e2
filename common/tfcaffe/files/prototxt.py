"""Reads and writes Caffe's text files: nets of any generation in, clean V2 prototxt out."""

import difflib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor

from tfcaffe.errors import FileFormatError, NetError
from tfcaffe.files import schema as schemas
from tfcaffe.files import upgrade
from tfcaffe.files.schema import Schema

_BOM = "\ufeff"
_WIDTH = 100
_MARKS = re.compile(  # what matters for finding the layers: strings and comments hide the rest
    r"""\#[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | [{<] | [}>]
      | \blayers?(?=(?:\s|\#[^\n]*+)*+:?(?:\s|\#[^\n]*+)*+[{<])""",
    re.VERBOSE,
)
_NO_FIELD = re.compile(r'Message type "([\w.]+)" has no field named "([^"]+)"')
_NO_VALUE = re.compile(r'Enum type "([\w.]+)" has no value named (["\']?)(\w+)')
_NOT_A = re.compile(r"Couldn't parse (\w+): (.*)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$[#{(]?\w+[#})]?\$?")  # $NAME, ${NAME}, $NAME$, $#NAME#$


@dataclass(frozen=True)
class NetFile:
    """A net as its file says it, in the V2 form, not yet filtered by phase."""

    net: Any  # a NetParameter
    path: str
    lines: tuple[int | None, ...]
    """For each of `net.layer` the line where it begins, None if it was not in the file."""
    notes: tuple[str, ...]


def read(source: Path | str, *, schema: Schema | None = None) -> NetFile:
    """The net in a prototxt file of any generation.

    Args:
        schema: declares the fields; by default BVLC's and the known forks'.

    Raises:
        FileFormatError: the file cannot be read, is not text, or does not fit the schema; with
            line and column.
        NetError: the file contradicts itself, e.g. mixes `layer` and `layers`.
    """
    try:
        data = Path(source).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise FileFormatError(f"{source}: cannot be read: {why}") from error
    return parse(_decode(data, str(source)), path=str(source), schema=schema)


def parse(text: str, *, path: str = "<text>", schema: Schema | None = None) -> NetFile:
    """As `read`, from text; `path` is what notes and errors call it.

    Raises:
        FileFormatError, NetError: see `read`.
    """
    notes = ["a byte order mark was skipped"] if text.startswith(_BOM) else []
    text = text.removeprefix(_BOM)
    if not text.strip():
        raise FileFormatError(f"{path}: is empty")
    schema = schema or schemas.load()
    net = schema.message("NetParameter")()
    try:
        text_format.Parse(text, net)
    except text_format.ParseError as error:
        raise FileFormatError(_explain(error, text, path, schema)) from error
    except RecursionError:
        raise FileFormatError(f"{path}: messages are nested too deeply") from None
    try:
        upgraded = upgrade.trace(net)
    except NetError as error:
        raise NetError(f"{path}: {error}") from error
    if not upgraded.net.layer:
        raise FileFormatError(f"{path}: holds no layers")
    found = list(_layer_lines(text))
    known = len(found) == len(net.layer) + len(net.layers)
    lines = tuple(
        found[origin] if known and origin is not None else None for origin in upgraded.origins
    )
    return NetFile(upgraded.net, path, lines, (*notes, *upgraded.notes))


def _decode(data: bytes, path: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileFormatError(f"{path}: is UTF-16 text: save it as UTF-8")
    if b"\0" in data:
        raise FileFormatError(f"{path}: is a binary file (a caffemodel?), not a prototxt")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, byte = data.count(b"\n", 0, error.start) + 1, data[error.start]
        raise FileFormatError(
            f"{path}:{line}: the byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
        ) from error


def _layer_lines(text: str) -> Iterator[int]:
    """The line of each outermost `layer {` or `layers {`."""
    depth, line, at = 0, 1, 0
    for mark in _MARKS.finditer(text):
        token = mark[0]
        if token in "{<":
            depth += 1
        elif token in "}>":
            depth -= 1
        elif depth == 0 and token.startswith("layer"):
            line += text.count("\n", at, mark.start())
            at = mark.start()
            yield line


# -- errors in the user's terms


def _explain(error: text_format.ParseError, text: str, path: str, schema: Schema) -> str:
    line, column = error.GetLine() or 1, error.GetColumn() or 1
    source = text.split("\n")[line - 1] if line <= text.count("\n") + 1 else ""
    message = re.sub(r"^\d+:\d+ : ", "", str(error)).removeprefix(f"'{source}': ").rstrip(".")
    pool = schema.message("NetParameter").DESCRIPTOR.file.pool
    if match := _NO_FIELD.search(message):
        owner = pool.FindMessageTypeByName(match[1])
        message = f"{owner.name} has no field {match[2]!r}"
        message += _nearest(match[2], list(owner.fields_by_name))
        if match[2] in schema.message("SolverParameter").DESCRIPTOR.fields_by_name:
            message += "; is this a solver's file? Give the net's"
    elif match := _NO_VALUE.search(message):
        enum = pool.FindEnumTypeByName(match[1])
        quote, name = match[2], match[3]
        message = f"{match[1].removeprefix('caffe.')} has no value {name!r}"
        if quote:  # `type: "Softmax"` in `layers`
            message += ": a name goes here, not a text in quotes"
        message += _nearest(name.upper(), list(enum.values_by_name))
    elif match := _NOT_A.search(message):
        message = f"expected a value of type {match[1]}, found {match[2]!r}"
    else:
        message = f"{message[:1].lower()}{message[1:]}, in `{source.strip()[:60]}`"
    if placeholder := _PLACEHOLDER.search(source):
        message += f"; the file is a template: put a value in the place of {placeholder[0]}"
    return f"{path}:{line}:{column}: {message}"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    hint = f" (nearest: {', '.join(near)})" if near else ""
    return f"{hint}; a fork's own can be declared with --proto FILE.proto"


# -- writing


def dump(net: Any) -> str:
    """The prototxt of a NetParameter: fields in the schema's order, floats as short as exact.

    Layers' `blobs` are left out: weights belong into a caffemodel.
    """
    return "".join(_write(net, ""))


def _write(message: Any, indent: str) -> Iterator[str]:
    for field, value in message.ListFields():
        for item in value if _is_repeated(field) else [value]:
            if field.message_type is None:
                yield f"{indent}{field.name}: {_scalar(field, item)}\n"
            elif field.name != "blobs":
                yield from _block(field.name, item, indent)


def _block(name: str, message: Any, indent: str) -> Iterator[str]:
    """`name { … }`, on one line if it holds a few plain values and is no layer's parameters."""
    body = list(_write(message, indent + "  "))
    plain = all(field.message_type is None for field, _ in message.ListFields())
    line = " ".join([f"{indent}{name} {{", *(part.strip() for part in body), "}"])
    if plain and not name.endswith("_param") and name != "layer" and len(line) <= _WIDTH:
        yield line + "\n"
    else:
        yield f"{indent}{name} {{\n"
        yield from body
        yield f"{indent}}}\n"


def _is_repeated(field: Any) -> bool:
    if hasattr(field, "is_repeated"):  # protobuf 6 and later
        return bool(field.is_repeated)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)


def _scalar(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return _shortest(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bytes):
        return '"' + "".join(f"\\{byte:03o}" for byte in value) + '"'
    return repr(value)


def _shortest(value: float) -> str:
    """The shortest decimal that reads back as the same float32."""
    for digits in range(1, 9):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return text
    return f"{value:.9g}"


def _quoted(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\{ord(match[0]):03o}", plain) + '"'
