"""`mapping`: write, check and edit files that say which variables are which of Caffe's blobs."""

from tfcaffe.commands.mapping import check, ignore, list_, set_, show

NAME = "mapping"
SUMMARY = "which TensorFlow variables go into which of Caffe's blobs: check, edit and list mappings"
EXAMPLE = ("mapping check net.yaml deploy.prototxt --checkpoint model.ckpt", "mapping list")
COMMANDS = (check, set_, ignore, list_, show)
