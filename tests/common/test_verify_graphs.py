"""`verify` of SavedModels and frozen graphs: what is served, and every blob inside."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from prototxts import data, layer
from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.files import caffemodel
from tfcaffe.files.wire import bytes_field
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.twin import ASSETS, FIELD, MEMBER
from tfcaffe.verify import graph_model
from tfcaffe.verify.options import Mode
from verify_nets import MODES, SMALL, Array, Files, check, seeded, statuses, without_record

graphs = pytest.mark.parametrize("model", ["net.pb", "saved"])
modes = pytest.mark.parametrize("mode", MODES)
BLOBS = ["data", "block/conv", "sc", "relu", "mid", "pool", "drop", "fc", "prob"]


@graphs
@modes
def test_every_blob(tmp_path: Path, caffe: Caffe, model: str, mode: Mode) -> None:
    report = check(Files.make(tmp_path, SMALL, model=model), caffe, mode=mode)
    assert report.verdict == "equal"
    assert list(statuses(report).items()) == [(name, "equal") for name in BLOBS]
    assert max(blob.max for blob in report.blobs) < 1e-5
    assert [(output.layer, output.blob) for output in report.outputs] == [("prob", "prob")]
    assert [skipped.layer for skipped in report.not_compared] == ["bn"]


@graphs
@modes
def test_other_weights(tmp_path: Path, caffe: Caffe, model: str, mode: Mode) -> None:
    files = Files.make(tmp_path, SMALL, model=model)
    weights = seeded(files.net, lambda name, role, x: x + (name == "mid"))
    caffemodel.write(files.weights, weights, overwrite=True)
    report = check(files, caffe, mode=mode)
    different = [name for name, status in statuses(report).items() if status == "different"]
    assert different == (["mid"] if mode == "isolated" else BLOBS[BLOBS.index("mid") :])


@graphs
@modes
def test_other_layer(tmp_path: Path, caffe: Caffe, model: str, mode: Mode) -> None:
    """The Dropout behind the layer at fault is the same tensor, and in isolation not to blame."""
    files = Files.make(tmp_path, SMALL.replace("pool: AVE", "pool: MAX"), model=model)
    files.net.write_text(SMALL, encoding="utf-8")
    report = check(files, caffe, mode=mode)
    different = [name for name, status in statuses(report).items() if status == "different"]
    assert different == (["pool"] if mode == "isolated" else ["pool", "drop", "fc", "prob"])


def test_names(tmp_path: Path, caffe: Caffe) -> None:
    text = SMALL.replace('"prob"', '"a b/prob é"').replace('"data"', '"d/1 _x"')
    for model in ("net.pb", "saved"):
        folder = tmp_path / model.replace(".", "-")
        folder.mkdir()
        files = Files.make(folder, text, model=model)
        for recorded in (True, False):
            report = check(files, caffe)
            assert (report.verdict, report.outputs[0].blob) == ("equal", "a b/prob é")
            assert ("d/1 _x" in statuses(report)) == recorded
            without_record(files.model) if recorded else None


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "by name"])
@graphs
@modes
def test_many_inputs_tops_and_outputs(
    tmp_path: Path, caffe: Caffe, model: str, mode: Mode, recorded: bool
) -> None:
    files = Files.make(
        tmp_path,
        data(2, 4, 5, 6, name="z")
        + data(2, 4, 5, 6, name="more")
        + layer("Eltwise", ["z", "more"], "sum", "eltwise_param { coeff: 1 coeff: -2 }")
        + layer("ReLU", "sum", "sum", name="relu")
        + layer("Slice", "sum", ["a", "b"], "slice_param { slice_point: 1 }", name="cut")
        + layer("TanH", "b", "b", name="relu")
        + layer("Flatten", "b", "flat")
        + layer("Split", "flat", ["f1", "f2"], name="split")
        + layer("Power", "f1", "half", "power_param { scale: 0.5 }"),
        model=model,
    )
    if not recorded:
        without_record(files.model)
    if not recorded and (model, mode) == ("saved", "isolated"):
        return
    report = check(files, caffe, mode=mode)
    assert report.verdict == "equal"
    assert {output.blob for output in report.outputs} == {"a", "f2", "half"}
    if recorded:
        compared = [blob.layer for blob in report.blobs]
        assert compared == ["z", "more", "sum", "relu", "cut", "cut", "relu", "flat", "half"]
        assert {s.reason for s in report.not_compared} == {"a copy of its bottom"}
    elif model == "net.pb":
        assert {"sum", "relu", "cut", "flat", "half"} >= set(statuses(report)) > {"relu", "cut"}


@modes
def test_saved_model_without_a_record(tmp_path: Path, caffe: Caffe, mode: Mode) -> None:
    """Its outputs have names, its inner tensors none that say anything."""
    files = Files.make(tmp_path, SMALL, model="saved")
    without_record(files.model)
    if mode == "isolated":
        with pytest.raises(UsageError, match="nothing says so in this graph"):
            check(files, caffe, mode=mode)
        return
    report = check(files, caffe)
    assert (report.verdict, report.blobs) == ("equal", ())
    assert [output.blob for output in report.outputs] == ["prob"]
    assert {s.layer for s in report.not_compared} > {"block/conv", "relu", "fc"}


@modes
def test_saved_model_larger_than_a_graph(
    small: Files, tmp_path: Path, caffe: Caffe, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its variables do not fit into one GraphDef; here of a net with few, by a smaller limit."""
    monkeypatch.setattr(graph_model, "_MOST_CONSTANTS", 1000)
    caffe2tf.convert(small.net, small.weights, tmp_path / "saved")
    files = Files(small.net, small.weights, tmp_path / "saved")
    if mode == "isolated":
        with pytest.raises(UsageError, match=r"verify a \.keras"):
            check(files, caffe, mode=mode)
        return
    assert (check(files, caffe).verdict, check(files, caffe).blobs) == ("equal", ())


