"""Shapes, parameter shapes and refusals: the same as real Caffe's, for every supported type."""

import csv
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from corpus import CORPUS, needs_corpus
from layer_nets import ACCEPTED, SMALL
from oracles import Write
from refused_nets import REFUSED
from tfcaffe.errors import ConversionError, NetError
from tfcaffe.layers import registry
from tfcaffe.load import load_net
from tfcaffe.oracle.pycaffe import GLOG, Caffe, find_caffe
from tfcaffe.oracle.records import LayerInfo
from tfcaffe.plan import Plan, make_plan

# Types whose data real Caffe wants to open while it sets the net up.
NEED_FILES = {"Data", "ImageData", "WindowData", "HDF5Data", "HDF5Output"}


def assert_same(plan: Plan, theirs: Sequence[LayerInfo]) -> None:
    """Every top's shape and every layer's parameter shapes are real Caffe's."""
    assert [entry.layer.name for entry in plan.layers] == [info.name for info in theirs]
    for entry, shapes, info in zip(plan.layers, plan.shapes, theirs, strict=True):
        assert shapes == info.top_shapes[: len(shapes)], str(entry.layer)
        extra = info.tops[len(shapes) :]  # Caffe adds a top where a layer's type wants one
        assert all(top.startswith("(automatic)") for top in extra), str(entry.layer)
        assert tuple(p.shape for p in entry.params) == info.param_shapes, str(entry.layer)


def test_ids_are_unique() -> None:
    assert len({id for id, _ in ACCEPTED}) == len(ACCEPTED)
    assert len({id for id, _ in REFUSED}) == len(REFUSED)


def test_every_supported_type_is_tried() -> None:
    tried = {id.split()[0] for id, _ in ACCEPTED}
    stock = {kind for kind, family in registry().items() if family.__module__.startswith("tfcaffe")}
    assert stock - tried == NEED_FILES


@pytest.mark.parametrize("text", [t for _, t in ACCEPTED], ids=[id for id, _ in ACCEPTED])
def test_shapes_are_caffes(text: str, caffe: Caffe, write: Write) -> None:
    path = write(text)
    assert_same(make_plan(load_net(path)), caffe.describe(path).layers)


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Whether real Caffe refuses each net of `REFUSED`, and the good one besides them.

    A refusal ends Caffe's process, and starting it takes seconds: one process forks for each net.
    """
    python = find_caffe()
    if python is None:
        pytest.skip("real Caffe is not installed (make pycaffe, or CAFFE_PYTHON)")
    folder = tmp_path_factory.mktemp("refused")
    texts = {"good": SMALL, **dict(REFUSED)}
    paths = [folder / f"{number}.prototxt" for number in range(len(texts))]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [python, "-c", FORKING, *map(str, paths)],
        env={**os.environ, **GLOG},
        capture_output=True,
        text=True,
        check=True,
    )
    statuses = map(int, done.stdout.split())
    return {id: status != 0 for id, status in zip(texts, statuses, strict=True)}


FORKING = """
import os, resource, sys, caffe
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        caffe.Net(path, caffe.TEST)
        os._exit(0)
    sys.stdout.write("%d\\n" % os.waitpid(child, 0)[1])
    sys.stdout.flush()
"""


@pytest.mark.parametrize(("id", "text"), REFUSED, ids=[id for id, _ in REFUSED])
def test_what_caffe_refuses_is_refused(
    id: str, text: str, refusals: dict[str, bool], write: Write
) -> None:
    assert refusals[id] and not refusals["good"]
    with pytest.raises(ConversionError, match=r"layer '(y|y0|a)' "):
        make_plan(load_net(write(text)))


def loadable() -> list[str]:
    """The corpus's prototxts that real Caffe loads, as its list says."""
    table = CORPUS / "SOURCES.tsv"
    if not table.is_file():
        return []
    with table.open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        verdicts = {row["local path"]: row["loads in BVLC Caffe 1.0"] for row in rows}
    return [p for p, v in verdicts.items() if p.endswith(".prototxt") and v.startswith("yes")]


# Two layers of one name with weights of their own: which numbers would be whose?
ONE_NAME = "models/opencv_extra_caffe_layers/shared_weights.prototxt"


@needs_corpus
def test_the_corpus_is_what_it_says() -> None:
    assert sum(name.startswith("prototxt/") for name in loadable()) == 71


@needs_corpus
@pytest.mark.parametrize("name", [name for name in loadable() if name != ONE_NAME])
def test_real_nets(name: str, corpus: Path, caffe: Caffe) -> None:
    path = corpus / name
    assert_same(make_plan(load_net(path)), caffe.describe(path).layers)


@needs_corpus
def test_a_real_net_with_two_layers_of_one_name(corpus: Path) -> None:
    with pytest.raises(NetError, match="both have weights of their own under one name"):
        make_plan(load_net(corpus / ONE_NAME))
