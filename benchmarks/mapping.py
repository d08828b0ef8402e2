"""Moves VGG-16's weights by a mapping, both ways, beside a copy that moves no number.

The copy reads and writes the same bytes with the same libraries, each blob as it lies. Whole
processes, started in turn, medians of all rounds. Memory is the peak beyond a process that has
only imported NumPy; mapped files count as far as they are read. Goals: at most 2x the copy's time,
at most 1.5x the weights.

    python benchmarks/mapping.py [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
from _process import machine, measure
from read_weights import prototxt, shapes

MIB = 1 << 20
TIME, MEMORY = 2.0, 1.5  # goals
MAPPING = """\
mapping: 1
net: VGG-16 <-> variables called as in TF-slim, fully connected layers as matrices
layers:
  "conv{b}_{n:int}": {weights: "conv{b}/{n}/weights", bias: "conv{b}/{n}/biases"}
  "fc{n:int}": {weights: "fc{n}/weights", bias: "fc{n}/biases"}
tables: {b: {1: 1, 2: 2, 3: 3, 4: 4, 5: 5}}
"""


def write_checkpoint(path: str, _: str) -> None:
    """Random variables. In a process of its own: a child's peak is never below its parent's."""
    from tfcaffe.variables.files import write_variables

    rng = np.random.default_rng(0)

    def items() -> object:
        for name, kind, shape in shapes():
            scope = f"{name[:5]}/{name[6:]}" if kind == "Convolution" else name
            order = (2, 3, 1, 0) if kind == "Convolution" else (1, 0)
            weights = rng.standard_normal([shape[i] for i in order], np.float32)
            biases = rng.standard_normal(shape[0], np.float32)
            yield f"{scope}/weights", weights
            yield f"{scope}/biases", biases

    write_variables(path, items())  # type: ignore[arg-type]


def copy_to_caffe(checkpoint: str, output: str) -> None:
    """The variables as blobs, as they lie."""
    from tfcaffe.files import caffemodel
    from tfcaffe.files.weights import Blob, Blobs, LayerBlobs
    from tfcaffe.variables.files import open_variables

    found = open_variables(checkpoint).entries.values()
    layers = (LayerBlobs(v.name, "", Blobs([Blob(v.shape, v.floats)])) for v in found)
    caffemodel.write(output, layers)


def copy_to_tensorflow(weights: str, output: str) -> None:
    """The blobs as variables, as they lie."""
    from tfcaffe.load import load_weights
    from tfcaffe.variables.files import files_of, write_variables

    layers = load_weights(weights).layers.values()
    items = ((f"{la.name}/{i}", blob) for la in layers for i, blob in enumerate(la.blobs))
    write_variables(Path(output), items)
    for path in files_of(output):  # ours are on the disk before they get their name
        with path.open("rb") as file:
            os.fsync(file.fileno())


def import_nothing(*_: str) -> None:
    """The interpreter, and what this file imports: NumPy."""


STEPS: dict[str, Callable[..., None]] = {
    step.__name__: step
    for step in (write_checkpoint, copy_to_caffe, copy_to_tensorflow, import_nothing)
}


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        STEPS[options.step[0]](*options.step[1:])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        net, mapping = folder / "net.prototxt", folder / "map.yaml"
        net.write_text(prototxt())
        mapping.write_text(MAPPING)
        checkpoint = folder / "model.ckpt"
        ours, python = [sys.executable, "-m"], [sys.executable, __file__, "--step"]
        measure([*python, "write_checkpoint", str(checkpoint), ""])
        by = ["--mapping", str(mapping), "-q", "-o"]
        model = folder / "net.caffemodel"
        to_caffe = [*ours, "tf2caffe", "convert", str(checkpoint), "--prototxt", str(net), *by]
        to_tf = [*ours, "caffe2tf", "convert", str(net), str(model), *by]
        measure([*to_caffe, str(model)])
        runs = {  # each is given a new file to write
            "to Caffe: ours": (to_caffe, "caffemodel"),
            "to Caffe: copy": ([*python, "copy_to_caffe", str(checkpoint)], "caffemodel"),
            "to TensorFlow: ours": (to_tf, "ckpt"),
            "to TensorFlow: copy": ([*python, "copy_to_tensorflow", str(model)], "ckpt"),
            "imports": ([*python, "import_nothing", ""], ""),
        }
        found: dict[str, list[tuple[float, float]]] = {run: [] for run in runs}
        for _ in range(options.rounds):
            for run, (command, suffix) in runs.items():
                found[run].append(measure([*command, str(folder / f"out.{suffix}")], silent=True))
                for file in folder.glob("out.*"):
                    file.unlink()
    report(found, sum(prod(shape) + shape[0] for _, _, shape in shapes()) * 4)


def report(found: dict[str, list[tuple[float, float]]], size: int) -> None:
    """One table, and whether the goals are met."""
    rounds = len(next(iter(found.values())))
    print(f"{size / MIB:.0f} MiB of weights, median of {rounds} rounds, {machine()}\n")
    print("| | seconds | x copy | peak MiB beyond NumPy | x weights |\n|---|---|---|---|---|")
    floor = median(memory for _, memory in found["imports"])
    for way in ("to Caffe", "to TensorFlow"):
        copy = median(seconds for seconds, _ in found[f"{way}: copy"])
        for who in ("ours", "copy"):
            seconds = median(s for s, _ in found[f"{way}: {who}"])
            beyond = median(m for _, m in found[f"{way}: {who}"]) - floor
            share = beyond * MIB / size
            cells = (f"{seconds:.2f}", f"{seconds / copy:.2f}", f"{beyond:.0f}", f"{share:.2f}")
            print(f"| {way}: {who} | {' | '.join(cells)} |")
            if who == "ours":
                fast, small = seconds <= TIME * copy, share <= MEMORY
        answers = "yes" if fast else "no", "yes" if small else "no"
        print(f"| {way}: goals met | {answers[0]} | | {answers[1]} | |")


if __name__ == "__main__":
    main()
