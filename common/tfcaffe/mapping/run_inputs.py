"""`mapping check --run`: which input of the net is which of the model's, and how it lies there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfcaffe.errors import UsageError
from tfcaffe.layout import Layout
from tfcaffe.mapping.pairs import reads_colours
from tfcaffe.mapping.resolve import Resolved
from tfcaffe.names import escape
from tfcaffe.verify.compare import Array
from tfcaffe.verify.model import Model


def matched(
    blobs: Sequence[str], model: Model, net: str
) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """The model's input for each of the net's, by name or else in order; and what went by order.

    Raises:
        UsageError: one side has more, or only some have a name of the other side.
    """
    if len(blobs) != len(model.inputs):
        raise UsageError(
            f"{model.name}: has {len(model.inputs)} inputs, {net} {len(blobs)}; --run takes sides "
            "with as many: cut the net or the model"
        )
    names = {
        blob: next((n for n in (blob, escape(blob)) if n in model.inputs), "") for blob in blobs
    }
    if len(blobs) > 1 and all(names.values()):
        return names, ()
    if len(blobs) > 1 and any(names.values()):
        raise UsageError(
            f"{model.name}: its inputs are {', '.join(model.inputs)}, those of {net} "
            f"{', '.join(blobs)}; --run cannot tell which is which: give all of them one name on "
            "both sides"
        )
    pairs = tuple(zip(blobs, model.inputs, strict=True))
    return dict(pairs), pairs if len(pairs) > 1 else ()


def turned_inputs(resolved: Resolved) -> set[str]:
    """Inputs whose channels TensorFlow has in the other order."""
    plan, found = resolved.plan, set()
    for pair in resolved.pairs if resolved.mapping.flips else ():
        if reads_colours(plan, plan.layers[pair.blob.layer], pair.blob):
            source = plan.net.sources[pair.blob.layer][0]
            found.add(plan.net.layers[source.layer].tops[source.top])
    return found


def laid_out(array: Array, *, flip: bool) -> Array:
    """Caffe's numbers as TensorFlow has them."""
    laid = Layout.natural(array.shape).pattern().to_tf(array[:, ::-1] if flip else array)
    return np.ascontiguousarray(laid)
