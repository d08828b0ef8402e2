"""`.caffemodel` files: every generation is read in place, V2 is written, one blob at a time.

A file is a NetParameter with V2 layers (`layer`), V1 layers (`layers`) or V1 layers around V0 ones
(`layers.layer`). Names, types and blobs are all that is read here, on which all forks agree; each
blob is a view of the mapped file. Source of the field numbers: BVLC's caffe.proto.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tfcaffe.errors import FileFormatError
from tfcaffe.files.blob_proto import DATA, SHAPE, SHAPE_DIM, read_blob
from tfcaffe.files.layer_types import v0_type, v1_type
from tfcaffe.files.weights import Blobs, LayerBlobs, Shape, Weights, as_float32
from tfcaffe.files.wire import (
    Buffer,
    Field,
    WireError,
    WireType,
    append,
    bytes_field,
    fields,
    tag,
    varint,
)
from tfcaffe.input import map_file
from tfcaffe.output import replacing

NET_NAME, NET_LAYERS_V1, NET_LAYER = 1, 2, 100
V1_LAYER_V0 = 1  # a V1 layer's field that holds a V0 one
# Far beyond any net, but not beyond anybody's memory:
_MAX_IN_LAYER = 1 << 10  # blobs, bottoms or tops
_MAX_IN_FILE = 1 << 20  # layers, blobs, bottoms and tops
_MAX_TEXT = 1 << 16  # bytes of a name
_TEXT_LOOK = 100  # bytes that tell text from a binary file
_CAFFE_LIMIT = 2**31 - 1  # bytes that Caffe reads (io.cpp, kProtoReadBytesLimit)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Numbers:
    """Field numbers of one generation's layer message."""

    name: int
    type: int
    blobs: int
    bottom: int
    top: int


V2 = Numbers(name=1, type=2, blobs=7, bottom=3, top=4)
V1 = Numbers(name=4, type=5, blobs=6, bottom=2, top=3)
V0 = Numbers(name=1, type=2, blobs=50, bottom=0, top=0)  # the V1 layer around it has these


@dataclass
class _Found:
    """What was met in a layer message; later names and types win, as in protobuf."""

    name: str = ""
    type: str | int = ""
    bottoms: list[str] = field(default_factory=list)
    tops: list[str] = field(default_factory=list)
    blobs: list[Field] = field(default_factory=list)
    inner: list[Field] = field(default_factory=list)


def read(path: str | Path) -> Weights:
    """The layers and blobs of a `.caffemodel`; their values are not touched.

    (Those of files from before 2014, which store every float with a tag of its own, have their
    tags checked.)

    Raises:
        UsageError: There is no such file.
        FileFormatError: It is no caffemodel or a damaged one; with the layer and the byte.
    """
    path = Path(path)
    identity, buffer = map_file(path)
    layers: dict[str, LayerBlobs] = {}
    generations: set[int] = set()
    parts = 0
    try:
        for entry in fields(buffer, 0, len(buffer)):
            if entry.number not in (NET_LAYER, NET_LAYERS_V1):
                continue
            entry.expect(WireType.BYTES, "a layer")
            generations.add(entry.number)
            layer = _read_layer(path, buffer, entry)
            layers[layer.name] = layer
            parts += 1 + len(layer.blobs) + len(layer.bottoms) + len(layer.tops)
            if parts > _MAX_IN_FILE:
                raise WireError(entry.tag, f"more than {_MAX_IN_FILE} layers and blobs")
    except WireError as error:
        raise FileFormatError(f"{path}: is {_what(buffer)}: {error}") from error
    if not layers:
        raise FileFormatError(f"{path}: is no caffemodel: it holds no layers")
    if len(generations) > 1:
        raise FileFormatError(f"{path}: mixes `layer` and `layers`, which Caffe refuses as well")
    return Weights(identity, layers)


def _what(buffer: Buffer) -> str:
    beginning = buffer[:_TEXT_LOOK].translate(None, b"\t\r\n").decode("ascii", "replace")
    if beginning.isascii() and beginning.isprintable():
        return "text, not a binary caffemodel (a prototxt? a Git LFS pointer?)"
    return "no caffemodel, or a damaged one"


