"""The Caffe net in the making: its blobs and layers, how they lie, and forms that rules share."""
