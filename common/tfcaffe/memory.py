"""Blobs that share memory in Caffe, and layers that write into it.

The tops of Split, Reshape and Flatten (and of a Concat or Slice of one blob) are other names of
their bottom's memory. A layer in place on one of them changes what a later layer reads by the
others. No net means that, and no graph of values can say it, so it is refused.
Source: Blob::ShareData and its callers in the layers.
"""

from __future__ import annotations

from tfcaffe.errors import UnsupportedError
from tfcaffe.net import Layer, Net, Ref

_VIEWS = frozenset({"Split", "Reshape", "Flatten"})
_VIEWS_OF_ONE = {"Concat": "bottoms", "Slice": "tops"}
_WRITE_NOTHING = frozenset({"Dropout"})  # the identity when testing


def check_memory(net: Net) -> None:
    """Refuse a net in which a blob is read after a layer has changed it under another name.

    Raises:
        UnsupportedError: the layer in place, the blob, and who reads it.
    """
    memory: dict[Ref, int] = {}
    written: dict[int, int] = {}  # the layer that last wrote into a memory in place
    for i, (layer, sources) in enumerate(zip(net.layers, net.sources, strict=True)):
        for ref in sources:
            _check_read(net, ref, written.get(memory[ref], -1), f"{layer} reads it")
        for t, top in enumerate(layer.tops):
            ref = Ref(i, t)
            memory[ref] = len(memory)
            if t < len(layer.bottoms) and layer.bottoms[t] == top:
                memory[ref] = memory[sources[t]]
                if layer.type not in _WRITE_NOTHING:
                    written[memory[ref]] = i
            elif sources and _is_view(layer):
                memory[ref] = memory[sources[0]]
    for _, ref in net.outputs:
        _check_read(net, ref, written.get(memory[ref], -1), "it is an output")


def _check_read(net: Net, ref: Ref, writer: int, reader: str) -> None:
    if ref.layer < writer:
        blob = net.layers[ref.layer].tops[ref.top]
        raise UnsupportedError(
            f"{net.layers[writer]}: works in place on memory that the blob {blob!r} shares, and "
            f"{reader} afterwards; give the layer a top of another name"
        )


def _is_view(layer: Layer) -> bool:
    side = _VIEWS_OF_ONE.get(layer.type)
    return layer.type in _VIEWS or (side is not None and len(getattr(layer, side)) == 1)
