"""TensorFlow and Keras networks become Caffe networks (see the mapping and convert commands)."""
