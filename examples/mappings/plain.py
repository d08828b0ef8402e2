"""plain.prototxt as a Keras user writes it: makes plain.keras, with random numbers.

python plain.py                  # writes plain.keras, and the image.npy and answer.npy of one run
python plain.py back.weights.h5  # do these weights give that answer, too?
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
from keras import layers


def net() -> Any:
    """The net; its layers are not called as Caffe's are."""
    image = layers.Input((14, 12, 1), name="image")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="block_1")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, activation="relu", name="block_2")(x)
    x = layers.Flatten()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="classes")(x))


def main() -> None:
    model = net()
    if len(sys.argv) == 1:
        rng = np.random.default_rng(1)
        images = rng.normal(size=(2, 14, 12, 1)).astype(np.float32)
        model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
        model.save("plain.keras")
        np.save("image.npy", images)
        np.save("answer.npy", model(images))
        return
    model.load_weights(sys.argv[1])
    same = np.array_equal(model(np.load("image.npy")), np.load("answer.npy"))
    print("the same answers" if same else "other answers")


if __name__ == "__main__":
    main()
