"""The mapping commands as functions of the same names: `caffe2tf.mapping`, `tf2caffe.mapping`.

from tf2caffe import mapping
mapping.init("net.prototxt", "model.ckpt", "net.yaml")                  # propose a file
mapping.check("net.yaml", "net.prototxt", checkpoint="model.ckpt").fits
mapping.set("net.yaml", {"conv1.weights": "net/conv1/kernel"})          # change entries
mapping.ignore("net.yaml", "**/Momentum")                               # leave variables out
mapping.list(), mapping.show("vgg16_slim")                              # the shipped ones
"""

from tfcaffe.mapping.check import check
from tfcaffe.mapping.edit import ignore
from tfcaffe.mapping.edit import set_entries as set
from tfcaffe.mapping.proposal.init import init
from tfcaffe.mapping.shipped import names as list
from tfcaffe.mapping.shipped import show

__all__ = ["check", "ignore", "init", "list", "set", "show"]
