"""One file per layer family: what both directions and the mappings need to know of it.

A family's class says which blobs a layer has, how they lie in either framework, which shapes it
makes of which, and which fields it reads. Files in this folder are found by themselves.
"""

from collections.abc import Iterator
from functools import cache

from tfcaffe.layers.base import Family, families
from tfcaffe.tables import modules


@cache
def registry() -> dict[str, Family]:
    """The family of every supported layer type, by Caffe's type name."""
    modules(__name__, __path__)
    return families()


def supported() -> Iterator[str]:
    """The supported layer types, sorted."""
    return iter(sorted(registry()))
