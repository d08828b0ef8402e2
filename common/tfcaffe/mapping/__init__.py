"""Mappings: which TensorFlow variables go into which of Caffe's blobs, in YAML, for both ways.

`document` reads YAML as strings with their places, `template` the names with placeholders,
`mapping_file` what a file says. `resolve` holds that against a net and a file of variables,
`transform` has the numbers of one pair, `apply` moves them.
"""
