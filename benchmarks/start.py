"""How soon `caffe2tf inspect` answers: beside bare Python, and Python that has imported NumPy.

Whole processes, started in turn; medians of all rounds. Goal: under half a second on a quiet
machine, for the largest net of those whose sizes are compared elsewhere here (VGG-16).

    python benchmarks/start.py [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from _process import machine, measure
from read_weights import prototxt

GOAL = 0.5  # seconds


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        net = Path(folder) / "vgg16.prototxt"
        net.write_text(prototxt())
        inspect = [sys.executable, "-m", "caffe2tf", "inspect", str(net)]
        commands = {
            "Python": [sys.executable, "-c", "pass"],
            "Python and NumPy": [sys.executable, "-c", "import numpy"],
            "inspect": inspect,
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                taken[name].append(measure(command, silent=True)[0])
    print(f"{rounds} rounds, {machine()}; goal for inspect: {GOAL} s")
    print("| | seconds (median) | least | x Python and NumPy |\n|---|---|---|---|")
    floor = median(taken["Python and NumPy"])
    for name, times in taken.items():
        print(f"| {name} | {median(times):.3f} | {min(times):.3f} | {median(times) / floor:.2f} |")


if __name__ == "__main__":
    main()
