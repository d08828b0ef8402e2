"""Times converted nets beside keras.applications' own, real Caffe and OpenCV, at batch 1 and 8.

Each net runs in a process of its own with as many threads as there are processors; they wait while
another one is timed, and take turns. A turn's fastest call counts, and a ratio is the median of the
turns' ratios, so that what else the machine does strikes both sides; of the processors' own time it
strikes little, so its ratio is given, too. TensorFlow runs `tf.function`s in inference mode.

keras.applications' nets are not quite the same: their 3x3 poolings and MobileNet's strides begin a
pixel elsewhere, ResNet50's convolutions have biases, MobileNet clips at 6. So multiply-adds are
counted, too. Two nets with grouped convolutions compare what `.keras` and SavedModel hold.

    python benchmarks/forward.py [--rounds N] [--nets vgg16,resnet50,mobilenet,alexnet,resnext50]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import _nets
from _process import QUIET, machine

THREADS = os.cpu_count() or 1
BATCHES = (1, 8)
TURN = 0.3  # seconds that a net is timed for in each turn, but at least twice
APPLICATIONS = {"vgg16": "VGG16", "resnet50": "ResNet50", "mobilenet": "MobileNet"}
Call = Callable[[], Any]
Times = tuple[float, float]


class Runner:
    """A net in the process that times it: `call(images)` gives what is timed.

    Args:
        facts: what the table says of the net besides.
    """

    def __init__(self, call: Callable[[Any], Call], **facts: Any) -> None:
        self.call, self.facts = call, facts


def ours(name: str, folder: Path) -> Runner:
    """The converted net, loaded from `.keras`."""
    import keras

    use_threads()
    return of_keras(keras.models.load_model(folder / f"{name}.keras"))


def own(name: str, _folder: Path) -> Runner:
    """Keras's own net."""
    from keras import applications

    use_threads()
    return of_keras(getattr(applications, APPLICATIONS[name])(weights=None))


def saved(name: str, folder: Path) -> Runner:
    """The converted net's SavedModel."""
    import tensorflow as tf

    use_threads()
    model = tf.saved_model.load(str(folder / name))

    def call(images: Any) -> Call:
        tensor = tf.constant(images.transpose(0, 2, 3, 1))
        return lambda: model.signatures["serving_default"](data=tensor)["prob"].numpy()

    return Runner(call, transposes=transposes(model.signatures["serving_default"]))


def opencv(name: str, folder: Path) -> Runner:
    """OpenCV's importer and its CPU backend."""
    import cv2

    cv2.setNumThreads(THREADS)
    files = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    net = cv2.dnn.readNetFromCaffe(*map(str, files))

    def call(images: Any) -> Call:
        def forward() -> Any:
            net.setInput(images)
            return net.forward()

        return forward

    return Runner(call)


def caffe(name: str, folder: Path) -> Runner:
    """Real Caffe, with OpenBLAS."""
    import caffe

    files = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    net = caffe.Net(str(files[0]), caffe.TEST, weights=str(files[1]))

    def call(images: Any) -> Call:
        (data,), (answer,) = net.inputs, net.outputs
        net.blobs[data].reshape(*images.shape)
        net.blobs[data].data[...] = images
        return lambda: net.forward()[answer]

    return Runner(call)


RUNNERS: dict[str, Callable[[str, Path], Runner]] = {
    runner.__name__: runner for runner in (ours, own, saved, opencv, caffe)
}


def use_threads() -> None:
    """As many threads for TensorFlow as for the others."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def of_keras(model: Any) -> Runner:
    """A Keras model as a TensorFlow function."""
    import tensorflow as tf

    function = tf.function(lambda x: model(x, training=False))
    traced = function.get_concrete_function(tf.TensorSpec(model.input_shape, tf.float32))

    def call(images: Any) -> Call:
        tensor = tf.constant(images.transpose(0, 2, 3, 1))
        return lambda: traced(tensor).numpy()

    return Runner(call, transposes=transposes(traced), macs=multiply_adds(model))


def transposes(function: Any) -> int:
    """How many there are in a concrete function and all that it calls."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
    return sum(node.op == "Transpose" for node in nodes)


