"""Where each blob of a Caffe net is in its TensorFlow twin, and how it lies there.

The record travels with the model (in a `.keras` file as one more member of the archive, in a
SavedModel among its extra assets, in a frozen graph's file as one more field of its message, which
other readers step over), so that any two twins can be compared blob by blob.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tfcaffe.errors import FileFormatError
from tfcaffe.layout import Layout

MEMBER = "tfcaffe.json"
ASSETS = "assets.extra"  # where a SavedModel has room for files of other programs
FIELD = 160_527  # of a frozen GraphDef; TensorFlow's own numbers are below ten
_VERSION = 1


@dataclass(frozen=True)
class BlobTwin:
    """One version of a blob, as a layer of the Caffe net left it.

    Args:
        layer, blob: Caffe's names of the layer and of its top.
        node: what makes it: a Keras layer or operation, or a node of a TensorFlow graph.
        output: which of its outputs.
        layout: how it lies; None stands for free sizes.
        index: the layer's number in the converted net, which tells layers of one name apart.
    """

    layer: str
    blob: str
    node: str
    output: int
    layout: Layout
    index: int


@dataclass(frozen=True)
class Twin:
    """A model's record.

    Args:
        inputs: the model's inputs in order: the node and layout that it is fed at. Built-in
            preprocessing lies between this node and the one that `blobs` has for the blob; where
            the layer that reads it takes it over, `blobs` lacks the blob.
        blobs: all that both sides have, in the net's order.
        outputs: the model's outputs in order, as they lie there.
        of_source: whether the Caffe net was made of the model, and not the model of the net: then
            the nodes bear the model's own names.
        whole: input blobs that the model takes whole numbers for.
        given: inputs of the model that the net has not, and what they are for it: dropout's, and
            whether it is trained.
    """

    inputs: tuple[BlobTwin, ...]
    blobs: tuple[BlobTwin, ...]
    outputs: tuple[BlobTwin, ...]
    of_source: bool = False
    whole: tuple[str, ...] = ()
    given: tuple[tuple[str, float], ...] = ()

    def to_json(self, **more: Any) -> str:
        """The record as text; `more` are facts for people (versions, the source)."""
        return json.dumps(
            {
                "tfcaffe": _VERSION,
                **more,
                "inputs": [_blob_to_json(blob) for blob in self.inputs],
                "blobs": [_blob_to_json(blob) for blob in self.blobs],
                "outputs": [_blob_to_json(blob) for blob in self.outputs],
                **({"of_source": True} if self.of_source else {}),
                **({"whole": self.whole} if self.whole else {}),
                **({"given": dict(self.given)} if self.given else {}),
            },
            ensure_ascii=False,
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str, path: str) -> Twin:
        """The record in a model file.

        Raises:
            FileFormatError: not what `to_json` writes.
        """
        try:
            data = json.loads(text)
            if data["tfcaffe"] != _VERSION:
                raise FileFormatError(
                    f"{path}: its record is of version {data['tfcaffe']}, not {_VERSION}; convert "
                    "the net again"
                )
            return cls(
                tuple(_blob_from_json(blob) for blob in data["inputs"]),
                tuple(_blob_from_json(blob) for blob in data["blobs"]),
                tuple(_blob_from_json(blob) for blob in data["outputs"]),
                data.get("of_source") is True,
                tuple(str(name) for name in data.get("whole", ())),
                tuple((str(n), _number(value)) for n, value in data.get("given", {}).items()),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FileFormatError(f"{path}: its record {MEMBER} is damaged: {error}") from error


def _number(value: Any) -> float:
    if not isinstance(value, bool | int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _blob_to_json(blob: BlobTwin) -> dict[str, Any]:
    return {
        "layer": blob.layer,
        "blob": blob.blob,
        "node": blob.node,
        "output": blob.output,
        "index": blob.index,
        "axes": blob.layout.axes,
        "dims": blob.layout.dims,
    }


def _blob_from_json(data: dict[str, Any]) -> BlobTwin:
    axes = tuple(tuple(axis) for axis in data["axes"])
    dims = tuple(tuple(dim) for dim in data["dims"])
    sizes = [size for axis in axes for size in axis]
    if any(size is not None and (type(size) is not int or size < 0) for size in sizes):
        raise ValueError(f"{data['blob']!r} has the sizes {sizes}")
    if sorted(i for dim in dims for i in dim) != list(range(len(sizes))):
        raise ValueError(f"{data['blob']!r} lies as {dims}")
    return BlobTwin(
        str(data["layer"]),
        str(data["blob"]),
        str(data["node"]),
        int(data["output"]),
        Layout(axes, dims),
        int(data["index"]),
    )
