"""TensorFlow and Keras networks become Caffe networks (see the mapping and convert commands)."""

from tf2caffe.convert import convert
from tfcaffe.errors import ConversionError
from tfcaffe.inspection import inspect
from tfcaffe.verify import verify

__all__ = ["ConversionError", "convert", "inspect", "verify"]
