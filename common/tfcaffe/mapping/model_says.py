"""What the model of the variables says itself, held against what the mapping assumes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tfcaffe.mapping.mapping_file import MappingFile
from tfcaffe.mapping.pairs import (
    Pair,
    Problem,
    caffe_epsilon,
    is_variance,
    said_epsilon,
    same_epsilon,
)
from tfcaffe.mapping.transform import inputs_of
from tfcaffe.plan import Plan
from tfcaffe.variables.keras_config import Ordering


def other_epsilon(
    mapping: MappingFile, plan: Plan, pair: Pair, epsilons: Mapping[str, float]
) -> Problem | None:
    """What is wrong if the model of the variables has another epsilon than is assumed."""
    if not (is_variance(pair.blob) and pair.variables):
        return None
    model = epsilons.get(pair.variables[0].rpartition("/")[0].rpartition("/")[2])
    said = said_epsilon(mapping, pair.value)
    assumed = caffe_epsilon(plan.layers[pair.blob.layer]) if said is None else said
    if model is None or same_epsilon(model, assumed):
        return None
    whose = "the prototxt's" if said is None else "the mapping's"
    return Problem(
        f"{pair.blob}: the model's epsilon is {model:g}, {whose} {assumed:g}; write "
        f"`epsilon: {model:g}` (for all at the top of the file, or for this variance)",
        pair.value.place,
    )


def other_order(pair: Pair, model: Ordering) -> Problem | None:
    """What the model says of its order, and the mapping does not; `rearrange` says all."""
    value, transform, kind = pair.value, pair.transform, pair.blob.type
    if transform is None or value.rearrange:
        return None
    kernel = kind in ("Convolution", "Deconvolution") and pair.blob.role == "weights"
    long = {a.upper() for a in "dhw" if transform.pattern.sizes.get(a, 1) > 1} if kernel else set()
    inputs = re.findall(r"\w+", inputs_of(transform.pattern.text))
    flat = sum(transform.pattern.sizes.get(axis, 1) > 1 for axis in inputs) > 1
    if model.turned and not long <= set(value.reverse):
        said, way = "was written under Theano, which turns kernels round", "reverse: [H, W]"
    elif model.kernels and kernel and not value.layout:
        said, way = "says dim_ordering th, so its kernels are OIHW", "layout: OIHW"
    elif model.flat and not value.flatten and (flat or transform.moves):
        way = "flatten: [C, H, W]" if flat else 'rearrange: "c -> c"'
        said = "says channels first, so its Flatten goes over C, H, W"
    else:
        return None
    name = pair.variables[0]
    return Problem(
        f"{pair.blob}: the model {said}; write `{{variable: {name}, {way}}}`", value.place
    )