def test_saved_model_of_an_older_version(tmp_path: Path, caffe: Caffe) -> None:
    """Its record names the nodes of the Keras model, which are no tensors of the graph."""
    files = Files.make(tmp_path, SMALL, model="saved")
    caffe2tf.convert(files.net, files.weights, tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as archive:
        (files.model / ASSETS / MEMBER).write_bytes(archive.read(MEMBER))
    report = check(files, caffe)
    assert (report.verdict, report.blobs) == ("equal", ())


@modes
def test_frozen_graph_without_a_record(tmp_path: Path, caffe: Caffe, mode: Mode) -> None:
    """Its nodes are named as the layers; a Dropout has none."""
    files = Files.make(tmp_path, SMALL, model="net.pb")
    without_record(files.model)
    report = check(files, caffe, mode=mode)
    assert report.verdict == "equal"
    assert list(statuses(report)) == [n for n in BLOBS if n not in ("data", "drop")]
    files.net.write_text(SMALL.replace("pool: AVE", "pool: MAX"), encoding="utf-8")
    assert check(files, caffe, mode=mode).first_difference.layer == "pool"


@pytest.mark.parametrize("known", ["recorded", "by name", "foreign"])
@modes
def test_output_named_as_a_layer_inside(
    tmp_path: Path, caffe: Caffe, mode: Mode, known: str
) -> None:
    """The node `c` is the blob that comes out, not what the layer `c` left before the ReLU."""
    convolution = layer("Convolution", "data", "c", "convolution_param { num_output: 3 "
                        "kernel_size: 2 bias_filler { type: \"constant\" } }")  # fmt: skip
    text = data(2, 2, 5, 4) + convolution + layer("ReLU", "c", "c", name="relu")
    files = Files.make(tmp_path, text, model="net.pb")
    if known != "recorded":
        without_record(files.model)
    if known == "foreign":
        graph = files.model.read_bytes()
        assert graph.count(b"c>t0") == 2  # the node, and where it is read
        files.model.write_bytes(graph.replace(b"c>t0", b"node"))
    report = check(files, caffe, mode=mode)
    assert report.verdict == "equal"
    found = {"recorded": ["data", "c", "relu"], "by name": ["c", "relu"], "foreign": ["relu"]}
    assert list(statuses(report)) == found[known]


def test_nodes_of_a_frozen_graph(tmp_path: Path, caffe: Caffe) -> None:
    """They can be fetched by the layers' names, and there is none that was not there before."""
    import tensorflow as tf

    files = Files.make(tmp_path, SMALL, model="net.pb")
    graph = tf.compat.v1.GraphDef.FromString(files.model.read_bytes())
    rng = np.random.default_rng(5)
    x = np.asarray(rng.normal(size=(2, 3, 9, 7)), np.float32)
    wanted = {"block/conv": "block__conv", "sc": "bn", "relu": "relu", "mid": "mid", "pool": "pool"}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = tf.import_graph_def(graph, {}, [f"{name}:0" for name in wanted.values()], name="")
        arrays = session.run(found, {"data:0": np.moveaxis(x, 1, -1)})
    seen: dict[str, Array] = {}
    check(files, caffe, input={"data": x}, watch=lambda b, mine, _: seen.update({b.layer: mine}))
    for name, array in zip(wanted, arrays, strict=True):
        np.testing.assert_allclose(np.moveaxis(array, -1, 1), seen[name], atol=1e-4)
    loaded = tf.saved_model.load(str(Files.make(_folder(tmp_path), SMALL, model="saved").model))
    served = loaded.signatures["serving_default"].graph.as_graph_def().library.function
    (body,) = [f for f in served if "__inference_serve_" in f.signature.name]
    kinds = [node.op for node in graph.node if node.op not in ("Const", "Placeholder", "NoOp")]
    assert len(kinds) == len([n for n in body.node_def if n.op not in ("Const", "NoOp")])


def _folder(path: Path) -> Path:
    (path / "other").mkdir()
    return path / "other"


@pytest.mark.parametrize("record", [b"", b"[]", b"\xff"], ids=["empty", "list", "no text"])
def test_damaged_record(tmp_path: Path, small: Files, record: bytes) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(bytes_field(FIELD, record))
    with pytest.raises(FileFormatError, match=r"net\.pb: its record"):
        caffe2tf.verify(small.net, small.weights, path)


@graphs
def test_record_of_another_model(tmp_path: Path, model: str) -> None:
    files = Files.make(tmp_path, SMALL, model=model)
    other = Files.make(_folder(tmp_path), SMALL.replace('"data"', '"pixels"'), model=model)
    place: Any = (files.model / ASSETS / MEMBER, other.model / ASSETS / MEMBER)
    if model == "saved":
        place[0].write_bytes(place[1].read_bytes())
    else:
        record = other.model.read_bytes()
        start = record.rindex(b'{\n "tfcaffe"')
        without_record(files.model)
        with files.model.open("ab") as file:
            file.write(bytes_field(FIELD, record[start:]))
    with pytest.raises(UsageError, match="not of this model"):
        caffe2tf.verify(other.net, other.weights, files.model)
