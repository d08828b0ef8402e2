# Runs under Python 2.7, too, which has no f-strings, no pathlib and no typing.
# ruff: noqa: UP004, UP032, PTH118, PTH123
"""The process that holds real Caffe: one JSON job per line on stdin, one JSON answer on stdout.

Run by pycaffe.py with an interpreter that can `import caffe`. Imports nothing of this project,
and works under Python 2.7 and 3. Arrays travel as .npy files. A failed CHECK of Caffe's aborts
the process: its words are on stderr.
"""

import json
import os
import resource
import sys

import numpy as np

MYPY = False
if MYPY:
    from collections.abc import Iterator, Mapping, Sequence  # noqa: F401
    from typing import Any  # noqa: F401

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

# Python puts this file's folder first, where caffe's own imports have no business.
del sys.path[0]
# What Caffe prints goes to stderr: the first stdout is for answers only.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import caffe  # noqa: E402

PYTHON_2 = sys.version_info[0] == 2
PHASES = {"TRAIN": caffe.TRAIN, "TEST": caffe.TEST}


def native(text):
    # type: (str) -> str
    """The string type that boost.python and pycaffe's dictionaries want: bytes in Python 2."""
    return text.encode("utf-8") if PYTHON_2 else text  # type: ignore[return-value]


class Net(object):
    """A loaded net, its layers by number; Caffe's own Split layers are looked through."""

    def __init__(self, job):
        # type: (dict[str, Any]) -> None
        caffe.set_mode_cpu()
        caffe.set_random_seed(job["seed"])
        path = native(job["net"])
        stages = [native(stage) for stage in job["stages"]]
        net = caffe.Net(path, PHASES[job["phase"]], level=job["level"], stages=stages)
        if job["weights"] is not None:
            net.copy_from(native(job["weights"]))
        self.net = net
        self.names = list(net._layer_names)
        self.types = [layer.type for layer in net.layers]
        with open(path, "rb") as file:
            text = file.read()
        self.automatic = [
            number for number in range(len(self.names)) if self._is_automatic(number, text)
        ]
        self.origin = {
            top: self._bottoms(number)[0] for number in self.automatic for top in self._tops(number)
        }
        self._set_params(job["blobs"])

    def _is_automatic(self, number, text):
        # type: (int, bytes) -> bool
        """Whether Caffe itself inserted this layer (insert_splits.cpp)."""
        name = self.names[number]
        written = name if isinstance(name, bytes) else name.encode("utf-8")
        return (
            self.types[number] == "Split"
            and all(top.startswith(name + "_") for top in self._tops(number))
            and name.endswith("_split")
            and written not in text
        )

    def _blob_names(self, ids):
        # type: (list[int]) -> list[str]
        return [self.net._blob_names[index] for index in ids]

    def _bottoms(self, number):
        # type: (int) -> list[str]
        return self._blob_names(self.net._bottom_ids(number))

    def _tops(self, number):
        # type: (int) -> list[str]
        return self._blob_names(self.net._top_ids(number))

    def _set_params(self, blobs):
        # type: (dict[str, list[str]]) -> None
        for name, files in blobs.items():
            if native(name) not in self.names:
                raise ValueError("no layer {!r} to set blobs of".format(name))
            params = self.net.layers[self.names.index(native(name))].blobs
            if len(params) != len(files):
                raise ValueError(
                    "layer {!r} has {} blobs, {} given".format(name, len(params), len(files))
                )
            for index, file in enumerate(files):
                what = "blob {} of layer {!r}".format(index, name)
                assign(what, params[index], np.load(file))

    def reshape(self, shapes):
        # type: (Mapping[str, Sequence[int]]) -> None
        """Gives the blobs of input and data layers these shapes and infers all others."""
        sources = {
            top
            for number in range(len(self.names))
            if not self._bottoms(number)
            for top in self._tops(number)
        }
        for name, shape in shapes.items():
            if native(name) not in sources:
                raise ValueError(
                    "{!r} is no input of the net; it has {}".format(name, sorted(sources))
                )
            self.net.blobs[native(name)].reshape(*shape)
        self.net.reshape()

    def forward(self, arrays):
        # type: (dict[str, Array]) -> Iterator[int]
        """Runs layer by layer; yields each layer's number while its tops are as it left them."""
        self.reshape({name: array.shape for name, array in arrays.items()})
        given = {native(name): array for name, array in arrays.items()}
        missing = [name for name in self.inputs() if name not in given]
        if missing:
            raise ValueError("no values for the net's inputs {}".format(missing))
        for number in range(len(self.names)):
            tops = self._tops(number)
            fed = [top for top in tops if not self._bottoms(number) and top in given]
            # A data layer that is fed entirely needs no data of its own.
            if not fed or len(fed) < len(tops):
                self.net._forward(number, number)
            for top in fed:
                assign("blob {!r}".format(top), self.net.blobs[top], given[top])
            if number not in self.automatic:
                yield number

    def inputs(self):
        # type: () -> list[str]
        return self._blob_names(self.net._inputs)

    def outputs(self):
        # type: () -> list[str]
        names = self._blob_names(self.net._outputs)
        return [self.origin.get(name, name) for name in names]

    def record(self, number):
        # type: (int) -> dict[str, Any]
        return {
            "name": self.names[number],
            "type": self.types[number],
            "bottoms": [self.origin.get(name, name) for name in self._bottoms(number)],
            "tops": self._tops(number),
        }

    def top_blobs(self, number):
        # type: (int) -> list[Any]
        return [self.net._blobs[index] for index in self.net._top_ids(number)]


