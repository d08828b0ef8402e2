"""Train a small net in Keras, write it as Caffe files, convert those back, and compare all three.

    make demo

The digits ship inside scikit-learn, so nothing is fetched; real Caffe is not needed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.files.caffemodel import write
from tfcaffe.files.weights import Blobs, LayerBlobs
from tfcaffe.load import load_net
from tfcaffe.plan import make_plan
from tfcaffe.verify import text, verify

PROTOTXT = Path(__file__).with_name("digits.prototxt")
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
    """The net of `digits.prototxt` as a Keras user writes it, layer names alike."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="ip1"),
            layers.Dense(10, activation="softmax", name="ip2"),
        ]
    )


def write_caffemodel(model: Any, path: Path) -> None:
    """The Keras weights, in Caffe's layout, as weights of `digits.prototxt`.

    The layouts come from the prototxt: ip1's rows are turned from Keras's `(h w c)` order into
    Caffe's `(c h w)`.
    """
    plan = make_plan(load_net(PROTOTXT))
    with_blobs = [entry for entry in plan.layers if entry.params]
    write(
        path,
        (
            LayerBlobs(
                entry.layer.name,
                entry.layer.type,
                Blobs.of(
                    [
                        param.layout.to_caffe(values)
                        for param, values in zip(
                            entry.params,
                            model.get_layer(entry.layer.name).get_weights(),
                            strict=True,
                        )
                    ]
                ),
            )
            for entry in with_blobs
        ),
        net_name="digits",
        overwrite=True,
    )


def run_opencv(caffemodel: Path, images: Any) -> Any:
    """The Caffe files in OpenCV's Caffe importer."""
    import cv2

    net = cv2.dnn.readNetFromCaffe(str(PROTOTXT), str(caffemodel))
    net.setInput(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return net.forward("prob")


def main() -> None:
    """Train, write, convert, run all three and print the table."""
    from tfcaffe.quiet import quiet_tensorflow

    quiet_tensorflow()
    import keras

    import caffe2tf

    keras.utils.set_random_seed(0)
    train_x, test_x, train_y, test_y = digits()
    original = keras_net()
    original.compile("adam", "sparse_categorical_crossentropy")
    print(f"training on {len(train_x)} digits, {EPOCHS} epochs …", flush=True)
    original.fit(train_x, train_y, batch_size=32, epochs=EPOCHS, verbose=0)

    folder = Path(os.environ.get("OUT", tempfile.mkdtemp(prefix="tfcaffe-demo-")))
    folder.mkdir(parents=True, exist_ok=True)
    caffemodel, converted = folder / "digits.caffemodel", folder / "digits.keras"
    write_caffemodel(original, caffemodel)
    caffe2tf.convert(PROTOTXT, caffemodel, converted, overwrite=True)
    print(f"wrote {caffemodel} and {converted}\n")

    answers = {
        "Keras, as trained": original.predict(test_x, verbose=0),
        "Caffe files in OpenCV": run_opencv(caffemodel, test_x),
        "converted to Keras": keras.saving.load_model(converted).predict(test_x, verbose=0),
    }
    reference = answers["Keras, as trained"]
    print(f"{'':22}  accuracy  largest difference  same predictions")
    for name, answer in answers.items():
        accuracy = np.mean(answer.argmax(1) == test_y)
        difference = np.abs(answer - reference).max()
        agreement = np.mean(answer.argmax(1) == reference.argmax(1))
        print(f"{name:22}  {accuracy:8.1%}  {difference:18.1e}  {agreement:16.1%}")
        if difference > 1e-5 or agreement < 1:
            raise SystemExit(f"{name}: differs from the net as trained")

    print("\nCaffe files in OpenCV and the converted net, layer by layer:")
    batch = np.ascontiguousarray(test_x.transpose(0, 3, 1, 2))
    report = verify(PROTOTXT, caffemodel, converted, backend="opencv", input={"image": batch})
    print(text.table(report))
    print(text.verdict(report))
    if report.verdict != "equal":
        raise SystemExit(1)


if __name__ == "__main__":
    main()
