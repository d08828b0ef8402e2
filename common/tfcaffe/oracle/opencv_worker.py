"""The process that holds OpenCV's Caffe reader: the protocol of worker.py, job `run` only.

Run by opencv.py with this interpreter; imports nothing of this project. Each layer is run for
itself (no fusion), and asked for by name, so that OpenCV keeps its output apart from others'.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

# Python puts this file's folder first, where cv2's own imports have no business.
del sys.path[0]
# What OpenCV prints goes to stderr: the first stdout is for answers only.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import cv2  # noqa: E402


def run(job: dict[str, Any]) -> dict[str, Any]:
    files = [job["net"]] if job["weights"] is None else [job["net"], job["weights"]]
    net = cv2.dnn.readNetFromCaffe(*files)
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
    net.enableFusion(False)
    net.enableWinograd(False)
    for name, file in job["inputs"].items():
        net.setInput(np.load(file), name)
    names = list(net.getLayerNames())
    layers = []
    for number, (name, tops) in enumerate(zip(names, net.forwardAndRetrieve(names), strict=True)):
        saved = [Path(job["folder"]) / f"{number}-{index}.npy" for index in range(len(tops))]
        for path, top in zip(saved, tops, strict=True):
            np.save(path, top)
        layers.append(
            {
                "name": name,
                "type": net.getLayer(net.getLayerId(name)).type,
                "bottoms": [],
                "tops": [],
                "files": [str(path) for path in saved],
            }
        )
    outputs = list(net.getUnconnectedOutLayersNames())
    return {"layers": layers, "inputs": list(job["inputs"]), "outputs": outputs}


def main() -> None:
    answer: dict[str, Any] = {"version": cv2.__version__}
    while True:
        ANSWERS.write(json.dumps(answer) + "\n")
        ANSWERS.flush()
        line = sys.stdin.readline()
        if not line:
            return
        try:
            answer = run(json.loads(line))
        except Exception as error:  # the one place where every failure becomes an answer
            answer = {"error": f"{type(error).__name__}: {str(error).strip()}"}


if __name__ == "__main__":
    main()
