"""`make tfmodels`: the corpus's graphs, checkpoints, SavedModels and Keras files in real Caffe.

    python tests/tf_sweep.py [--again] [--only TEXT]

Each is converted and, on a photograph or on the input that lies beside it, compared with TensorFlow
at every blob that both have. Results go to `out/tf.jsonl` as they come; the table is written to
`out/tf.md` at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from sweeping import Sweep
from tf_models import MODELS, feeds, names, options_of, recorded, reference

LIMIT = 1e-4  # of the scale, at every blob


def one(name: str, folder: Path) -> dict[str, Any]:
    """The figures of one model."""
    from tf2caffe.network import build
    from tf2caffe.options import with_defaults
    from tf2caffe.sources import open_source
    from tf2caffe.write import write
    from tfcaffe.errors import ConversionError
    from tfcaffe.verify import verify

    options = with_defaults(options_of(name))  # type: ignore[arg-type]
    try:
        opened = open_source(MODELS / name, options)
        network = build(opened.name, opened.graph, options)
    except ConversionError as error:
        return {"status": "refused", "reason": str(error).replace(str(MODELS), "")}
    text, model = folder / "net.prototxt", folder / "net.caffemodel"
    write(network, text, model, ["a sweep"])
    fed = feeds(name, opened.graph)
    inputs = {
        blob.blob: blob.layout.pattern().to_caffe(fed[blob.node]) for blob in network.twin.inputs
    }
    notes = [*opened.notes, *opened.graph.notes]
    found = {"layers": len(network.layers), "notes": notes}
    try:
        if (MODELS / name).is_dir():
            against: Any = MODELS / name
        elif opened.keras is None:
            against = reference(name, opened.graph, folder / "reference.pb")
        else:
            against = opened.keras
        report = verify(text, model, against, record=network.twin, rtol=LIMIT, input=inputs)
    except ConversionError as error:
        return found | beside(name, text, model, inputs, str(error))
    return found | {
        "status": report.verdict,
        "blobs": len(report.blobs),
        "worst": max(blob.max for blob in (*report.blobs, *report.outputs)),
        "output": max(blob.max for blob in report.outputs),
    }


def beside(
    name: str, text: Path, model: Path, inputs: dict[str, np.ndarray], reason: str
) -> dict[str, Any]:
    """What TensorFlow cannot run, against the output that lies beside it."""
    from tfcaffe.oracle.pycaffe import Caffe

    expected = recorded(name, "out")
    if expected is None:
        return {"status": "not compared", "reason": reason}
    with Caffe() as caffe:
        answer = caffe.run(text, model, inputs).layers[-1].arrays[0].reshape(expected.shape)
    worst = float(np.abs(answer - expected).max() / np.abs(expected).max())
    status = "equal" if worst <= 2e-3 else "different"  # what lies there was made with 16 bits
    return {"status": f"{status} to what lies beside it", "output": worst}


def table(results: list[dict[str, Any]]) -> str:
    """The results for people."""
    lines = ["| model | result | layers | blobs | outputs | worst |", "|---|---|---|---|---|---|"]
    for r in results:
        cells = [r["name"], r["status"]]
        if "layers" not in r:
            cells[1] += f": {r.get('reason', '').splitlines()[0]}"
        cells += [str(r.get(key, "")) for key in ("layers", "blobs")]
        cells += [f"{r[key]:.1e}" if key in r else "" for key in ("output", "worst")]
        lines.append(f"| {' | '.join(cells)} |")
    good = sum(r["status"].startswith("equal") for r in results)
    return "\n".join([*lines, "", f"{good} of {len(results)} are equal."]) + "\n"


SWEEP = Sweep(__file__, "tf", names, one, table, needs=MODELS)


if __name__ == "__main__":
    sys.exit(SWEEP.main(__doc__))
