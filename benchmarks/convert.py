"""Converts a VGG-16-sized and a ResNet-50-sized caffemodel to `.keras`, beside what Keras needs.

Ours is the whole command `caffe2tf convert`. "keras" is the bare work that any converter to Keras
has: keras.applications' own net, built with its random initialisers, and `model.save`. OpenCV and
real Caffe load the files (and convert nothing); "tensorflow" only imports it. Every one is a whole
process, started in turn; a mapped caffemodel's pages count as memory here.

    python benchmarks/convert.py [--rounds N] [--nets vgg16,resnet50]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import _nets
from _process import machine, measure

APPLICATIONS = {"vgg16": "VGG16", "resnet50": "ResNet50"}


def tensorflow(_name: str, _folder: Path) -> None:
    """Imports TensorFlow."""
    import keras  # noqa: F401


def keras(name: str, folder: Path) -> None:
    """Builds and saves the net that Keras has itself."""
    from keras import applications

    model = getattr(applications, APPLICATIONS[name])(weights=None)
    model.save(folder / "keras.keras")


def opencv(name: str, folder: Path) -> None:
    """OpenCV's Caffe importer."""
    import cv2

    cv2.dnn.readNetFromCaffe(str(folder / f"{name}.prototxt"), str(folder / f"{name}.caffemodel"))


def caffe(name: str, folder: Path) -> None:
    """Real Caffe."""
    import caffe

    net, weights = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    caffe.Net(str(net), caffe.TEST, weights=str(weights))


JOBS: dict[str, Callable[[str, Path], None]] = {
    job.__name__: job for job in (tensorflow, keras, opencv, caffe)
}


def commands(name: str, folder: Path) -> dict[str, list[str]]:
    """What to start for each of those that are installed."""
    from importlib.util import find_spec

    from tfcaffe.oracle.pycaffe import find_caffe

    net, weights = _nets.write(name, folder)
    ours = ["-m", "caffe2tf", "convert", str(net), str(weights), "--overwrite", "-o"]
    pythons = {job: sys.executable for job in ("tensorflow", "keras")}
    if find_spec("cv2"):
        pythons["opencv"] = sys.executable
    if program := find_caffe():
        pythons["caffe"] = program
    return {
        "ours": [sys.executable, *ours, str(folder / "ours.keras")],
        **{job: [python, __file__, job, name, str(folder)] for job, python in pythons.items()},
    }


def compare(name: str, rounds: int) -> None:
    """Measures a net's conversion and prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = commands(name, Path(folder))
        size = Path(folder, f"{name}.caffemodel").stat().st_size / (1 << 20)
        results: dict[str, list[tuple[float, float]]] = {job: [] for job in jobs}
        for turn in range(rounds + 1):  # the first one warms up
            for job, command in jobs.items():
                result = measure(command)
                if turn:
                    results[job].append(result)
    seconds = {job: median(run[0] for run in runs) for job, runs in results.items()}
    memory = {job: median(run[1] for run in runs) for job, runs in results.items()}
    print(f"{name}: a caffemodel of {size:.0f} MiB, median of {rounds} rounds, {machine()}")
    print(f"{'':12}{'seconds':>9}{'x keras':>9}{'peak MiB':>10}{'x keras':>9}")
    for job, spent in seconds.items():
        print(
            f"{job:12}{spent:9.2f}{spent / seconds['keras']:9.2f}"
            f"{memory[job]:10.0f}{memory[job] / memory['keras']:9.2f}"
        )
    promises = {
        "at most 2x the time of Keras's build and save": seconds["ours"] / seconds["keras"] <= 2,
        "no more peak memory than it": memory["ours"] <= memory["keras"],
    }
    for promise, kept in promises.items():
        print(f"ours: {promise}: {'yes' if kept else 'NO'}")


def main() -> None:
    """Compares, or does one job when the comparison has started this process."""
    if len(sys.argv) > 1 and sys.argv[1] in JOBS:
        JOBS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
        return
    from argparse import ArgumentParser

    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nets", default=",".join(APPLICATIONS))
    options = parser.parse_args()
    for name in options.nets.split(","):
        compare(name, options.rounds)


if __name__ == "__main__":
    main()
