"""What training needs to know of a layer's variables: fillers and decay, in Keras's words.

Source: filler.hpp, sgd_solver.cpp (Regularize).
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from caffe2tf.site import Site
from tfcaffe.errors import UnsupportedError
from tfcaffe.layers.base import Param

_UNSAID = {"gamma": 1.0, "slope": 0.25}  # what Scale and PReLU fill with if nothing is said


def training(site: Site, **roles: str) -> dict[str, Any]:
    """Keras's `…_initializer` and `…_regularizer` arguments of a layer's variables.

    Args:
        roles: Keras's name of each variable, and the blob's role: `kernel="weights"`.

    Raises:
        UnsupportedError: there are no weights, and Keras has no initialiser for the filler.
    """
    made = {}
    for variable, role in roles.items():
        if not site.has(role):
            continue
        param = next(p for p in site.planned.params if p.role == role)
        initializer = _initializer(site, param)
        if initializer is not None:
            made[f"{variable}_initializer"] = initializer
        if decay := site.decay(role):
            made[f"{variable}_regularizer"] = site.keras.regularizers.L2(decay / 2)
    return made


def _initializer(site: Site, param: Param) -> Any:
    """Draws as Caffe's filler; where the net names none, Caffe's own zeros if there are weights.

    Keras draws a model's variables anew when it loads the file, which under JAX takes long. None
    stands for Keras's initialiser, which is better than zeros where there are no weights.
    """
    made = site.keras.initializers
    if not (param.filler and site.options.HasField(param.filler)):
        if param.role in _UNSAID:
            return made.Constant(_UNSAID[param.role])
        return None if site.caffe_weight(param.role) is None else made.Zeros()
    filler = getattr(site.options, param.filler)
    if filler.type == "constant":
        return made.Constant(filler.value)
    if filler.type == "uniform":
        return made.RandomUniform(filler.min, filler.max)
    if filler.type == "gaussian" and filler.sparse < 0:
        return made.RandomNormal(filler.mean, filler.std)
    if filler.type == "xavier":
        limit = sqrt(3 / _fan(filler, param))
        return made.RandomUniform(-limit, limit)
    if filler.type == "msra":
        return made.RandomNormal(0.0, sqrt(2 / _fan(filler, param)))
    if site.caffe_weight(param.role) is None:
        raise UnsupportedError(
            f"{site.layer}: Keras has nothing like its {param.filler} "
            f"{filler.type or 'without a type'!r}; give weights, or name another filler"
        )
    return None


def _fan(filler: Any, param: Param) -> float:
    """The count that Caffe divides by, which is not Keras's for depthwise kernels."""
    count, shape = prod(param.shape), param.shape
    fan_in = count / shape[0]
    fan_out = count / shape[1] if len(shape) > 1 else count
    if filler.variance_norm == filler.FAN_OUT:
        return fan_out
    return (fan_in + fan_out) / 2 if filler.variance_norm == filler.AVERAGE else fan_in
