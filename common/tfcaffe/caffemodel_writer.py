"""Writes `.caffemodel` files (V2), one blob at a time, for nets of any size.

A message's length stands before its contents, so the sizes are worked out from the shapes first and
each array is converted and written once. Source of the field numbers: BVLC's caffe.proto.
"""

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from tfcaffe.blob_proto import DATA, SHAPE, SHAPE_DIM
from tfcaffe.caffemodel import NET_LAYER, NET_NAME, V2
from tfcaffe.output import replacing
from tfcaffe.weights import LayerBlobs, Shape, as_float32
from tfcaffe.wire import WireType, varint

_CAFFE_LIMIT = 2**31 - 1  # bytes that Caffe reads (io.cpp, kProtoReadBytesLimit)
_log = logging.getLogger(__name__)


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
        file.write(_bytes_field(NET_NAME, _encoded(net_name)))
        for layer in layers:
            _write_layer(file, layer)
        size = file.tell()
    if size > _CAFFE_LIMIT:
        _log.warning("%s: %d bytes; Caffe itself loads no more than %d", path, size, _CAFFE_LIMIT)


def _write_layer(file: BinaryIO, layer: LayerBlobs) -> None:
    texts = [(V2.name, layer.name), (V2.type, layer.type)]
    texts += [(V2.bottom, bottom) for bottom in layer.bottoms]
    texts += [(V2.top, top) for top in layer.tops]
    head = b"".join(_bytes_field(number, _encoded(text)) for number, text in texts)
    blob_heads = [_blob_head(shape) for shape in layer.shapes]
    sizes = [math.prod(shape) * 4 for shape in layer.shapes]
    total = len(head) + sum(map(len, blob_heads)) + sum(sizes)
    file.write(_tag(NET_LAYER) + varint(total) + head)
    for index, blob_head in enumerate(blob_heads):
        file.write(blob_head)
        file.write(as_float32(layer, index).data)


def _blob_head(shape: Shape) -> bytes:
    """All of the blob's field in the layer but the floats themselves."""
    size = math.prod(shape) * 4
    dims = _bytes_field(SHAPE_DIM, b"".join(map(varint, shape)))
    inner = _bytes_field(SHAPE, dims) + _tag(DATA) + varint(size)
    return _tag(V2.blobs) + varint(len(inner) + size) + inner


def _tag(number: int) -> bytes:
    return varint(number << 3 | WireType.BYTES)


def _bytes_field(number: int, payload: bytes) -> bytes:
    return _tag(number) + varint(len(payload)) + payload


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
