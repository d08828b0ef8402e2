"""What became of each Caffe layer, for those who want to know (`--verbose`)."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from tfcaffe.plan import Plan

log = logging.getLogger("caffe2tf")
_HELPER = re.compile(r">[hot]\d")  # what follows the layer's name in its other nodes' names


def tell(plan: Plan, names: Sequence[str], model: Any) -> None:
    """Log a line per Caffe layer, or pair of them: the Keras layers that it became.

    Args:
        names: the Keras name of each Caffe layer; merged ones have the same.
    """
    if not log.isEnabledFor(logging.DEBUG):
        return
    made: dict[str, list[str]] = {}
    for operation in model.operations:
        base = _HELPER.split(operation.name)[0]
        made.setdefault(base, []).append(f"{type(operation).__name__} {operation.name!r}")
    pairs: dict[str, list[str]] = {}
    for name, entry in zip(names, plan.layers, strict=True):
        pairs.setdefault(name, []).append(f"{entry.layer.name!r} ({entry.layer.type})")
    for name, layers in pairs.items():
        log.debug("%s -> %s", " + ".join(layers), ", ".join(made.get(name, ["nothing"])))
