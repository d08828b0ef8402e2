"""Which layer of the net each blob of a model's record belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfcaffe.errors import UsageError
from tfcaffe.layout import Layout, Shape
from tfcaffe.net import Net, Ref
from tfcaffe.plan import Plan
from tfcaffe.twin import BlobTwin, Twin
from tfcaffe.verify.reference_net import is_source, is_training
from tfcaffe.verify.report import Skipped


def match(net: Net, twin: Twin, model: str) -> dict[int, int]:
    """The number of each of the record's layers in `net`, by its number in the record.

    Both are in the net's order; the net may have layers that the record lacks.

    Raises:
        UsageError: the record has a layer that the net lacks.
    """
    found: dict[int, int] = {}
    after = 0
    for blob in sorted((*twin.inputs, *twin.blobs, *twin.outputs), key=lambda b: b.index):
        if blob.index in found:
            continue
        number = next(
            (
                i
                for i, layer in enumerate(net.layers[after:], after)
                if layer.name == blob.layer and blob.blob in layer.tops
            ),
            None,
        )
        if number is None:
            raise UsageError(
                f"{model}: was made of another net: it has the blob {blob.blob!r} of a layer "
                f"{blob.layer!r}, which {net.path} does not have there"
            )
        found[blob.index] = number
        after = number + 1
    return found


def ref_of(net: Net, numbers: Mapping[int, int], blob: BlobTwin) -> Ref:
    """The blob's place in the net."""
    layer = numbers[blob.index]
    return Ref(layer, net.layers[layer].tops.index(blob.blob))


def check_shapes(plan: Plan, twin: Twin, numbers: Mapping[int, int], model: str) -> None:
    """Every blob of the record has the net's shape; sizes that are free fit any.

    Raises:
        UsageError: the first that has not, with both shapes.
    """
    for blob in (*twin.inputs, *twin.blobs, *twin.outputs):
        ref = ref_of(plan.net, numbers, blob)
        shape = plan.shapes[ref.layer][ref.top]
        if not fits(blob.layout, shape):
            raise UsageError(
                f"{model}: was made of another net, or for other sizes: the blob {blob.blob!r} of "
                f"layer {blob.layer!r} is {_said(blob.layout.shape)} there and {_said(shape)} in "
                f"{plan.net.path}"
            )


def fits(layout: Layout, shape: Shape) -> bool:
    """Whether a blob of this shape can lie like this; a free size is None and fits any."""
    said = layout.shape
    return len(said) == len(shape) and all(
        a is None or a == b for a, b in zip(said, shape, strict=True)
    )


def skipped(
    net: Net, compared: set[Ref], reasons: Mapping[Ref, str], otherwise: str
) -> list[Skipped]:
    """The net's blobs that were not compared, each with its reason (`otherwise` if unknown)."""
    readers = net.consumers()
    result = []
    for i, layer in enumerate(net.layers):
        for t, top in enumerate(layer.tops):
            ref = Ref(i, t)
            if ref not in compared:
                reason = reasons.get(ref) or _reason(net, ref, readers.get(ref, []), otherwise)
                result.append(Skipped(layer.name, top, layer.type, reason))
    return result


def _reason(net: Net, ref: Ref, readers: Sequence[int], otherwise: str) -> str:
    layer = net.layers[ref.layer]
    after = [net.layers[i] for i in readers]
    if layer.type == "Split":
        return "a copy of its bottom"
    if is_training(layer):
        return "for training only"
    if is_source(layer):
        trains = all(is_training(reader) for reader in after)
        return "an input that only training reads" if trains else "an input, fed to both sides"
    if layer.type == "BatchNorm" and [reader.type for reader in after] == ["Scale"]:
        return "merged with the Scale that reads it, compared at the Scale's top"
    return otherwise


def _said(shape: Sequence[int | None]) -> str:
    return str(["any" if size is None else size for size in shape]).replace("'any'", "any")
