"""TensorFlow's numbers become Caffe models that compute the same function, or are refused.

import tf2caffe
tf2caffe.convert("model.ckpt", "net.caffemodel", prototxt="net.prototxt", mapping="net.yaml")
help(tf2caffe.mapping)                                 # which variable is which blob
tf2caffe.verify("net.prototxt", "net.caffemodel", "model.keras")     # a report: .verdict
"""

from tf2caffe.convert import convert
from tfcaffe.errors import ConversionError
from tfcaffe.inspection import inspect
from tfcaffe.mapping import api as mapping
from tfcaffe.verify import verify

__all__ = ["ConversionError", "convert", "inspect", "mapping", "verify"]
