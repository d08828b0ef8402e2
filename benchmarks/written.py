"""Times the Caffe files that tf2caffe writes beside nets that people wrote, in Caffe and OpenCV.

keras.applications' VGG16, ResNet50 and MobileNet with random weights, converted, beside prototxts
like those of the Model Zoo. Layers are counted without Dropout. Keras's MobileNet clips at 6, which
stock Caffe says in four layers where the Model Zoo's has a plain ReLU.
Turns and ratios are those of forward.py.

    python benchmarks/written.py [--rounds N] [--nets vgg16,resnet50,mobilenet]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from statistics import median

import _nets
from _process import QUIET, machine
from forward import APPLICATIONS, Times, Worker

MAKE = """
import sys
from keras import applications
import tf2caffe
tf2caffe.convert(getattr(applications, sys.argv[1])(weights=None), sys.argv[2])
"""


def write(name: str, folder: Path) -> None:
    """Both nets of a name: `name` as people wrote it, `name-ours` as we do."""
    _nets.write(name, folder)
    stem = str(folder / f"{name}-ours")
    command = [sys.executable, "-c", MAKE, APPLICATIONS[name], stem]
    subprocess.run(command, check=True, env=os.environ | QUIET, stderr=subprocess.DEVNULL)


def facts(path: Path) -> str:
    """Layers, those of them in place, and multiply-adds."""
    from tfcaffe.load import load_net
    from tfcaffe.plan import make_plan

    plan = make_plan(load_net(path))
    kept = [e for e in plan.layers if e.layer.type not in ("Input", "Dropout")]
    in_place = sum(set(e.layer.bottoms) == set(e.layer.tops) for e in kept)
    macs = sum(e.macs for e in kept)
    return f"{len(kept):4} layers, {in_place:4} in place, {macs / 1e9:.3f} GMAC"


def pythons() -> dict[str, str]:
    """Who reads Caffe's files here."""
    from importlib.util import find_spec

    from tfcaffe.oracle.pycaffe import find_caffe

    found = {"opencv": sys.executable} if find_spec("cv2") else {}
    return found | ({"caffe": program} if (program := find_caffe()) else {})


def compare(name: str, rounds: int) -> None:
    """One net: times it and prints its lines."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(name, folder)
        print(f"{name}: batch 1, median of {rounds} turns, {machine()}")
        for net in (name, f"{name}-ours"):
            print(f"  {net:16}{facts(folder / f'{net}.prototxt')}")
        for runner, python in pythons().items():
            workers = [Worker(python, runner, net, folder) for net in (name, f"{name}-ours")]
            times: list[list[Times]] = [[], []]
            for turn in range(rounds):
                for i in (0, 1) if turn % 2 else (1, 0):
                    times[i].append(workers[i].time(1))
            for worker in workers:
                worker.stop()
            theirs, ours = ([wall for wall, _ in each] for each in times)
            ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
            print(
                f"  {runner:8}{median(theirs):9.1f} ms, ours {median(ours):9.1f} ms: {ratio:.2f}x"
            )


def main() -> None:
    """All nets."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nets", default=",".join(APPLICATIONS))
    options = parser.parse_args()
    for name in options.nets.split(","):
        compare(name, options.rounds)


if __name__ == "__main__":
    main()
