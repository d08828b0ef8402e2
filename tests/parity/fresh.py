"""Saved models in a new process, with Keras alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import numpy as np

from parity.cases import Case
from parity.compare import difference, partners_of
from parity.harness import Parity
from parity.subject import Observed

_FRESH = """
import sys
sys.modules["tfcaffe"] = sys.modules["caffe2tf"] = None  # an import of either is an error
import keras, numpy
for folder in sys.argv[1:]:
    feeds = numpy.load(folder + "/feeds.npz")
    model = keras.saving.load_model(folder + "/model.keras")
    outputs = model([feeds[name] for name in feeds.files])
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    numpy.savez(folder + "/outputs.npz", *map(numpy.asarray, outputs))
"""


def prove_fresh(cases: Iterable[Case], parity: Parity) -> None:
    """Models of all these cases load in a new process with Keras alone, with Caffe's outputs."""
    waiting = []
    for number, case in enumerate(cases):
        folder = parity.folder / str(number)
        folder.mkdir()
        subject = parity.subject(case)
        built = subject.built()
        built.model.save(folder / "model.keras")
        inputs = subject.inputs(next(subject.sizes()))
        np.savez(folder / "feeds.npz", *Observed(built.model, built.twin).feeds(inputs))
        waiting.append((folder, subject, built, parity.run_caffe(subject, inputs)))
    command = [sys.executable, "-c", _FRESH, *(str(folder) for folder, *_ in waiting)]
    subprocess.run(command, check=True, cwd=parity.folder)
    problems = []
    for folder, subject, built, run in waiting:
        partners = partners_of(subject, run)
        with np.load(folder / "outputs.npz") as outputs:
            for twin, name in zip(built.twin.outputs, outputs.files, strict=True):
                found = difference("output", twin, outputs[name], partners[twin.index])
                problems += [f"{subject.case.id}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)
