"""`make roundtrips`: nets from Caffe to Keras and back, and from Keras to Caffe and back.

    python tests/round_trip_sweep.py [--again] [--only TEXT]

Every prototxt of the corpus that stock Caffe loads, with random weights, and its trained models:
what comes back must have the same layers with the same numbers (`round_trips.py` says what is not
compared), and give the same outputs in real Caffe. Nets that pool with `round_mode: FLOOR`, which
Caffe 1.0 lacks, come back in the dialect `caffe-master`. Nets of keras.applications must come back
as a Keras model with the same weights, layer by layer, and the same outputs.
Results go to `out/roundtrips.jsonl` as they come; the table is written to `out/roundtrips.md`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from corpus import CORPUS
from corpus_sweep import LAYER_TEST, TRAINED, bytes_of, kinds
from sweeping import Sweep

LIMIT = 1e-5  # of the outputs' scale
SEED = 1
APPLICATIONS = (
    *("MobileNet@96", "MobileNetV2@96", "MobileNetV3Small@96", "ResNet50@97", "ResNet50V2@64"),
    *("DenseNet121@64", "EfficientNetB0@64", "InceptionV3@97", "VGG16@64", "Xception@97"),
)
_LISTED = 5
_HEAVY = 2**31  # bytes of blobs of a net that is compared without being run


def cases() -> list[str]:
    """All nets: paths within the corpus, if there is one, and models with their sizes."""
    if not CORPUS.is_dir():
        return list(APPLICATIONS)
    found = [path for path, kind in kinds().items() if kind != LAYER_TEST]
    return [*found, *APPLICATIONS]


def one(name: str, folder: Path) -> dict[str, Any]:
    """The figures of one net."""
    from tfcaffe.errors import ConversionError
    from tfcaffe.quiet import quiet_tensorflow

    quiet_tensorflow()
    try:
        return _of_caffe(CORPUS / name, folder) if "/" in name else _of_keras(name, folder)
    except ConversionError as error:
        return {"status": "refused", "reason": str(error)}


def _of_caffe(net: Path, folder: Path) -> dict[str, Any]:
    import random_weights
    from round_trips import differences, returned, said
    from tfcaffe.errors import ConversionError
    from tfcaffe.load import load_net, load_weights
    from tfcaffe.plan import make_plan

    batch: int | None = 1
    try:
        plan = make_plan(load_net(net), batch=batch)
    except ConversionError:  # reshapes to a batch of its own
        batch = None
        plan = make_plan(load_net(net))
    weights = folder / "random.caffemodel"
    if net.parent.name in TRAINED:
        weights = net.parent / TRAINED[net.parent.name][1]
    else:
        random_weights.write(plan, random_weights.random_blobs(plan, SEED), weights)
    pools = [entry for entry in plan.layers if entry.layer.type == "Pooling"]
    floors = not all(entry.family.rounds_up(entry.layer) for entry in pools)  # type: ignore[attr-defined]
    dialect = "caffe-master" if floors else "caffe-1.0"
    text, model = returned(net, weights, folder, dialect, batch=batch)
    before = said(plan, load_weights(weights))
    after = said(make_plan(load_net(text), batch=batch), load_weights(model))
    found = differences(before, after)
    output = _in_caffe(plan, (net, weights), (text, model))
    return {
        "status": "different" if found or (output or 0) > LIMIT else "same",
        "layers": len(before),
        "numbers": sum(array.size for layer in before.values() for array in layer.numbers.values()),
        "output": output,
        "dialect": dialect,
        "differences": found[:_LISTED],
        "count": len(found),
    }


def _in_caffe(plan: Any, one: tuple[Path, Path], two: tuple[Path, Path]) -> float | None:
    """The largest difference of an output in real Caffe, both nets on the same input.

    None for nets whose blobs take too much memory.
    """
    import numpy as np

    from tfcaffe.oracle.pycaffe import Caffe

    if bytes_of(plan) > _HEAVY:
        return None
    rng = np.random.default_rng(SEED)
    fed = {
        top: rng.standard_normal([size or 1 for size in layout.shape]).astype(np.float32)
        for entry in plan.layers
        if entry.family.source
        for top, layout in zip(entry.layer.tops, entry.tops, strict=True)
    }
    names = [(plan.layers[ref.layer].layer.name, ref.top) for _, ref in plan.net.outputs]
    with Caffe() as caffe:
        runs = [caffe.run(*one, fed), caffe.run(*two, _inputs(two[0], fed))]
    found = []
    for layer, top in names:
        arrays = [_last(run, layer, top) for run in runs]
        if all(a is not None for a in arrays):
            scale = float(np.abs(arrays[0]).max()) or 1.0
            found.append(float(np.abs(arrays[0] - arrays[1]).max()) / scale)
    return max(found, default=None)


def _inputs(net: Path, fed: dict[str, Any]) -> dict[str, Any]:
    """What the net that came back is fed: inputs that nobody reads may be gone, none may be new."""
    from tfcaffe.load import load_net

    inputs = [top for layer in load_net(net).layers if layer.type == "Input" for top in layer.tops]
    return {name: fed[name] for name in inputs}


def _last(run: Any, layer: str, top: int) -> Any:
    """The array that a layer made; its numbers in memory's order."""
    arrays = [made.arrays for made in run.layers if made.name == layer]
    return arrays[-1][top].reshape(-1) if arrays and top < len(arrays[-1]) else None


