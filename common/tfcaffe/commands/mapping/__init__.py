"""`mapping`: write, check and edit files that say which variables are which of Caffe's blobs."""

from tfcaffe.commands.mapping import check, ignore, init, list_, set_, show

NAME = "mapping"
SUMMARY = "which TensorFlow variables go into which of Caffe's blobs: propose, check, edit mappings"
EXAMPLE = (
    "mapping init deploy.prototxt model.ckpt -o net.yaml",
    "mapping check net.yaml deploy.prototxt --checkpoint model.ckpt",
    "mapping list",
)
COMMANDS = (init, check, set_, ignore, list_, show)
