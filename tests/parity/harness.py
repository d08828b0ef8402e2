"""The fixture `parity`, which proves one case in each test."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from caffe2tf.build import build
from caffe2tf.formats import keras as keras_format
from caffe2tf.source import read_source
from parity.cases import Case, Refusal
from parity.compare import departures, unproven
from parity.subject import Array, Observed, Subject
from tfcaffe.errors import NetError, UnsupportedError
from tfcaffe.oracle import OracleError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.oracle.records import Run
from tfcaffe.twin import MEMBER, Twin

_TWO_WAYS = ("convolution_param", "pooling_param")  # whose plain form is another
_CASES_PER_SESSION = 40  # Keras keeps names and graphs of all it built until it is told


class Parity:
    """Proves cases; one for each test."""

    def __init__(self, caffe: Caffe, folder: Path) -> None:
        self.caffe, self.folder = caffe, folder

    def subject(self, case: Case) -> Subject:
        """The case, ready to build and run."""
        return Subject.of(case, self._write("net.prototxt", case.net))

    def prove(self, case: Case) -> None:
        """Both sides agree on every blob, at every size, in either mode of building."""
        subject = self.subject(case)
        assert subject.plan.free_batch != case.fixed_batch, "; ".join(subject.plan.notes)
        models = {"": subject.built()}
        if any(entry.family.field in _TWO_WAYS for entry in subject.plan.layers):
            models[" (plain)"] = subject.built(plain=True)
        observed = {how: Observed(built.model, built.twin) for how, built in models.items()}
        for shapes in subject.sizes():
            inputs = subject.inputs(shapes)
            run = self.run_caffe(subject, inputs)
            problems = unproven(subject, run)
            for how, model in observed.items():
                problems += [f"{p}{how}" for p in departures(subject, model, inputs, run)]
            assert not problems, f"inputs {shapes}:\n" + "\n".join(problems)

    def prove_saved(self, case: Case) -> None:
        """The model loads again in this process, with the same record, blobs and numbers."""
        import keras

        subject, path = self.subject(case), self.folder / "model.keras"
        keras_format.write(subject.source, path)
        with zipfile.ZipFile(path) as archive:
            twin = Twin.from_json(archive.read(MEMBER).decode(), str(path))
        loaded = Observed(keras.saving.load_model(path), twin)
        inputs = subject.inputs(next(subject.sizes()))
        problems = departures(subject, loaded, inputs, self.run_caffe(subject, inputs))
        assert not problems, "\n".join(problems)

    def refuse(self, case: Refusal) -> None:
        """The net is refused in words that name all that matters; Caffe agrees where it must."""
        path = self._write("net.prototxt", case.net)
        with pytest.raises((UnsupportedError, NetError) if case.ours else NetError) as refused:
            build(read_source(path, None, input_shape=case.free))
        missing = [word for word in case.words if word not in str(refused.value)]
        assert not missing, f"{refused.value} does not say {missing}"
        if not case.ours:
            with pytest.raises(OracleError):
                self.caffe.describe(path)

    def run_caffe(self, subject: Subject, inputs: Mapping[str, Array]) -> Run:
        """Caffe's side of it."""
        case = subject.case
        path = self._write("reference.prototxt", case.reference or case.net)
        return self.caffe.run(path, None, inputs, blobs=subject.blobs)

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


_proven = 0


@pytest.fixture
def parity(caffe: Caffe, tmp_path: Path) -> Parity:
    """The harness; now and then it empties Keras's memory of what was built before."""
    import keras

    global _proven
    _proven += 1
    if _proven % _CASES_PER_SESSION == 0:
        keras.backend.clear_session()
    return Parity(caffe, tmp_path)