def _of_keras(name: str, folder: Path) -> dict[str, Any]:
    import numpy as np

    import caffe2tf
    import tf2caffe
    from round_trips import weight_differences
    from zoo_sweep import images, prepared

    kind, _, size = name.partition("@")
    model = prepared(kind, int(size))
    tf2caffe.convert(model, folder / "net", overwrite=True)
    again = caffe2tf.load(folder / "net.prototxt", folder / "net.caffemodel")
    found, enlarged = weight_differences(model, again)
    x = images(int(size), 1)
    wanted, got = (np.asarray(m(x, training=False)) for m in (model, again))
    worst = float(np.abs(wanted - got.reshape(wanted.shape)).max() / np.abs(wanted).max())
    return {
        "status": "different" if found or worst > LIMIT else "same",
        "layers": sum(bool(layer.weights) for layer in model._flatten_layers()),
        "numbers": int(sum(np.prod(v.shape) for v in model.variables)),
        "output": worst,
        "enlarged": enlarged,
        "differences": found[:_LISTED],
        "count": len(found),
    }


def table(results: list[dict[str, Any]]) -> str:
    """The results for people."""
    lines = [
        "| net | result | layers | numbers | outputs | what differs |",
        "|---|---|---|---|---|---|",
    ]
    for r in results:
        if "layers" not in r:
            reason = str(r.get("reason", "")).replace("\n", " ")
            lines.append(f"| {r['name']} | {r['status']} | | | | {reason} |")
            continue
        output = "–" if r["output"] is None else f"{r['output']:.1e}"
        what = "; ".join(r["differences"])
        if r.get("dialect", "caffe-1.0") != "caffe-1.0":
            what = f"({r['dialect']}) {what}"
        if r["count"] > len(r["differences"]):
            what += f"; and {r['count'] - len(r['differences'])} more"
        if r.get("enlarged"):
            what += f" ({r['enlarged']} kernels with rows of zeros more)"
        cells = [r["name"], r["status"], str(r["layers"]), str(r["numbers"]), output, what]
        lines.append(f"| {' | '.join(cells)} |")
    same = sum(r["status"] == "same" for r in results)
    lines += ["", f"{same} of {len(results)} nets come back as they were."]
    return "\n".join(lines) + "\n"


SWEEP = Sweep(__file__, "roundtrips", cases, one, table)


if __name__ == "__main__":
    sys.exit(SWEEP.main(__doc__))