def _read_layer(path: Path, buffer: Buffer, entry: Field) -> LayerBlobs:
    found = _Found()
    try:
        _collect(buffer, entry, V2 if entry.number == NET_LAYER else V1, found)
        if found.inner:  # a V0 layer: the outer message only connects it (upgrade_proto.cpp)
            found.type, found.blobs = "", []
            for inner in found.inner:
                _collect(buffer, inner, V0, found)
            kind = v0_type(str(found.type))
        else:
            kind = v1_type(found.type) if isinstance(found.type, int) else found.type
        blobs = [read_blob(buffer, blob.start, blob.end) for blob in found.blobs]
    except WireError as error:
        raise FileFormatError(f"{path}: layer {found.name!r}: {error}") from error
    return LayerBlobs(found.name, kind, Blobs(blobs), tuple(found.bottoms), tuple(found.tops))


def _collect(buffer: Buffer, layer: Field, numbers: Numbers, found: _Found) -> None:
    for entry in fields(buffer, layer.start, layer.end):
        if entry.number == numbers.blobs:
            entry.expect(WireType.BYTES, "a blob")
            append(found.blobs, entry, _MAX_IN_LAYER, entry, "blobs in a layer")
        elif entry.number == numbers.name:
            found.name = _text(buffer, entry, "the name")
        elif entry.number == numbers.type and numbers is V1:
            entry.expect(WireType.VARINT, "the type")
            found.type = entry.value
        elif entry.number == numbers.type:
            found.type = _text(buffer, entry, "the type")
        elif entry.number == numbers.bottom:
            append(found.bottoms, _text(buffer, entry, "a bottom"), _MAX_IN_LAYER, entry, "bottoms")
        elif entry.number == numbers.top:
            append(found.tops, _text(buffer, entry, "a top"), _MAX_IN_LAYER, entry, "tops")
        elif entry.number == V1_LAYER_V0 and numbers is V1:
            entry.expect(WireType.BYTES, "a V0 layer")
            append(found.inner, entry, _MAX_IN_LAYER, entry, "V0 layers in a layer")


def _text(buffer: Buffer, entry: Field, name: str) -> str:
    entry.expect(WireType.BYTES, name)
    if entry.end - entry.start > _MAX_TEXT:
        raise WireError(entry.tag, f"{name} is longer than {_MAX_TEXT} bytes")
    return buffer[entry.start : entry.end].decode("utf-8", "surrogateescape")


def write(
    path: str | Path, layers: Iterable[LayerBlobs], *, net_name: str = "", overwrite: bool = False
) -> None:
    """Writes layers and their blobs (as float32) as a `.caffemodel`.

    A warning is logged when the file is larger than Caffe can load (2 GiB).

    Args:
        path: The file to be; it appears when it is complete.
        layers: In the net's order; may be a generator: one layer is looked at at a time.
        net_name: The name of the net.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputError: The file cannot be written.
        WeightsError: A blob is not of floats, or float32 cannot hold its values.
    """
    with replacing(path, overwrite) as temporary, temporary.open("wb") as file:
        file.write(bytes_field(NET_NAME, _encoded(net_name)))
        for layer in layers:
            _write_layer(file, layer)
        size = file.tell()
    if size > _CAFFE_LIMIT:
        _log.warning("%s: %d bytes; Caffe itself loads no more than %d", path, size, _CAFFE_LIMIT)


def _write_layer(file: BinaryIO, layer: LayerBlobs) -> None:
    texts = [(V2.name, layer.name), (V2.type, layer.type)]
    texts += [(V2.bottom, bottom) for bottom in layer.bottoms]
    texts += [(V2.top, top) for top in layer.tops]
    head = b"".join(bytes_field(number, _encoded(text)) for number, text in texts)
    frames = [_frame(shape) for shape in layer.shapes]
    size = len(head) + sum(len(frame.head) + frame.data + len(frame.tail) for frame in frames)
    file.write(tag(NET_LAYER) + varint(size) + head)
    for index, frame in enumerate(frames):
        file.write(frame.head)
        rows = layer.blobs.items[index].rows
        for piece in [as_float32(layer, index)] if rows is None else rows():
            file.write(piece.data)
        file.write(frame.tail)


class _Frame(NamedTuple):
    """The bytes around the `data` bytes of a blob's floats, in the order of protobuf and Caffe."""

    head: bytes
    data: int
    tail: bytes


def _frame(shape: Shape) -> _Frame:
    data = math.prod(shape) * 4
    head = tag(DATA) + varint(data) if data else b""
    tail = bytes_field(
        SHAPE, bytes_field(SHAPE_DIM, b"".join(map(varint, shape))) if shape else b""
    )
    size = len(head) + data + len(tail)
    return _Frame(tag(V2.blobs) + varint(size) + head, data, tail)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
