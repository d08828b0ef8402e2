"""Caffe networks become Keras models that compute the same function."""
