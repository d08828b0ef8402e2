"""Caffe's files: prototxt of any generation, weights, means, and the schema behind them."""
