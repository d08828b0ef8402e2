"""Split layers that Caffe itself puts where a blob has several readers are taken out again.

Source: insert_splits.cpp (InsertSplits, ConfigureSplitLayer).
"""

from dataclasses import dataclass
from typing import Any

from tfcaffe.errors import NetError


@dataclass(frozen=True)
class _Top:
    """One version of a blob: top number `index` of `layer`."""

    layer: Any
    index: int


def without_splits(net: Any) -> Any:
    """The V2 net as it was before Caffe inserted splits, as a new message.

    Raises:
        NetError: A split's top is read where the blob itself has been written over.
    """
    result = type(net)()
    result.CopyFrom(net)
    del result.layer[:]
    latest: dict[str, _Top] = {}  # blob: who wrote it last
    split: dict[str, tuple[str, _Top]] = {}  # top of a split taken out: the blob it stands for
    for original in net.layer:
        if _is_inserted(original, latest):
            blob = original.bottom[0]
            split |= {top: (blob, latest[blob]) for top in original.top}
            _give_back_loss_weight(original, latest[blob])
            continue
        layer = result.layer.add()
        layer.CopyFrom(original)
        for index, bottom in enumerate(original.bottom):
            if bottom in split:
                blob, version = split[bottom]
                if latest[blob] is not version:
                    raise NetError(
                        f"layer {layer.name!r} reads {bottom!r}, a copy of {blob!r} as it was "
                        f"before layer {latest[blob].layer.name!r} wrote over it: give the prototxt"
                    )
                layer.bottom[index] = blob
        for index, top in enumerate(original.top):
            latest[top] = _Top(layer, index)
            split.pop(top, None)
    return result


def _is_inserted(layer: Any, latest: dict[str, _Top]) -> bool:
    """Whether name and tops are those that Caffe makes up for a split of its only bottom."""
    if layer.type != "Split" or len(layer.bottom) != 1 or layer.bottom[0] not in latest:
        return False
    blob = layer.bottom[0]
    source = latest[blob]
    name = f"{blob}_{source.layer.name}_{source.index}_split"
    tops = [f"{name}_{number}" for number in range(len(layer.top))]
    return layer.name == name and list(layer.top) == tops


def _give_back_loss_weight(split: Any, source: _Top) -> None:
    """Caffe moves the loss weight of a top that is split to the split's first top."""
    if split.loss_weight and split.loss_weight[0]:
        weights = source.layer.loss_weight
        weights.extend([0.0] * (source.index + 1 - len(weights)))
        weights[source.index] = split.loss_weight[0]
