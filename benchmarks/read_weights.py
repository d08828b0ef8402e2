"""Reads a VGG-16-sized caffemodel: ours beside the bare file, protobuf, OpenCV and real Caffe.

Every reader is a whole process, started in turn; the medians of all rounds are compared. Ours and
the floor (the file mapped and added up as it lies there) look at every float; protobuf, OpenCV and
Caffe only load. A mapped file's pages count as a process's memory, so for the two that map it the
memory beyond the file is given as well.

    python benchmarks/read_weights.py [--rounds N]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

MIB = 1 << 20
FLOATS = 138_357_544  # of VGG16
MAPPING = ("floor", "ours")
CONVOLUTIONS = {1: [64] * 2, 2: [128] * 2, 3: [256] * 3, 4: [512] * 3, 5: [512] * 3}
INNER_PRODUCTS = [("fc6", 4096, 512 * 7 * 7), ("fc7", 4096, 4096), ("fc8", 1000, 4096)]


def shapes() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """VGG16's layers with parameters: name, type, shape of the weights."""
    channels = 3
    for block, widths in CONVOLUTIONS.items():
        for index, width in enumerate(widths, 1):
            yield f"conv{block}_{index}", "Convolution", (width, channels, 3, 3)
            channels = width
    for name, outputs, inputs in INNER_PRODUCTS:
        yield name, "InnerProduct", (outputs, inputs)


def prototxt() -> str:
    """VGG16 as OpenCV and Caffe want it."""
    parts = [
        'layer { name: "data" type: "Input" top: "data"',
        "  input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }",
    ]
    pools = {f"conv{block}_{len(widths)}": f"pool{block}" for block, widths in CONVOLUTIONS.items()}
    bottom = "data"
    for name, kind, shape in shapes():
        parts.append(f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}"')
        if kind == "Convolution":
            parts.append(
                f"  convolution_param {{ num_output: {shape[0]} kernel_size: 3 pad: 1 }} }}"
            )
        else:
            parts.append(f"  inner_product_param {{ num_output: {shape[0]} }} }}")
        parts.append(f'layer {{ name: "r_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}')
        bottom = name
        if pool := pools.get(name):
            parts.append(f'layer {{ name: "{pool}" type: "Pooling" bottom: "{name}" top: "{pool}"')
            parts.append("  pooling_param { kernel_size: 2 stride: 2 } }")
            bottom = pool
    return "\n".join(parts)


def make(net: str, weights: str) -> None:
    """Writes both files, a layer at a time."""
    import numpy as np

    from tfcaffe.files import caffemodel
    from tfcaffe.files.weights import Blobs, LayerBlobs

    random = np.random.default_rng(16)

    def layers() -> Iterator[LayerBlobs]:
        for name, kind, shape in shapes():
            kernel = random.standard_normal(shape, np.float32) * np.float32(0.01)
            bias = random.standard_normal(shape[0], np.float32)
            yield LayerBlobs(name, kind, Blobs.of([kernel, bias]))

    Path(net).write_text(prototxt(), encoding="utf-8")
    caffemodel.write(weights, layers(), net_name="VGG16")


def floor(_net: str, weights: str) -> None:
    """Maps the file and adds up whatever lies in it."""
    import mmap

    import numpy as np

    with Path(weights).open("rb") as file, np.errstate(all="ignore"):
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        np.frombuffer(mapped, np.float32, len(mapped) // 4).sum()


def ours(_net: str, weights: str) -> None:
    """Reads every blob and adds up every float of it."""
    import numpy as np

    from tfcaffe.load import load_weights

    count = 0
    with np.errstate(all="ignore"):
        for layer in load_weights(weights).layers.values():
            for blob in layer.blobs:
                blob.sum()
                count += blob.size
    assert count == FLOATS, f"{count} floats were read, not {FLOATS}"


def protobuf(_net: str, weights: str) -> None:
    """Protobuf's own parser."""
    from tfcaffe.files import schema

    schema.bvlc().message("NetParameter")().ParseFromString(Path(weights).read_bytes())


def opencv(net: str, weights: str) -> None:
    """OpenCV's Caffe importer."""
    import cv2

    cv2.dnn.readNetFromCaffe(net, weights)


def caffe(net: str, weights: str) -> None:
    """Real Caffe."""
    import caffe

    caffe.Net(net, caffe.TEST, weights=weights)


JOBS: dict[str, Callable[[str, str], None]] = {
    job.__name__: job for job in (make, floor, ours, protobuf, opencv, caffe)
}


def measure(python: str, job: str, net: Path, weights: Path) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of a process that does one job."""
    command = [python, __file__, job, str(net), str(weights)]
    environment = os.environ | {"GLOG_minloglevel": "2", "OPENCV_LOG_LEVEL": "ERROR"}
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{job} failed with exit code {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def compare(rounds: int) -> None:
    """Measures all readers that are installed, and prints the table."""
    from importlib.util import find_spec

    from tfcaffe.oracle.pycaffe import find_caffe

    readers = {job: sys.executable for job in ("floor", "ours", "protobuf")}
    if find_spec("cv2"):
        readers["opencv"] = sys.executable
    if program := find_caffe():
        readers["caffe"] = program
    with tempfile.TemporaryDirectory() as folder:
        net, weights = Path(folder, "vgg16.prototxt"), Path(folder, "vgg16.caffemodel")
        measure(sys.executable, "make", net, weights)
        size = weights.stat().st_size / MIB
        results: dict[str, list[tuple[float, float]]] = {job: [] for job in readers}
        for turn in range(rounds + 1):  # the first one warms up
            for job, python in readers.items():
                result = measure(python, job, net, weights)
                if turn:
                    results[job].append(result)
    report(results, size)


def report(results: dict[str, list[tuple[float, float]]], size: float) -> None:
    """The table of medians, and whether ours keeps its promises."""
    seconds = {job: median(run[0] for run in runs) for job, runs in results.items()}
    memory = {job: median(run[1] for run in runs) for job, runs in results.items()}
    rival = seconds.get("opencv", float("nan"))
    rounds = len(results["ours"])
    print(f"a caffemodel of {size:.0f} MiB, whole processes, median of {rounds} rounds")
    print(f"{'':10}{'seconds':>9}{'x floor':>9}{'x OpenCV':>10}{'peak MiB':>10}{'beyond file':>13}")
    for job, spent in seconds.items():
        beyond = f"{memory[job] - size:.0f}" if job in MAPPING else ""
        print(
            f"{job:10}{spent:9.3f}{spent / seconds['floor']:9.2f}{spent / rival:10.3f}"
            f"{memory[job]:10.0f}{beyond:>13}"
        )
    promises = {
        "at most 0.25/0.14 of the floor's time": seconds["ours"] / seconds["floor"] <= 0.25 / 0.14,
        "at most 100 MiB beyond the file": memory["ours"] - size <= 100,
    }
    if "opencv" in results:
        promises["at most 1/5 of OpenCV's time"] = seconds["ours"] <= rival / 5
    for promise, kept in promises.items():
        print(f"ours: {promise}: {'yes' if kept else 'NO'}")


def main() -> None:
    """Compares, or does one reader's job when the comparison has started this process."""
    if len(sys.argv) > 1 and sys.argv[1] in JOBS:
        JOBS[sys.argv[1]](sys.argv[2], sys.argv[3])
        return
    from argparse import ArgumentParser

    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="at least 5 for a median worth it")
    compare(parser.parse_args().rounds)


if __name__ == "__main__":
    main()
