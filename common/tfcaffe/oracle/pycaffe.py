"""Real Caffe, run in a process of its own: what every conversion is measured against."""

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import ArrayLike

from tfcaffe.errors import RuntimeMissingError
from tfcaffe.oracle.install import DEFAULT_FOLDER
from tfcaffe.oracle.process import Worker, last_words
from tfcaffe.oracle.records import LayerInfo, NetInfo, Run
from tfcaffe.oracle.transport import load_run, save_arrays

WORKER = Path(__file__).with_name("worker.py")
# Errors only, and to stderr only: otherwise glog writes log files into the temporary folder.
GLOG = {"GLOG_minloglevel": "2", "GLOG_logtostderr": "1"}
# "F1121 04:05:06.789 1234 net.cpp:757] Check failed: …" and protobuf's own complaints.
GLOG_LINE = re.compile(r"[EF]\d{4} \S+ +\d+ (?P<place>[^\]]+)\] (?P<message>.*)")
PROTOBUF_LINE = re.compile(r"\[libprotobuf (?:ERROR|FATAL) [^\]]+\] (?P<message>.*)")


def find_caffe() -> str | None:
    """The interpreter that can `import caffe`, or None.

    `CAFFE_PYTHON` wins; else `.pycaffe/python` in the working folder, in the folders above it,
    and in those above this file (a source checkout).

    Raises:
        RuntimeMissingError: CAFFE_PYTHON names no program.
    """
    named = os.environ.get("CAFFE_PYTHON")
    if named:
        program = shutil.which(named)
        if program is None:
            raise RuntimeMissingError(f"CAFFE_PYTHON={named} is no program that can be run")
        return program
    here = Path.cwd()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        program = shutil.which(str(folder / DEFAULT_FOLDER / "python"))
        if program is not None:
            return program
    return None


def explain(stderr: str) -> str:
    """Caffe's own words, without dates and stack trace, out of what it wrote on stderr."""
    words = []
    for line in stderr.splitlines():
        if line.startswith("*** Check failure stack trace"):
            break
        if match := GLOG_LINE.match(line):
            words.append(f"{match['message']} ({match['place']})")
        elif match := PROTOBUF_LINE.match(line):
            words.append(match["message"])
        elif words and "InitGoogleLogging" not in line:  # a message goes on over several lines
            words.append(line)
    return "\n".join(words) or last_words(stderr)


