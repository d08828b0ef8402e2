"""What both directions share: Caffe files, layer families, layouts, verify and mappings."""
