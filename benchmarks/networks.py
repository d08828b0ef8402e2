"""Converts whole Keras networks to Caffe, beside what Keras and tf2onnx need for the same file.

Ours is the whole command `tf2caffe convert`. "keras" is the bare work: `load_model` and `save`.
"tf2onnx" reads a SavedModel of the same network; it is measured where TF2ONNX names a Python that
has it (it wants an environment of its own). Every one is a whole process, started in turn.
Goals: at most 2x the time and 1.2x the memory of load and save.

    TF2ONNX=/path/to/python python benchmarks/networks.py [--rounds N] [--nets VGG16,ResNet50]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from _process import QUIET, machine, measure

NETS = ("VGG16", "ResNet50", "EfficientNetB0")
TIME, MEMORY = 2.0, 1.2  # goals


def make(name: str, folder: Path) -> None:
    """The network with random weights: `.keras`, and for tf2onnx a SavedModel."""
    from keras import applications

    model = getattr(applications, name)(weights=None)
    model.save(folder / f"{name}.keras")
    if os.environ.get("TF2ONNX"):
        model.export(folder / name, verbose=False)


def keras(name: str, folder: Path) -> None:
    """Loads and saves."""
    from keras import models

    models.load_model(folder / f"{name}.keras").save(folder / "again.keras")


JOBS = {job.__name__: job for job in (make, keras)}


def commands(name: str, folder: Path) -> dict[str, list[str]]:
    """What is started."""
    source = str(folder / f"{name}.keras")
    ours = [sys.executable, "-m", "tf2caffe", "convert", source, "-o", str(folder / "ours")]
    found = {
        "ours": [*ours, "--overwrite", "-q"],
        "keras": [sys.executable, __file__, "--job", "keras", name, str(folder)],
    }
    if program := os.environ.get("TF2ONNX"):
        onnx = [program, "-m", "tf2onnx.convert", "--saved-model", str(folder / name)]
        found["tf2onnx"] = [*onnx, "--output", str(folder / "net.onnx")]
    return found


def compare(name: str, rounds: int) -> None:
    """One network: measures, and prints a table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job = [sys.executable, __file__, "--job", "make", name, str(folder)]
        subprocess.run(job, check=True, env=os.environ | QUIET, stderr=subprocess.DEVNULL)
        runs = commands(name, folder)
        found: dict[str, list[tuple[float, float]]] = {run: [] for run in runs}
        for _ in range(rounds):
            for run, command in runs.items():
                found[run].append(measure(command, silent=True))
    seconds, memory = (
        {run: median(each[i] for each in measured) for run, measured in found.items()}
        for i in (0, 1)
    )
    print(f"{name}: median of {rounds} rounds, {machine()}")
    print(f"{'':10}{'seconds':>10}{'x keras':>10}{'MiB':>10}{'x keras':>10}")
    for run in runs:
        time, space = seconds[run] / seconds["keras"], memory[run] / memory["keras"]
        print(f"{run:10}{seconds[run]:10.1f}{time:10.2f}{memory[run]:10.0f}{space:10.2f}")
    kept = seconds["ours"] <= TIME * seconds["keras"], memory["ours"] <= MEMORY * memory["keras"]
    for goal, good in zip((f"{TIME}x the time", f"{MEMORY}x the memory"), kept, strict=True):
        print(f"ours: at most {goal} of load and save: {'yes' if good else 'NO'}")


def main() -> None:
    """Compares, or does one job when the comparison has started this process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        JOBS[options.job[0]](options.job[1], Path(options.job[2]))
        return
    for name in options.nets.split(","):
        compare(name, options.rounds)


if __name__ == "__main__":
    main()
