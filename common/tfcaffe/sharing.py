"""Blobs that several layers share by `param { name }`: who owns each of them.

Source: Net::AppendParam, Net::Init.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from tfcaffe.errors import NetError
from tfcaffe.infer import PlannedLayer
from tfcaffe.layers.base import Param
from tfcaffe.net import Layer

_PERMISSIVE = 1  # ParamSpec.share_mode


def share_params(planned: Sequence[PlannedLayer]) -> tuple[PlannedLayer, ...]:
    """Say who owns each blob, by the names in `param { name }`. Source: Net::AppendParam.

    Raises:
        NetError: blobs that share a name but not a shape; more `param` than blobs; two layers of
            one name that both own blobs, so that a weights file cannot tell them apart.
    """
    named: dict[str, tuple[int, int]] = {}
    bearers: dict[str, Layer] = {}
    result = []
    for i, entry in enumerate(planned):
        specs = entry.layer.message.param
        if len(specs) > len(entry.params):
            raise NetError(
                f"{entry.layer}: has {len(specs)} param, but {len(entry.params)} blobs; Caffe "
                "takes no more than one for each blob"
            )
        owners = []
        for j, param in enumerate(entry.params):
            name = specs[j].name if j < len(specs) else ""
            owner = named.setdefault(name, (i, j)) if name else (i, j)
            _check_shared(planned[owner[0]], owner[1], entry.layer, param, specs, j)
            owners.append(owner)
        if any(owner[0] == i for owner in owners):
            earlier = bearers.setdefault(entry.layer.name, entry.layer)
            if earlier is not entry.layer:
                raise NetError(
                    f"{entry.layer} and {earlier} both have weights of their own under one name; "
                    "weights are found by name, so rename one of them"
                )
        result.append(replace(entry, owners=tuple(owners)))
    return tuple(result)


def _check_shared(
    owner: PlannedLayer, blob: int, layer: Layer, param: Param, specs: Sequence[Any], j: int
) -> None:
    theirs = owner.params[blob].shape
    permissive = j < len(specs) and specs[j].share_mode == _PERMISSIVE
    if theirs != param.shape and not (permissive and prod(theirs) == prod(param.shape)):
        raise NetError(
            f"{layer}: its {param.role or 'factor'} {list(param.shape)} shares the name "
            f"{specs[j].name!r} with that of {owner.layer}, which is {list(theirs)}"
        )
