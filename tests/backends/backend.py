"""An environment's own Python that runs `.keras` files, and the files that it is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe2tf.build import Built
from caffe2tf.formats import keras as keras_format
from corpus import REPOSITORY
from parity import Case, Subject

Array = NDArray[np.float32]
OURS = ("caffe2tf", "tf2caffe", "tfcaffe")
WORKER = Path(__file__).with_name("worker.py")


def python_of(backend: str) -> Path:
    """The interpreter that has Keras and this backend; TensorFlow's is the tests' own."""
    if backend == "tensorflow":
        return Path(sys.executable)
    return REPOSITORY / f".venv-{backend}" / "bin" / "python"


class Backend:
    """A running worker.

    Args:
        name: Keras's name of the backend.
        folder: takes its log and Keras's settings.
        settings: what the user's `keras.json` says.
    """

    def __init__(self, name: str, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self._outputs: dict[Path, list[Array]] = {}
        self._log = folder / "log.txt"
        (folder / "keras.json").write_text(json.dumps(settings or {}))
        # -I: neither the working folder nor PYTHONPATH is searched for packages.
        command = [str(python_of(name)), "-I", str(WORKER)]
        if name == "tensorflow":
            command += OURS
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "KERAS_BACKEND": name, "KERAS_HOME": str(folder)},
            )

    def ask(self, task: str, argument: object) -> Any:
        """What the worker answers; an error there fails the test that asks."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([task, argument]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self.name}'s worker ended:\n{self._log.read_text()[-2000:]}"
        answer = json.loads(line)
        assert "done" in answer, f"under {self.name}:\n{answer['error']}"
        return answer["done"]

    def outputs(self, folder: Path) -> list[Array]:
        """What the model of this folder answers to its feeds; run once."""
        if folder not in self._outputs:
            self.ask("predict", str(folder))
            with np.load(folder / "outputs.npz") as outputs:
                self._outputs[folder] = [outputs[name] for name in outputs.files]
        return self._outputs[folder]

    def close(self) -> None:
        """End the worker."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


@dataclass(frozen=True)
class Written:
    """A case's `.keras` file in a folder, with feeds, and the model that it was written from."""

    folder: Path
    subject: Subject
    built: Built
    inputs: Mapping[str, Array]
    feeds: Sequence[Array]

    @classmethod
    def of(cls, case: Case, folder: Path, batch: int) -> Written:
        """Convert the case as a user does, with random numbers and at most this batch."""
        prototxt = folder / "net.prototxt"
        prototxt.write_text(case.net, encoding="utf-8")
        subject = Subject.of(case, prototxt)
        keras_format.write(subject.source, folder / "model.keras")
        shapes = next(subject.sizes())
        if subject.plan.free_batch:
            shapes = {name: (min(s[0], batch), *s[1:]) for name, s in shapes.items()}
        built, inputs = subject.built(), subject.inputs(shapes)
        feeds = [fed.layout.pattern().to_tf(inputs[fed.blob]) for fed in built.twin.inputs]
        np.savez(folder / "feeds.npz", *feeds)
        return cls(folder, subject, built, inputs, feeds)

    def outputs(self) -> list[Array]:
        """What the model in this process, under TensorFlow, answers."""
        made = self.built.model.predict_on_batch(list(self.feeds))
        return made if isinstance(made, list) else [made]
