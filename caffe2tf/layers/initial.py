"""Caffe's fillers as Keras initialisers, for nets that are trained on or anew.

Source: filler.hpp.
"""

from __future__ import annotations

from typing import Any

from caffe2tf.site import Site

_MODES = {0: "fan_in", 1: "fan_out", 2: "fan_avg"}


def initializers(site: Site, **roles: str) -> dict[str, Any]:
    """Keras's `…_initializer` arguments; `kernel="weights"` names a role for Keras's kernel."""
    made = {}
    for keras_name, role in roles.items():
        param = next((p for p in site.planned.params if p.role == role), None)
        if param is not None and param.filler and site.options.HasField(param.filler):
            made[f"{keras_name}_initializer"] = _initializer(site, param.filler)
    return made


def _initializer(site: Site, field: str) -> Any:
    """The initialiser that draws as this filler does, or Keras's default for an odd one."""
    filler = getattr(site.options, field)
    made = site.keras.initializers
    scaled = {"mode": _MODES[filler.variance_norm]}
    if filler.type == "xavier":
        return made.VarianceScaling(1.0, distribution="uniform", **scaled)
    if filler.type == "msra":
        return made.VarianceScaling(2.0, distribution="untruncated_normal", **scaled)
    if filler.type == "gaussian":
        return made.RandomNormal(filler.mean, filler.std)
    if filler.type == "uniform":
        return made.RandomUniform(filler.min, filler.max)
    if filler.type == "constant":
        return made.Constant(filler.value)
    return made.GlorotUniform()
