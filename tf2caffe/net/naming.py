"""Caffe's names of Keras layers, also of those that `caffe2tf` wrote."""

from __future__ import annotations

import re

from tfcaffe.errors import ConversionError
from tfcaffe.names import unescape

_HELPER = re.compile(r">[hot]\d+$")  # further Keras layers of one Caffe layer
# Caffe takes two layers of one name, Keras does not; and a further call of one Keras layer
_REPEATED = re.compile(r"(?:>d|#)(\d+)$")


def caffe_layer(origin: str) -> str:
    """The Caffe layer that a Keras layer belongs to: `a__b>h1` to `a/b`, the second `c` is `c_2`.

    Any other name as it is. Source: caffe2tf.site (helper, escaped), caffe2tf.build (_named),
    tfcaffe.keras_graph (Calls).
    """
    name = _HELPER.sub("", origin)
    again = _REPEATED.search(name)
    try:
        plain = unescape(_REPEATED.sub("", name))
    except ConversionError:
        plain = _REPEATED.sub("", origin)
        again = _REPEATED.search(origin)
    return f"{plain}_{again[1]}" if again else plain
