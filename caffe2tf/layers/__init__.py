"""How each Caffe layer becomes Keras nodes: one function per type, found by its registration."""

import importlib
import pkgutil
from functools import cache

from caffe2tf.site import Builder, builders


@cache
def registry() -> dict[str, Builder]:
    """The builder of every layer type that becomes nodes of its own."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return builders()
