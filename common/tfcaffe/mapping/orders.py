"""Where numbers are in Caffe's order by the prototxt, and in another one in TensorFlow's code.

A mapping lays a layer's own blobs; what the TensorFlow code does between layers it cannot see.
"""

from __future__ import annotations

from collections.abc import Iterator

from tfcaffe.infer import PlannedLayer
from tfcaffe.mapping.flow import follow
from tfcaffe.mapping.mapping_file import MappingFile
from tfcaffe.mapping.pairs import Problem
from tfcaffe.plan import Plan

_COLOURS, _SHOWN = 3, 3
_SIZES_ONLY = ("Silence", "PriorBox", "Crop")  # what they read of an image are its sizes


def colours(mapping: MappingFile, plan: Plan) -> Iterator[Problem]:
    """Layers that read a picture whose channels `channels` does not turn round for them."""
    for i, entry in enumerate(plan.layers if mapping.flips else ()):
        kind = entry.layer.type
        if kind in _SIZES_ONLY or not _reads_picture(plan, i) or _turned(entry):
            continue
        yield Problem(
            f"`channels`: {entry.layer.name} ({kind}) reads the picture, and only those "
            "Convolutions that read it directly, all channels at once, are turned round; leave "
            "`channels` out, and turn variables yourself: `reverse: [I]` for the kernel of the "
            "first Convolution, `reverse: [C]` for what is a number for each channel"
        )


def _reads_picture(plan: Plan, layer: int) -> bool:
    for ref in plan.net.sources[layer]:
        shape = plan.shapes[ref.layer][ref.top]
        if plan.layers[ref.layer].family.source and len(shape) > 3 and shape[1] == _COLOURS:
            return True
    return False


def _turned(entry: PlannedLayer) -> bool:
    return entry.layer.type == "Convolution" and entry.family.options(entry.layer).group == 1


def notes(plan: Plan) -> tuple[str, ...]:
    """Of pictures that go out in an order that TensorFlow's code may not have."""
    pictures = follow(plan).pictures
    return tuple(
        f"the output {name} is numbers that were flattened or reshaped: Caffe counts them C, H, W, "
        "and TensorFlow H, W, C unless your code transposes. The mapping takes it that it does; "
        "`mapping check --run` tells"
        for name in [name for name, ref in plan.net.outputs if ref in pictures][:_SHOWN]
    )
