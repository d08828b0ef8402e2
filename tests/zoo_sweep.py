"""`make zoo`: the nets of keras.applications in real Caffe.

    python tests/zoo_sweep.py [--again] [--only TEXT]

Every variable is random, the statistics of batch normalisations come from one pass in training over
random images, and a net counts only if its output moves when its input does by a pixel. All blobs
that both sides have are compared, the logits among them. Then OpenCV reads the same files, and the
net is written once more in the dialect `portable`, which OpenCV reads, too.
Results go to `out/zoo.jsonl` as they come; the table is written to `out/zoo.md` at the end.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from sweeping import Sweep

LIMIT, TARGET = 1e-4, 1e-5  # of the scale, at every blob
OPENCV_LIMIT = 1e-4
MOVED = 1e-2
_PATCHES = 5  # of an image, each way
# The smallest and a large one of each family; the sizes that the family is made for, small and odd.
NETS = {
    "VGG16": (224, 97),
    "VGG19": (64,),
    "ResNet50": (224, 97),
    "ResNet101": (64,),
    "ResNet152": (64,),
    "ResNet50V2": (224, 97),
    "ResNet101V2": (64,),
    "ResNet152V2": (64,),
    "InceptionV3": (299, 128, 149),
    "InceptionResNetV2": (128, 149),
    "Xception": (299, 97),
    "MobileNet": (224, 97),
    "MobileNetV2": (224, 97),
    "MobileNetV3Small": (224, 97),
    "MobileNetV3Large": (224, 97),
    "DenseNet121": (224, 97),
    "DenseNet169": (64,),
    "DenseNet201": (64,),
    "NASNetMobile": (224,),
    "NASNetLarge": (96,),
    "EfficientNetB0": (224, 97),
    "EfficientNetB4": (97,),
    "EfficientNetB7": (96,),
    "EfficientNetV2B0": (224, 97),
    "EfficientNetV2S": (97,),
    "EfficientNetV2L": (96,),
    "ConvNeXtTiny": (224, 97),
    "ConvNeXtSmall": (64,),
    "ConvNeXtLarge": (64,),
}


def cases() -> list[str]:
    """All nets at all their sizes, the small ones first."""
    return [f"{name}@{size}" for name, sizes in NETS.items() for size in sizes]


def prepared(name: str, size: int) -> Any:
    """The net with random weights whose values do not die out, and no softmax."""
    import keras
    import numpy as np

    from whole import randomised

    build = getattr(keras.applications, name)
    options = {"weights": None, "input_shape": (size, size, 3), "classifier_activation": None}
    model = randomised(build(**options))
    norms = [la for la in model._flatten_layers() if hasattr(la, "moving_mean")]
    for layer in norms:
        layer.momentum = 0.0  # what is normalised by is then the last batch's
    if norms:
        model(images(size, 16), training=True)
    for variable in [] if norms else model.variables:
        if variable.path.endswith("/beta"):  # not to drown what the input says
            variable.assign(variable * 0.3)
    assert all(np.isfinite(np.asarray(la.moving_variance)).all() for la in norms)
    return model


def images(size: int, count: int, seed: int = 5) -> Any:
    """Random images from -127 to 128: a few large patches, and noise.

    Noise alone looks the same everywhere to a deep net, whose normalisations then blow up rounding.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    side = -(-size // _PATCHES)
    patches = rng.uniform(0, 160, (count, _PATCHES, _PATCHES, 3))
    large = patches.repeat(side, axis=1).repeat(side, axis=2)[:, :size, :size]
    return (large + rng.uniform(0, 95, large.shape) - 127).astype(np.float32)


def moved(model: Any, size: int) -> float:
    """How far the output moves, of its scale, when the input moves by a pixel."""
    import numpy as np

    wide = images(size + 1, 1)
    pair = np.concatenate([wide[:, :size, :size], wide[:, :size, 1:]])
    first, second = np.asarray(model(pair, training=False))
    return float(np.abs(first - second).max() / np.abs(first).max())


def one(case: str, folder: Path) -> dict[str, Any]:
    """The figures of one net at one size."""
    from tfcaffe.quiet import quiet_tensorflow

    quiet_tensorflow()
    from tfcaffe.errors import ConversionError
    from whole import compared, written

    name, _, digits = case.partition("@")
    size = int(digits)
    model = prepared(name, size)
    (title,) = (t._keras_history.operation.name for t in model.inputs)
    fed = {title: images(size, 1).transpose(0, 3, 1, 2)}
    began = time.monotonic()
    try:
        net = written(model, folder)
    except ConversionError as error:
        return {"status": "refused", "reason": str(error)}
    took = time.monotonic() - began
    report = compared(model, net, _caffe(), fed, LIMIT)
    result = {
        "status": report.verdict,
        "layers": len(net.network.layers),
        "blobs": len(report.blobs),
        "output": max(b.max for b in report.outputs),
        "worst": max(b.max for b in report.blobs),
        "at": max(report.blobs, key=lambda b: b.max).layer,
        "moved": moved(model, size),
        "convert": round(took, 1),
        "opencv": _opencv(model, net, fed),
    }
    try:
        portable = written(model, folder, dialect="portable")
        again = compared(model, portable, _caffe(), fed, LIMIT)
        result["portable"] = max(b.max for b in again.outputs)
        result["portable_opencv"] = _opencv(model, portable, fed)
    except ConversionError as error:
        result["portable"] = str(error).splitlines()[0]
    if result["moved"] < MOVED and result["status"] == "equal":
        result["status"] = "unproven"
    return result


def _caffe() -> Any:
    from tfcaffe.oracle.pycaffe import Caffe

    return Caffe()


def _opencv(model: Any, net: Any, fed: Any) -> float | str:
    """The largest difference at the outputs, or why OpenCV does not read the files."""
    import numpy as np

    from tfcaffe.errors import ConversionError
    from tfcaffe.oracle.opencv import OpenCV

    wanted = np.asarray(model(next(iter(fed.values())).transpose(0, 2, 3, 1), training=False))
    try:
        with OpenCV() as running:
            run = running.run(net.prototxt, net.caffemodel, fed)
    except ConversionError as error:
        return str(error).splitlines()[0]
    found = run.layers[-1].arrays[0]
    return float(np.abs(found.reshape(wanted.shape) - wanted).max() / np.abs(wanted).max())


def table(results: list[dict[str, Any]]) -> str:
    """The results for people."""
    lines = [
        "| net | layers | blobs | logits | worst | one pixel | OpenCV | portable | in OpenCV |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        if "worst" not in r:
            lines.append(f"| {r['name']} | {r['status']}: {r.get('reason', '')} |")
            continue
        cells = [r["name"], str(r["layers"]), str(r["blobs"]), _short(r["output"])]
        cells += [_short(r["worst"]), f"{r['moved']:.0%}", _short(r["opencv"])]
        cells += [_short(r["portable"]), _short(r.get("portable_opencv", ""))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _short(value: float | str) -> str:
    return f"{value:.1e}" if isinstance(value, float) else value


SWEEP = Sweep(__file__, "zoo", cases, one, table)


if __name__ == "__main__":
    sys.exit(SWEEP.main(__doc__))