def assign(what, blob, array):
    # type: (str, Any, Array) -> None
    shape = tuple(blob.shape)
    if array.shape != shape:
        raise ValueError("{} has shape {}, {} given".format(what, shape, array.shape))
    if array.size:
        blob.data[...] = array


def values(blob):
    # type: (Any) -> Array
    """A blob's numbers; Caffe aborts when an empty blob's memory is asked for."""
    if blob.count == 0:
        return np.zeros(tuple(blob.shape), np.float32)
    numbers = blob.data  # type: Array
    return numbers


def run(job):
    # type: (dict[str, Any]) -> dict[str, Any]
    net = Net(job)
    only = None if job["only"] is None else [native(name) for name in job["only"]]
    layers = []
    for number in net.forward({name: np.load(file) for name, file in job["inputs"].items()}):
        layer = net.record(number)
        layer["files"] = []
        if only is None or layer["name"] in only:
            for index, blob in enumerate(net.top_blobs(number)):
                file = os.path.join(job["folder"], "{}-{}.npy".format(number, index))
                np.save(file, values(blob))
                layer["files"].append(file)
        layers.append(layer)
    return {"layers": layers, "inputs": net.inputs(), "outputs": net.outputs()}


def describe(job):
    # type: (dict[str, Any]) -> dict[str, Any]
    net = Net(job)
    net.reshape(job["shapes"])
    layers = []
    for number in range(len(net.names)):
        if number not in net.automatic:
            layer = net.record(number)
            layer["top_shapes"] = [list(blob.shape) for blob in net.top_blobs(number)]
            layer["param_shapes"] = [list(blob.shape) for blob in net.net.layers[number].blobs]
            layers.append(layer)
    return {"layers": layers, "inputs": net.inputs(), "outputs": net.outputs()}


def save(job):
    # type: (dict[str, Any]) -> dict[str, Any]
    net = Net(job).net
    write = net.save_hdf5 if job["to"].endswith((".h5", ".hdf5")) else net.save
    write(native(job["to"]))
    return {}


def main():
    # type: () -> None
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # an abort leaves no core file behind
    jobs = {"run": run, "describe": describe, "save": save}
    answer = {
        "version": getattr(caffe, "__version__", "unknown"),
        "types": list(caffe.layer_type_list()),
    }
    while True:
        ANSWERS.write(json.dumps(answer) + "\n")
        ANSWERS.flush()
        line = sys.stdin.readline()
        if not line:
            return
        job = json.loads(line)
        try:
            answer = jobs[job["job"]](job)
        except Exception as error:  # the one place where every failure becomes an answer
            answer = {"error": "{}: {}".format(type(error).__name__, error)}


if __name__ == "__main__":
    main()
