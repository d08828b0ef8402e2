"""How each Caffe layer becomes Keras nodes: one function per type, found by its registration."""

from functools import cache

from caffe2tf.site import Builder, builders
from tfcaffe.tables import modules


@cache
def registry() -> dict[str, Builder]:
    """The builder of every layer type that becomes nodes of its own."""
    modules(__name__, __path__)
    return builders()