def multiply_adds(model: Any) -> int:
    """Of an image's pass through a Keras model's convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            once = prod(layer.kernel.shape)  # at every place of the output, whatever the groups
            total += once * prod(layer.output.shape[1:-1])
    return total


def work(runner: Runner) -> None:
    """Answers on stdout: facts first, then the milliseconds of a call for each batch on stdin."""
    import numpy as np

    images = np.random.RandomState(16).standard_normal((max(BATCHES), 3, _nets.SIZE, _nets.SIZE))
    images = images.astype(np.float32)
    answer = np.ravel(runner.call(images[:1])())[:100]
    print(json.dumps({**runner.facts, "answer": answer.tolist()}), flush=True)
    for line in sys.stdin:
        call = runner.call(images[: int(line)])
        call()
        times: list[float] = []
        worked: list[float] = []
        while sum(times) < TURN or len(times) < 2:
            begin, working = time.perf_counter(), time.process_time()
            call()
            times.append(time.perf_counter() - begin)
            worked.append(time.process_time() - working)
        print(min(times) * 1e3, min(worked) * 1e3, flush=True)


class Worker:
    """The other end: a process with one runner."""

    def __init__(self, python: str, runner: str, name: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [python, __file__, runner, name, str(folder)],
            env=os.environ | QUIET | {"OPENBLAS_NUM_THREADS": str(THREADS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.runner, self.facts = runner, json.loads(self._line())

    def time(self, batch: int) -> Times:
        """Milliseconds per call: on the wall, and of all processors together."""
        assert self.process.stdin
        self.process.stdin.write(f"{batch}\n")
        self.process.stdin.flush()
        wall, processors = map(float, self._line().split())
        return wall, processors

    def _line(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self.process.args))}: ended")
        return line

    def stop(self) -> None:
        """Lets the process end."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def pythons(name: str) -> dict[str, str]:
    """The runners for a net, and the interpreters that have what they need."""
    from importlib.util import find_spec

    from tfcaffe.oracle.pycaffe import find_caffe

    result = {"ours": sys.executable, "own" if name in APPLICATIONS else "saved": sys.executable}
    if find_spec("cv2"):
        result["opencv"] = sys.executable
    if program := find_caffe():
        result["caffe"] = program
    return result


def compare(name: str, rounds: int) -> None:
    """Converts a net, times it everywhere and prints the table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        net, weights = _nets.write(name, folder)
        runners = pythons(name)
        outputs = ["-o", str(folder / f"{name}.keras")]
        if "saved" in runners:
            outputs += ["-o", str(folder / name)]
        command = [sys.executable, "-m", "caffe2tf", "convert", str(net), str(weights), *outputs]
        subprocess.run([*command, "--quiet"], check=True)
        workers = [Worker(python, kind, name, folder) for kind, python in runners.items()]
        check_answers(workers)
        times: dict[tuple[str, int], list[Times]] = {}
        for turn in range(rounds):
            for batch in BATCHES:
                first = turn % len(workers)  # who begins changes
                for worker in workers[first:] + workers[:first]:
                    times.setdefault((worker.runner, batch), []).append(worker.time(batch))
        for worker in workers:
            worker.stop()
    report(name, workers, times)


def check_answers(workers: list[Worker]) -> None:
    """All but Keras's own net must have computed the same."""
    import numpy as np

    answers = {w.runner: w.facts["answer"] for w in workers if w.runner != "own"}
    for runner, answer in answers.items():
        if not np.allclose(answer, answers["ours"], rtol=1e-2, atol=1e-5):
            raise SystemExit(
                f"{runner} and ours compute different things: these times mean nothing"
            )


def report(name: str, workers: list[Worker], times: dict[tuple[str, int], list[Times]]) -> None:
    """The table of a net, and whether ours keeps its promises."""
    rival = "own" if name in APPLICATIONS else "ours"
    rounds = len(times["ours", 1])
    print(f"{name}: median of {rounds} turns, {THREADS} threads each, {machine()}")
    heads = "".join(f"{f'ms, batch {b}':>14}{f'x {rival}':>8}{'CPU':>6}" for b in BATCHES)
    print(f"{'':10}{heads}{'GMAC':>8}{'transposes':>12}")
    ratios: dict[tuple[str, int], float] = {}
    for worker in workers:
        cells = ""
        for batch in BATCHES:
            these, theirs = times[worker.runner, batch], times[rival, batch]
            ratio, processors = (
                median(a[i] / b[i] for a, b in zip(these, theirs, strict=True)) for i in (0, 1)
            )
            ratios[worker.runner, batch] = ratio
            cells += f"{median(wall for wall, _ in these):14.2f}{ratio:8.2f}{processors:6.2f}"
        macs = worker.facts.get("macs")
        cells += f"{macs / 1e9:8.3f}" if macs else f"{'':8}"
        print(f"{worker.runner:10}{cells}{worker.facts.get('transposes', ''):>12}")
    promises = {"no transpose": not any(w.facts.get("transposes") for w in workers)}
    if rival == "own":
        for batch in BATCHES:
            promises[f"at most 1.05x Keras's own, batch {batch}"] = ratios["ours", batch] <= 1.05
    for promise, kept in promises.items():
        print(f"ours: {promise}: {'yes' if kept else 'NO'}")


def main() -> None:
    """Compares, or is one of the runners when the comparison has started this process."""
    if len(sys.argv) > 1 and sys.argv[1] in RUNNERS:
        work(RUNNERS[sys.argv[1]](sys.argv[2], Path(sys.argv[3])))
        return
    from argparse import ArgumentParser

    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nets", default=",".join(_nets.NETS))
    options = parser.parse_args()
    for name in options.nets.split(","):
        compare(name, options.rounds)


if __name__ == "__main__":
    main()
