"""BatchNorm and the Scale behind it are one BatchNormalization in Keras."""

from __future__ import annotations

from tfcaffe.layers.normalisation import of_batch
from tfcaffe.plan import Plan


def batch_norm_scales(plan: Plan) -> dict[int, int]:
    """The Scale layers that merge into a BatchNorm: its number by theirs.

    The Scale must be the only reader of the BatchNorm's top, which is not an output, and scale
    per channel with a blob of its own; the BatchNorm must use its stored statistics.
    """
    consumers = plan.net.consumers()
    outputs = {ref for _, ref in plan.net.outputs}
    merged: dict[int, int] = {}
    for i, entry in enumerate(plan.layers):
        layer = entry.layer
        if layer.type != "Scale" or len(layer.bottoms) != 1:
            continue
        source = plan.net.sources[i][0]
        before = plan.layers[source.layer]
        alone = consumers[source] == [i] and source not in outputs
        shape = entry.bottoms[0].shape
        per_channel = entry.family.span(layer, shape, None) == (1, 2)  # type: ignore[attr-defined]
        if not (before.layer.type == "BatchNorm" and alone and per_channel):
            continue
        if not of_batch(before.layer):
            merged[i] = source.layer
    return merged
