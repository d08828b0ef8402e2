"""TensorFlow's networks become Caffe models that compute the same function, or are refused.

import tf2caffe
tf2caffe.convert("model.keras", "net")                 # writes net.prototxt and net.caffemodel
tf2caffe.convert(model, "net", outputs=["block5"])     # a Keras model in memory, cut at a layer
tf2caffe.convert("model.ckpt", "net.caffemodel", prototxt="net.prototxt", mapping="net.yaml")
help(tf2caffe.mapping)                                 # which variable is which blob
tf2caffe.verify("net.prototxt", "net.caffemodel", "model.keras")     # a report: .verdict
help(tf2caffe.Options)                                 # what convert takes
"""

from tf2caffe.convert import convert
from tf2caffe.options import Options
from tfcaffe.errors import ConversionError
from tfcaffe.inspection import inspect
from tfcaffe.mapping import api as mapping
from tfcaffe.verify import verify

__all__ = ["ConversionError", "Options", "convert", "inspect", "mapping", "verify"]
