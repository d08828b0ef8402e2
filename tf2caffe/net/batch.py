"""Layers that join what lies in the batch, of which Caffe may be given any number."""

from __future__ import annotations

from collections.abc import Sequence

from tf2caffe.net.site import Site
from tf2caffe.net.value import Value


def joined(
    site: Site, x: Value, over: Sequence[int], how: str = "joins what is in the batch"
) -> None:
    """Say that a net holds for this batch alone, where these dimensions of a value are joined.

    Raises:
        UnsupportedError: nobody said the batch.
    """
    if not x.shape or not any(0 in x.layout.dims[d] for d in over):
        return
    size = x.shape[0]
    if site.graph.free and size == 1:
        name = next(iter(site.graph.free))
        raise site.refusal(
            f"{how}, whose size is free: the net would hold for one image at a time. If that is "
            f"meant, say it with --input-shape {name}=1,...; else export the network for "
            "inference, or cut it before this node with --outputs"
        )
    site.builder.notes.append(f"{site.node}: {how}: the net holds for a batch of {size} alone")
