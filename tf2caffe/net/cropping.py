"""Cuts of H and W by Caffe's Crop, which takes its size from another blob of the net."""

from __future__ import annotations

from collections.abc import Sequence

from tf2caffe.graph import Graph, Node
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tfcaffe.layout import Layout


def cropped(site: Site, x: Value, starts: Sequence[int], sizes: Sequence[int]) -> Value | None:
    """What a blob N, C, H, W holds from `starts` on, of `sizes`.

    None where the dialect has no Crop, or no blob that there is already has that size: Caffe
    copies the numbers, and computes nothing. Source: crop_layer.cpp.
    """
    if not site.dialect.allows("Crop", bottoms=2, axis=2):
        return None
    tops = [top for layer in site.builder.layers for top in layer.tops]
    alike = [top for top in tops if top.shape[2:] == tuple(sizes) and len(top.shape) == 4]
    fed = [top for top in alike if top.maker is not None and top.maker.type == "Input"]
    if not alike:
        return None
    like = (fed or alike[-1:])[0]
    offset = [starts[0]] if len(set(starts)) == 1 else list(starts)
    top = site.layer(
        "Crop",
        x.blob.raw,
        like.raw,
        hint="crop",
        axis=2,
        offset=offset,  # always said: MNN drops a Crop without a crop_param
    )
    return Value(top, Layout(tuple((size,) for size in top.shape), x.layout.dims))


def is_cut_to_input(node: Node, channel: int, graph: Graph) -> bool:
    """Whether what a node makes is as high and wide as one of the net's inputs."""
    shape = node.shapes[0] or ()
    alike = [tensor.shape for tensor in graph.inputs.values() if len(tensor.shape) == len(shape)]
    return any(
        all(size == shape[d] for d, size in enumerate(known) if d not in (0, channel))
        for known in alike
    )
