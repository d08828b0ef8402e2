"""`make corpus`: every real net of the corpus through conversion and verification.

    python tests/corpus_sweep.py [--again] [--only TEXT]

Each net runs in a process of its own, no more at a time than there are cores, and one whose blobs
fill gigabytes alone. Results go to
`out/corpus.jsonl` as they come, so that a sweep that was stopped goes on where it was; the table is
written to `out/corpus.md` at the end.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from corpus import CORPUS
from sweeping import Sweep
from tfcaffe.errors import ConversionError
from tfcaffe.load import load_net
from tfcaffe.plan import Plan, make_plan

RANDOM, REAL, LAYER_TEST = "random weights", "trained", "OpenCV's layer test"
SEED = 1
BLOB_LIMIT, OUTPUT_LIMIT = 1e-4, 1e-5
_HEAVY = 3 * 2**30  # bytes of blobs from which a net runs alone
_LARGE = 3 * 400 * 400  # numbers of an input above which one sample must do

# Trained models: prototxt, caffemodel, the preprocessing of images that fits them.
TRAINED = {
    "lenet": ("lenet.prototxt", "lenet_iter_10000.caffemodel", 0.0, 1 / 256),
    "mtcnn_det1": ("det1.prototxt", "det1.caffemodel", 127.5, 1 / 128),
    "mtcnn_det2": ("det2.prototxt", "det2.caffemodel", 127.5, 1 / 128),
    "triplet_3dobj": (
        "3d_triplet_testIMG.prototxt",
        "3d_triplet_iter_30000.caffemodel",
        0.0,
        1 / 256,
    ),
    "vanilla_landmark": ("vanilla_deploy.prototxt", "vanillaCNN.caffemodel", 127.5, 1 / 128),
    "vdsr": ("VDSR_net_deploy.prototxt", "VDSR_Adam.caffemodel", 0.0, 1 / 255),
}
# OpenCV's layer tests: their common input is what their Dropout test answers with.
LAYERS = "models/opencv_extra_caffe_layers"
COMMON_INPUT = f"{LAYERS}/layer_dropout.npy"


@cache
def kinds() -> dict[str, str]:
    """What kind of net each is that stock Caffe loads, by its path within the corpus."""
    with (CORPUS / "SOURCES.tsv").open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        loads = [r["local path"] for r in rows if r["loads in BVLC Caffe 1.0"].startswith("yes")]
    found = {path: RANDOM for path in loads if path.startswith("prototxt/")}
    found |= {f"models/{folder}/{net}": REAL for folder, (net, *_) in TRAINED.items()}
    tests = (path for path in loads if path.startswith(LAYERS) and path.endswith(".prototxt"))
    return found | dict.fromkeys(tests, LAYER_TEST)


def _heavy(path: str) -> bool:
    """Whether the net's blobs fill gigabytes in Caffe; not, where it is refused anyhow."""
    try:
        return bytes_of(make_plan(load_net(CORPUS / path))) > _HEAVY
    except ConversionError:
        return False


def bytes_of(plan: Plan) -> int:
    """What all blobs of a plan take as float32."""
    return 4 * sum(math.prod(shape) for shapes in plan.shapes for shape in shapes)


def one(path: str, folder: Path) -> dict[str, Any]:
    """Convert a net and verify it; the figures, or why not."""
    run = {RANDOM: _random, REAL: _trained, LAYER_TEST: _layer_test}[kinds()[path]]
    try:
        return run(CORPUS / path, folder)
    except ConversionError as error:
        return {"status": "refused", "reason": str(error).replace(str(CORPUS), "").strip()}


