"""Caffe networks become TensorFlow ones that compute the same function, or are refused.

import caffe2tf
model = caffe2tf.load("deploy.prototxt", "net.caffemodel")            # a Keras model
caffe2tf.convert("deploy.prototxt", "net.caffemodel", "net.keras")    # a file
"""

from caffe2tf.convert import convert, load
from tfcaffe.errors import ConversionError

__all__ = ["ConversionError", "convert", "load"]
