"""Caffe networks become TensorFlow ones that compute the same function, or are refused.

import caffe2tf
model = caffe2tf.load("deploy.prototxt", "net.caffemodel")            # a Keras model
caffe2tf.convert("deploy.prototxt", "net.caffemodel", "net.keras")    # a file
caffe2tf.verify("deploy.prototxt", "net.caffemodel", "net.keras")     # a report: .verdict
caffe2tf.inspect("deploy.prototxt")                                   # layers, shapes, sizes
help(caffe2tf.mapping)                                                # whose variable is which blob
help(caffe2tf.Options)                                                # what convert and load take
"""

from typing import TYPE_CHECKING, Any

from caffe2tf.convert import convert, load
from caffe2tf.options import Options
from tfcaffe.errors import ConversionError
from tfcaffe.inspection import inspect
from tfcaffe.verify import verify

if TYPE_CHECKING:
    from tfcaffe.mapping import api as mapping

__all__ = ["ConversionError", "Options", "convert", "inspect", "load", "mapping", "verify"]


def __getattr__(name: str) -> Any:
    """`mapping` is imported when it is asked for, so that `inspect` starts at once."""
    if name != "mapping":
        raise AttributeError(f"module 'caffe2tf' has no attribute {name!r}")
    from tfcaffe.mapping import api

    return api