def _random(net: Path, folder: Path) -> dict[str, Any]:
    import numpy as np

    from caffe2tf.passes import prepare
    from random_weights import random_blobs, soften, write
    from tfcaffe.oracle.pycaffe import Caffe

    whole = load_net(net)
    plan = make_plan(whole)
    blobs = random_blobs(plan, SEED)
    rng = np.random.default_rng(SEED)
    inputs = {
        top: np.asarray(rng.normal(0, 1, (1, *shape[1:]) if plan.free_batch else shape), np.float32)
        for entry, shapes in zip(plan.layers, plan.shapes, strict=True)
        if entry.family.source
        for top, shape in zip(entry.layer.tops, shapes, strict=True)
    }
    samples = 1 if max(a.size // a.shape[0] for a in inputs.values()) > _LARGE else 2
    with Caffe() as caffe:
        soften(make_plan(prepare(whole)), blobs, net, inputs, caffe)
        write(plan, blobs, folder / "net.caffemodel")
        return _verified(net, folder / "net.caffemodel", folder, samples=samples, oracle=caffe)


def _trained(net: Path, folder: Path) -> dict[str, Any]:
    _, weights, mean, scale = TRAINED[net.parent.name]
    images = sorted((CORPUS / "images").glob("*.jpg"))
    answers = [
        _verified(
            net,
            net.parent / weights,
            folder,
            input=[image],
            mean=[mean],
            scale=scale,
            name=image.stem,
        )
        for image in images
    ]
    return max(answers, key=lambda answer: answer["worst"])


def _layer_test(net: Path, folder: Path) -> dict[str, Any]:
    import numpy as np

    from tfcaffe.files import caffemodel
    from tfcaffe.files.weights import Blobs, LayerBlobs

    weights = net.with_suffix(".caffemodel")
    if not weights.exists():
        weights = folder / "none.caffemodel"
        layers = load_net(net).layers
        caffemodel.write(weights, (LayerBlobs(la.name, la.type, Blobs.of([])) for la in layers))
    own = net.with_suffix(".input.npy")
    common = CORPUS / COMMON_INPUT
    seen: dict[str, Any] = {}
    answer = _verified(
        net,
        weights,
        folder,
        input=[own if own.exists() else common],
        watch=lambda blob, caffe, mine: seen.update({blob.blob: mine}),
    )
    expected = np.load(net.with_suffix(".npy"))
    mine = list(seen.values())[-1]
    answer["expected"] = float(
        np.abs(mine.reshape(expected.shape) - expected).max() / np.abs(expected).max()
    )
    if answer["expected"] > BLOB_LIMIT:
        answer["status"] = "different"
    return answer


def _verified(
    net: Path, weights: Path, folder: Path, *, name: str = "net", **options: Any
) -> dict[str, Any]:
    """Convert to `.keras` and compare every blob."""
    from tfcaffe.quiet import quiet_tensorflow

    quiet_tensorflow()
    import caffe2tf
    from tfcaffe.verify import verify

    building = {k: options[k] for k in ("mean", "scale") if k in options}
    model = folder / f"{name}.keras"
    began = time.monotonic()
    caffe2tf.convert(net, weights, model, **building)
    converted = time.monotonic() - began
    report = verify(net, weights, model, rtol=BLOB_LIMIT, seed=SEED, **options)
    compared = [blob for blob in report.blobs if blob.status != "unproven"]
    worst = max(compared, key=lambda blob: blob.max)
    outputs = [blob for blob in report.outputs if blob.status != "unproven"]
    return {
        "status": report.verdict,
        "blobs": len(compared),
        "unproven": sum(blob.status == "unproven" for blob in report.blobs),
        "unproven_outputs": sum(blob.status == "unproven" for blob in report.outputs),
        "worst": worst.max,
        "worst_layer": worst.layer,
        "output": max((blob.max for blob in outputs), default=None),
        "convert_seconds": round(converted, 1),
    }


def _line(result: dict[str, Any]) -> str:
    if "worst" not in result:
        return f"{result['path']}: {result['status']}: {result['reason']}"
    output = "–" if result["output"] is None else f"{result['output']:.1e}"
    return (
        f"{result['path']}: {result['status']}, {result['blobs']} blobs, worst "
        f"{result['worst']:.1e} ({result['worst_layer']}), outputs {output}"
    )


def table(results: list[dict[str, Any]]) -> str:
    """All results in Markdown, and what they add up to."""
    lines = [
        "| net | weights | result | blobs | unproven | worst blob | at | worst output |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        name = Path(r["path"]).parent.name if r["kind"] == REAL else Path(r["path"]).stem
        if "worst" in r:
            output = "–" if r["output"] is None else f"{r['output']:.1e}"
            cells = [r["status"], r["blobs"], r["unproven"], f"{r['worst']:.1e}"]
            cells += [f"`{r['worst_layer']}`", output]
        else:
            cells = [f"{r['status']}: {r['reason']}", "", "", "", "", ""]
        lines.append("| " + " | ".join([name, r["kind"], *map(str, cells)]) + " |")
    good = [r for r in results if r["status"] == "equal"]
    close = [r for r in good if r["worst"] <= OUTPUT_LIMIT]
    within = [r for r in good if r["output"] is not None and r["output"] <= OUTPUT_LIMIT]
    lines += [
        "",
        f"{len(good)} of {len(results)} nets equal real Caffe at every blob within {BLOB_LIMIT:g} "
        f"of its scale, {len(close)} of them within {OUTPUT_LIMIT:g}; the outputs of {len(within)} "
        f"within {OUTPUT_LIMIT:g}.",
    ]
    return "\n".join(lines) + "\n"


SWEEP = Sweep(
    __file__,
    "corpus",
    kinds,
    one,
    table,
    needs=CORPUS,
    good=["equal", "refused"],
    key="path",
    facts=lambda path: {"kind": kinds()[path]},
    alone=_heavy,
    line=_line,
)

if __name__ == "__main__":
    sys.exit(SWEEP.main(__doc__))
