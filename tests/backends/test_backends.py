"""`.keras` files load with Keras alone under TensorFlow, JAX and PyTorch, and answer the same.

JAX's and PyTorch's tests need the environments that `make backends` sets up.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from backends import nets
from backends.backend import OURS, Array, Backend, Written, python_of
from caffe2tf.layers import registry
from corpus import CORPUS, needs_corpus
from parity import TOLERANCE, Case, each
from tfcaffe.oracle.pycaffe import Caffe

BACKENDS = ["tensorflow", "jax", "torch"]
# The operations that models may hold besides Keras's layers. Where a layer says the same it is the
# layer: operations are stored by private paths, and not all that Keras 3.5 writes load in 3.15
# (those of zeros_like, ones_like and full_like do not). Each of these was tried.
OPERATIONS = {
    *("Absolute", "Add", "Cast", "Clip", "Divide", "Flip", "GetItem", "Greater", "LeakyRelu"),
    *("Log", "Mean", "Multiply", "Pad", "Power", "Reshape", "Split", "Sqrt", "Sum", "Tile", "TopK"),
}
WHOLE = ["lenet", "googlenet", "resnet50"]
BATCH = 2
Write = Callable[[Case], Written]


@pytest.fixture(scope="session", params=BACKENDS)
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """A worker under each backend; skips those without an environment."""
    if not python_of(request.param).exists():
        pytest.skip(f"no environment for {request.param} (make backends)")
    running = Backend(request.param, tmp_path_factory.mktemp(request.param))
    yield running
    running.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Gives the files of a case; each is converted once for all backends."""
    known: dict[str, Written] = {}

    def write(case: Case) -> Written:
        if case.id not in known:
            known[case.id] = Written.of(case, tmp_path_factory.mktemp(case.id), BATCH)
        return known[case.id]

    return write


def corpus_case(name: str) -> Case:
    """A net of the corpus."""
    path = CORPUS / "prototxt" / f"{name}.prototxt"
    return Case(f"corpus-{name}", path.read_text(encoding="utf-8"))


def same(actual: list[Array], expected: list[Array], names: list[str]) -> None:
    """The same shapes and numbers, and numbers that prove something."""
    problems = []
    for name, one, other in zip(names, actual, expected, strict=True):
        assert one.shape == other.shape, f"{name}: {one.shape}, not {other.shape}"
        scale = float(np.abs(other).max()) or 1.0
        worst = float(np.abs(one - other).max()) / scale
        if not worst <= TOLERANCE:
            problems.append(f"{name} departs by {worst:.3g} of its scale {scale:.3g}")
    assert not problems, "\n".join(problems)


def as_tensorflow(backend: Backend, files: Written) -> None:
    """The worker's outputs are those of the model in this process."""
    names = [twin.blob for twin in files.built.twin.outputs]
    constant = files.subject.case.constant
    expected = files.outputs()
    for name, array in zip(names, expected, strict=True):
        assert name in constant or array.min() < array.max(), f"{name} is constant"
    same(backend.outputs(files.folder), expected, names)


def as_caffe(backend: Backend, files: Written, caffe: Caffe) -> None:
    """The worker's outputs are real Caffe's."""
    run = caffe.run(files.folder / "net.prototxt", None, files.inputs, blobs=files.subject.blobs)
    twins = files.built.twin.outputs
    last = {top: array for la in run.layers for top, array in zip(la.tops, la.arrays, strict=True)}
    expected = [twin.layout.pattern().to_tf(last[twin.blob]) for twin in twins]
    same(backend.outputs(files.folder), expected, [twin.blob for twin in twins])


def test_environment(backend: Backend) -> None:
    """It has Keras, of no older version than ours, its backend, and none of our packages."""
    import keras

    about = backend.ask("about", [*OURS, *(BACKENDS if backend.name != "tensorflow" else [])])
    assert about["backend"] == backend.name
    assert about["found"] == ([] if backend.name == "tensorflow" else [backend.name])
    assert about["keras"] == keras.__version__, "the environment is of another day: make backends"


@each(nets.CASES)
def test_nodes(case: Case, backend: Backend, written: Write) -> None:
    as_tensorflow(backend, written(case))


@each(nets.CASES)
def test_nodes_as_caffe(case: Case, backend: Backend, written: Write, caffe: Caffe) -> None:
    as_caffe(backend, written(case), caffe)


@needs_corpus
@pytest.mark.parametrize("name", WHOLE)
def test_whole_net(name: str, backend: Backend, written: Write) -> None:
    as_tensorflow(backend, written(corpus_case(name)))


@needs_corpus
@pytest.mark.parametrize("name", WHOLE)
def test_whole_net_as_caffe(name: str, backend: Backend, written: Write, caffe: Caffe) -> None:
    as_caffe(backend, written(corpus_case(name)), caffe)


def test_one_step_of_training(backend: Backend, written: Write) -> None:
    """Layers that the net does not freeze learn; of the others nothing changes."""
    answer = backend.ask("train", str(written(nets.TRAINING).folder))
    assert np.isfinite(answer["loss"])
    learnt = {path.rsplit("/", 1)[0] for path in answer["trainable"]}
    assert learnt == nets.LEARNS
    statistics = {
        f"{name}/moving_{what}" for name in nets.COLLECTS for what in ("mean", "variance")
    }
    changed = {path for path in answer["changed"] if "seed_generator" not in path}
    assert changed == {*answer["trainable"], *statistics}


def test_settings_of_the_user_do_no_harm(tmp_path: Path, written: Write) -> None:
    """Channels first and half floats in keras.json are for models that say nothing."""
    settings = {"image_data_format": "channels_first", "floatx": "float16"}
    running = Backend("tensorflow", tmp_path, settings)
    try:
        as_tensorflow(running, written(nets.CASES[1]))
    finally:
        running.close()


@each(nets.CASES)
def test_file_says_nothing_of_us(case: Case, written: Write) -> None:
    """No module of ours, no path of this machine, and only layers and operations of Keras's."""
    files = written(case)
    with zipfile.ZipFile(files.folder / "model.keras") as archive:
        text = {name: archive.read(name).decode() for name in archive.namelist() if ".json" in name}
    for name in ("config.json", "metadata.json"):
        assert not [package for package in OURS if package in text[name]]
    for content in text.values():
        assert str(files.folder.parent) not in content
        assert str(Path.home()) not in content
    nodes = json.loads(text["config.json"])["config"]["layers"]
    kinds = {(n["module"], n["class_name"]) for n in nodes}
    assert {name for module, name in kinds if module != "keras.layers"} <= OPERATIONS
    assert all(module.split(".")[0] == "keras" for module, _ in kinds)
    registered = {n["registered_name"] for n in nodes} - {None} - {n["class_name"] for n in nodes}
    assert not registered


def test_every_type_is_in_a_net() -> None:
    """What the converter can build is here; a new type must be added to the nets."""
    covered = {kind for kind in registry() if any(f'type: "{kind}"' in c.net for c in nets.CASES)}
    assert covered == set(registry()) - {"Parameter", "Split"}
