"""`make corpus`: every real net of the corpus through conversion and verification.

    python tests/corpus_sweep.py [--again] [--only TEXT]

Each net runs in a process of its own, no more at a time than there are cores, and one whose blobs
fill gigabytes alone. Results go to
`out/corpus.jsonl` as they come, so that a sweep that was stopped goes on where it was; the table is
written to `out/corpus.md` at the end.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tfcaffe.errors import ConversionError
from tfcaffe.load import load_net
from tfcaffe.plan import Plan, make_plan

REPOSITORY = Path(__file__).resolve().parent.parent
OUT = REPOSITORY / "out"
RESULTS, TABLE = OUT / "corpus.jsonl", OUT / "corpus.md"
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


def corpus() -> Path:
    """The corpus's folder."""
    return (REPOSITORY / os.environ.get("CORPUS", "../shared/corpus")).resolve()


def items(root: Path) -> Iterator[tuple[str, str]]:
    """(kind, path within the corpus) of everything that stock Caffe loads."""
    with (root / "SOURCES.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        path, loads = row["local path"], row["loads in BVLC Caffe 1.0"].startswith("yes")
        if path.startswith("prototxt/") and loads:
            yield "random weights", path
    for folder, (net, *_) in TRAINED.items():
        yield "trained", f"models/{folder}/{net}"
    for row in rows:
        path = row["local path"]
        loads = row["loads in BVLC Caffe 1.0"].startswith("yes")
        if path.startswith(LAYERS) and path.endswith(".prototxt") and loads:
            yield "OpenCV's layer test", path


def sweep(root: Path, *, again: bool, only: str) -> list[dict[str, Any]]:
    """Run what has no result yet; all results in the corpus's order."""
    OUT.mkdir(exist_ok=True)
    if again:
        RESULTS.unlink(missing_ok=True)
    known = {}
    if RESULTS.exists():
        for line in RESULTS.read_text(encoding="utf-8").splitlines():
            result = json.loads(line)
            known[result["path"]] = result
    wanted = [item for item in items(root) if only in item[1]]
    missing = [item for item in wanted if item[1] not in known]
    heavy = [item for item in missing if blob_bytes(root / item[1]) > _HEAVY]
    light = [item for item in missing if item not in heavy]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in itertools.chain(pool.map(_apart, light), map(_apart, heavy)):
            known[result["path"]] = result
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            print(_line(result), flush=True)
    return [known[path] for _, path in wanted]


def blob_bytes(net: Path) -> int:
    """What the net's blobs take in Caffe; 0 for a net that is refused anyhow."""
    try:
        return bytes_of(make_plan(load_net(net)))
    except ConversionError:
        return 0


def bytes_of(plan: Plan) -> int:
    """What all blobs of a plan take as float32."""
    return 4 * sum(math.prod(shape) for shapes in plan.shapes for shape in shapes)


def _apart(item: tuple[str, str]) -> dict[str, Any]:
    """One net in a process of its own."""
    kind, path = item
    began = time.monotonic()
    command = [sys.executable, __file__, "--one", kind, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    result: dict[str, Any]
    try:
        result = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        words = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        result = {"status": "failed", "reason": words[0]}
    return {"path": path, "kind": kind, "seconds": round(time.monotonic() - began, 1), **result}


def one(kind: str, path: str) -> dict[str, Any]:
    """Convert a net and verify it; the figures, or why not."""
    root = corpus()
    run = {
        "random weights": _random,
        "trained": _trained,
        "OpenCV's layer test": _layer_test,
    }[kind]
    try:
        with tempfile.TemporaryDirectory(prefix="tfcaffe-corpus-") as folder:
            return run(root / path, Path(folder))
    except ConversionError as error:
        return {"status": "refused", "reason": str(error).replace(str(root), "").strip()}


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
    images = sorted((corpus() / "images").glob("*.jpg"))
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
    common = corpus() / COMMON_INPUT
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
        name = Path(r["path"]).parent.name if r["kind"] == "trained" else Path(r["path"]).stem
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


def main() -> int:
    """Run the sweep; 1 if a net differs or fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--only", default="", help="nets whose path has this text")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(*options.one)))
        return 0
    if not corpus().is_dir():
        print(f"no corpus of real nets at {corpus()}; set CORPUS to its folder")
        return 0
    results = sweep(corpus(), again=options.again, only=options.only)
    TABLE.write_text(table(results), encoding="utf-8")
    print(f"wrote {TABLE}")
    return int(any(r["status"] not in ("equal", "refused") for r in results))


if __name__ == "__main__":
    sys.exit(main())
