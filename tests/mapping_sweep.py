"""`make mappings`: each shipped mapping between real models and real Caffe.

    python tests/mapping_sweep.py [--again] [--only TEXT]

Every variable of the TensorFlow side is random, and its numbers go through the mapping into a
caffemodel, which real Caffe runs; the outputs are compared, and all numbers go back. A mapping with
conditions is tried without them too: then the two sides must be told apart.
Results go to `out/mappings.jsonl` as they come, so that a sweep that was stopped goes on where it
was; the table is written to `out/mappings.md` at the end.
"""

from __future__ import annotations

import sys
from math import isfinite
from pathlib import Path
from typing import Any

from corpus import CORPUS
from shipped_nets import SHIPPED
from sweeping import Sweep

LIMIT = 1e-5  # of the scale, at every output
_MOVED = 1e-2  # of the scale, when the input moves by a pixel
_ULPS = 2.0**-22  # a variance to which a difference of epsilons was added, and taken away again


def one(name: str, folder: Path) -> dict[str, Any]:
    """The figures of one mapping."""
    from shipped_models import CHECKPOINT, MODELS

    side = SHIPPED[name]
    net = side.write(CORPUS, folder / "net.prototxt")

    import tf2caffe
    from tfcaffe.mapping.check import check
    from tfcaffe.quiet import quiet_tensorflow

    quiet_tensorflow()
    model = MODELS[name](folder)
    moved = _moved(model, net)
    weights = folder / "net.caffemodel"
    checkpoint = folder / CHECKPOINT  # what slim's users have; Keras's have the model
    source = checkpoint if checkpoint.with_name(f"{CHECKPOINT}.index").exists() else model
    tf2caffe.convert(source, weights, prototxt=net, mapping=name)
    found = check(name, net, checkpoint=model, weights=weights, run=True)
    if found.ran is None:
        return {"status": "failed", "reason": "; ".join(found.problems[:3])}
    outputs = [m.difference.max for m in found.ran.meetings if m.output]
    inside = [m.difference.max for m in found.ran.meetings if not m.output]
    result = {
        "output": max(outputs),
        "inside": max(filter(isfinite, inside), default=None),  # a graph shows its outputs only
        "moved": moved,
        "pairs": len(found.resolved.pairs),
        "unequal": _there_and_back(name, net, model, weights, folder),
        "text": found.ran.to_text(),
    }
    good = found.good and max(outputs) <= LIMIT and moved >= _MOVED and not result["unequal"]
    if side.conditions:
        result["without"] = _unchanged(name, model, folder)
        good = good and result["without"] != "equal"
    return {"status": "equal" if good else "different", **result}


def _moved(model: Path, net: Path) -> float:
    """How far the output moves, of its scale, when the input moves by a pixel."""
    import numpy as np

    from tfcaffe.mapping.sides import read_net
    from tfcaffe.verify.opening import open_model

    plan = read_net(net)
    _, channels, height, width = plan.shapes[0][0]
    image = np.random.default_rng(3).standard_normal((1, height, width + 1, channels), np.float32)
    opened = open_model(model, recorded=False)
    seen: list[Any] = []
    fed = np.concatenate([image[:, :, 1:], image[:, :, :-1]])
    opened.run({opened.inputs[0]: fed}, {opened.outputs[0]}, lambda _, value: seen.append(value))
    first, second = seen[0]
    return float(np.abs(first - second).max() / np.abs(first).max())


def _there_and_back(name: str, net: Path, model: Path, weights: Path, folder: Path) -> list[str]:
    """What does not come back bit for bit: TensorFlow → Caffe → TensorFlow → Caffe, by files.

    Folded variables come back as 0 and what they were folded into with the difference; a variance
    whose epsilon differs is rounded twice.
    """
    import numpy as np

    import caffe2tf
    import tf2caffe
    from tfcaffe.load import load_weights
    from tfcaffe.mapping.sides import read_sides

    sides = read_sides(name, net, model)
    assert sides.variables is not None
    entries = sides.variables.entries
    minus = {p.variables[0]: p.minus for p in sides.resolved().pairs if p.minus}
    shifted = {p.variables[0] for p in sides.resolved().pairs if p.transform and p.transform.delta}
    back = folder / "back.npz"
    caffe2tf.convert(net, weights, back, mapping=name)
    wrong = []
    with np.load(back) as arrays:
        for key in arrays.files:
            before, after = entries[key].floats(), arrays[key]
            if key in minus:
                before = before - entries[minus[key]].floats()
            elif key in minus.values():
                before = np.zeros_like(before)
            if key in shifted and np.allclose(before, after, rtol=_ULPS, atol=1e-9):
                continue
            if before.tobytes() != after.tobytes():
                wrong.append(key)
        wrong += set(entries) - set(arrays.files) - set(sides.resolved().left_variables)
    again = folder / "again.caffemodel"
    tf2caffe.convert(back, again, prototxt=net, mapping=name)
    first, second = load_weights(weights).layers, load_weights(again).layers
    for layer, blobs in first.items():
        for a, b in zip(blobs.blobs, second[layer].blobs, strict=True):
            exact = a.tobytes() == b.tobytes()
            if not exact and not (shifted and np.allclose(a, b, rtol=_ULPS, atol=1e-9)):
                wrong.append(layer)
    return sorted(wrong)


def _unchanged(name: str, model: Path, folder: Path) -> str:
    """What is computed with the published prototxt, where its conditions are taken back."""
    from tfcaffe.errors import ConversionError
    from tfcaffe.mapping.check import check
    from tfcaffe.mapping.mapping_file import load_mapping

    net = SHIPPED[name].write(CORPUS, folder / "published.prototxt", changed=False)
    asked = "".join(f'  "{r.key.text}": {{}}\n' for r in load_mapping(name).requires)
    careless = folder / "careless.yaml"
    careless.write_text(f"mapping: 1\nextends: {name}\nrequires:\n{asked}", encoding="utf-8")
    try:
        fits = check(name, net, checkpoint=model).fits  # a fork's prototxt may meet it as it is
        found = check(name if fits else careless, net, checkpoint=model, run=True)
    except ConversionError as error:
        return f"refused: {str(error).splitlines()[0].replace(str(folder) + '/', '')}"
    if found.good:
        return "equal"
    return found.ran.to_text() if found.ran else f"does not fit: {len(found.problems)} problems"


def table(results: list[dict[str, Any]]) -> str:
    """All results in Markdown."""
    lines = [
        "| mapping | result | blobs | output | inside | moved | without its conditions |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        ran = [r.get("reason", ""), "", ""]
        if "output" in r:
            inside = "–" if r["inside"] is None else f"{r['inside']:.1e}"
            ran = [f"{r['output']:.1e}", inside, f"{r['moved']:.0%}"]
        cells = [r["name"], r["status"], r.get("pairs", ""), *ran, r.get("without", "–")]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    good = sum(r["status"] == "equal" for r in results)
    return "\n".join([*lines, "", f"{good} of {len(results)} mappings hold."]) + "\n"


SWEEP = Sweep(__file__, "mappings", SHIPPED.keys, one, table, needs=CORPUS, good=["equal"])


if __name__ == "__main__":
    sys.exit(SWEEP.main(__doc__))
