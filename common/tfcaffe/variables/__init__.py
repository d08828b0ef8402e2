"""TensorFlow's files of variables, by name: checkpoints, Keras files, arrays.

Each file kind is one module of this folder; `tfcaffe.variables.files` finds the right one.
"""
