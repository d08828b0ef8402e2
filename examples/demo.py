"""Train a small net in Keras, convert it to Caffe and that back to Keras, and compare all three.

    make demo

The digits ship inside scikit-learn, so nothing is fetched; real Caffe is not needed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.verify import text, verify

EPOCHS = 15


def digits() -> tuple[Any, Any, Any, Any]:
    """Images `[N, 8, 8, 1]` within 0 and 1 and labels: 1,437 to train on, 360 to test on."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    images = (data.images[..., None] / 16).astype(np.float32)
    parts = train_test_split(images, data.target, test_size=0.2, random_state=0)
    return tuple(parts)  # type: ignore[return-value]


def keras_net() -> Any:
    """A net as a Keras user writes it; the first pooling pads unevenly, as TensorFlow does."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1"),
            layers.BatchNormalization(name="bn1"),
            layers.ReLU(name="relu1"),
            layers.MaxPooling2D(3, 2, padding="same", name="pool1"),
            layers.SeparableConv2D(32, 3, padding="same", activation="silu", name="conv2"),
            layers.AveragePooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(64, activation="relu", name="fc1"),
            layers.Dense(10, activation="softmax", name="prob"),
        ],
        name="digits",
    )


def run_opencv(stem: Path, images: Any) -> Any:
    """The Caffe files in OpenCV's Caffe importer."""
    import cv2

    net = cv2.dnn.readNetFromCaffe(f"{stem}.prototxt", f"{stem}.caffemodel")
    net.setInput(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return net.forward()


def main() -> None:
    """Train, convert there and back, run all three and print the table."""
    from tfcaffe.quiet import quiet_tensorflow

    quiet_tensorflow()
    import keras

    import caffe2tf
    import tf2caffe

    keras.utils.set_random_seed(0)
    train_x, test_x, train_y, test_y = digits()
    original = keras_net()
    original.compile("adam", "sparse_categorical_crossentropy")
    print(f"training on {len(train_x)} digits, {EPOCHS} epochs …", flush=True)
    original.fit(train_x, train_y, batch_size=32, epochs=EPOCHS, verbose=0)

    folder = Path(os.environ.get("OUT", tempfile.mkdtemp(prefix="tfcaffe-demo-")))
    folder.mkdir(parents=True, exist_ok=True)
    stem, back = folder / "digits", folder / "digits.keras"
    prototxt, caffemodel = Path(f"{stem}.prototxt"), Path(f"{stem}.caffemodel")
    tf2caffe.convert(original, stem, overwrite=True)
    caffe2tf.convert(prototxt, caffemodel, back, overwrite=True)
    print(f"wrote {prototxt}, {caffemodel} and {back}\n")

    answers = {
        "Keras, as trained": original.predict(test_x, verbose=0),
        "Caffe files in OpenCV": run_opencv(stem, test_x),
        "converted back to Keras": keras.saving.load_model(back).predict(test_x, verbose=0),
    }
    reference = answers["Keras, as trained"]
    print(f"{'':24}  accuracy  largest difference  same predictions")
    for name, answer in answers.items():
        accuracy = np.mean(answer.argmax(1) == test_y)
        difference = np.abs(answer - reference).max()
        agreement = np.mean(answer.argmax(1) == reference.argmax(1))
        print(f"{name:24}  {accuracy:8.1%}  {difference:18.1e}  {agreement:16.1%}")
        if difference > 1e-5 or agreement < 1:
            raise SystemExit(f"{name}: differs from the net as trained")

    print("\nCaffe files in OpenCV and the net as trained, layer by layer:")
    batch = np.ascontiguousarray(test_x[:1].transpose(0, 3, 1, 2))
    report = verify(prototxt, caffemodel, original, backend="opencv", input={"image": batch})
    print(text.table(report))
    print(text.verdict(report))
    if report.verdict != "equal":
        raise SystemExit(1)


if __name__ == "__main__":
    main()