class Caffe:
    """A running Caffe (CPU); a net that kills it costs an error and a new process, no more.

    Not for several threads at once.

    Args:
        python: the interpreter; None looks for one (`find_caffe`).
        timeout: seconds that one job may take.

    Raises:
        RuntimeMissingError: there is no real Caffe here, or it does not start.
    """

    def __init__(self, python: str | None = None, timeout: float = 600.0) -> None:
        program = python or find_caffe()
        if program is None:
            raise RuntimeMissingError(
                "real Caffe is not installed: run `make pycaffe`, or set CAFFE_PYTHON to an "
                "interpreter that can `import caffe`"
            )
        self._timeout = timeout
        self._worker = Worker("Caffe", [program, str(WORKER)], GLOG, explain)
        self.version: str = self._worker.hello()["version"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()

    @property
    def layer_types(self) -> tuple[str, ...]:
        """The layer types that this build knows."""
        return tuple(self._worker.hello()["types"])

    def run(
        self,
        net: Path,
        weights: Path | None = None,
        inputs: Mapping[str, ArrayLike] | None = None,
        *,
        phase: str = "TEST",
        level: int = 0,
        stages: Sequence[str] = (),
        blobs: Mapping[str, Sequence[ArrayLike]] | None = None,
        only: Collection[str] | None = None,
        seed: int = 0,
    ) -> Run:
        """A forward pass, layer by layer, each layer's tops kept as that layer left them.

        Args:
            net: the prototxt, of any generation.
            weights: a .caffemodel, or HDF5 (Caffe tells by the content). As in Caffe, a layer
                that the file lacks keeps what its fillers gave.
            inputs: blob name -> array in Caffe's layout; every input of the net, and any tops
                of data layers. The net takes on these shapes. A data layer whose tops are all
                given is not run.
            blobs: layer name -> all its parameter blobs, set after the weights.
            only: names of the layers whose arrays are wanted; None means all.
            seed: for Caffe's fillers, dropout and DummyData.

        Raises:
            OracleError: Caffe refuses the net, the weights or the shapes, dies or is too slow.
            RuntimeMissingError: Caffe cannot be started.
        """
        with tempfile.TemporaryDirectory(prefix="tfcaffe-") as folder:
            job = {
                **_load_job("run", net, weights, phase, level, stages, seed),
                "blobs": _save_blobs(blobs or {}, Path(folder)),
                "inputs": save_arrays(inputs or {}, Path(folder), "input"),
                "only": None if only is None else list(only),
                "folder": folder,
            }
            return load_run(self._worker.ask(job, str(net), self._timeout))

    def describe(
        self,
        net: Path,
        weights: Path | None = None,
        *,
        shapes: Mapping[str, Sequence[int]] | None = None,
        phase: str = "TEST",
        level: int = 0,
        stages: Sequence[str] = (),
    ) -> NetInfo:
        """A net's layers and shapes, as Caffe sets them up; `shapes` are those of its inputs.

        Raises:
            OracleError: Caffe refuses the net, the weights or the shapes, dies or is too slow.
            RuntimeMissingError: Caffe cannot be started.
        """
        job = {
            **_load_job("describe", net, weights, phase, level, stages),
            "shapes": {name: list(shape) for name, shape in (shapes or {}).items()},
        }
        answer = self._worker.ask(job, str(net), self._timeout)
        layers = tuple(_layer_info(layer) for layer in answer["layers"])
        return NetInfo(layers, tuple(answer["inputs"]), tuple(answer["outputs"]))

    def save(
        self,
        net: Path,
        to: Path,
        weights: Path | None = None,
        *,
        blobs: Mapping[str, Sequence[ArrayLike]] | None = None,
        seed: int = 0,
    ) -> None:
        """Lets Caffe itself write the net's weights: HDF5 if `to` ends so, else .caffemodel.

        Raises:
            OracleError: Caffe refuses the net, the weights or the blobs, dies or is too slow.
            RuntimeMissingError: Caffe cannot be started.
        """
        with tempfile.TemporaryDirectory(prefix="tfcaffe-") as folder:
            job = {
                **_load_job("save", net, weights, seed=seed),
                "blobs": _save_blobs(blobs or {}, Path(folder)),
                "to": str(to.absolute()),
            }
            self._worker.ask(job, str(net), self._timeout)


def _load_job(
    job: str,
    net: Path,
    weights: Path | None,
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """What every job says: how to load the net. Paths are absolute, for a process that stays."""
    return {
        "job": job,
        "net": str(net.absolute()),
        "weights": None if weights is None else str(weights.absolute()),
        "phase": phase,
        "level": level,
        "stages": list(stages),
        "blobs": {},
        "seed": seed,
    }


def _save_blobs(blobs: Mapping[str, Sequence[ArrayLike]], folder: Path) -> dict[str, list[str]]:
    return {
        name: list(save_arrays(dict(enumerate(arrays)), folder, f"blob-{number}").values())
        for number, (name, arrays) in enumerate(blobs.items())
    }


def _layer_info(layer: Mapping[str, Any]) -> LayerInfo:
    return LayerInfo(
        name=layer["name"],
        type=layer["type"],
        bottoms=tuple(layer["bottoms"]),
        tops=tuple(layer["tops"]),
        top_shapes=tuple(tuple(shape) for shape in layer["top_shapes"]),
        param_shapes=tuple(tuple(shape) for shape in layer["param_shapes"]),
    )
