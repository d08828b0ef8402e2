"""Names of the layer types of Caffe's older generations, as V2 calls them.

The tables are the schema's and the upgrade's; they are loaded when an old file turns up.
"""

from functools import cache
from typing import Any

from tfcaffe.errors import NetError


@cache
def v1_type(code: int) -> str:
    """The V2 type of a V1 layer (4 -> `Convolution`); a number that nobody knows -> `V1:<n>`."""

    def fill(layer: Any) -> None:
        layer.type = code

    return _upgraded(fill) or f"V1:{code}"


@cache
def v0_type(name: str) -> str:
    """The V2 type of a V0 layer (`conv` -> `Convolution`); unknown ones stay as they are."""

    def fill(layer: Any) -> None:
        layer.layer.type = name

    return _upgraded(fill) or name


def _upgraded(fill: Any) -> str:
    from tfcaffe.files.schema import load
    from tfcaffe.files.upgrade import upgrade

    net = load().message("NetParameter")()
    try:
        fill(net.layers.add())
        layers = upgrade(net).layer
    except (NetError, ValueError):  # no such number, no such name
        return ""
    return str(layers[0].type) if layers else ""
