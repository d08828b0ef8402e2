"""`verify` against real Caffe, OpenCV and TensorFlow: it finds what was planted, and only that."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import caffe2tf
from caffe2tf.__main__ import main
from prototxts import data, layer, param
from tfcaffe.errors import ConversionError, FileFormatError, UsageError, WeightsError
from tfcaffe.files import caffemodel
from tfcaffe.layout import Pattern
from tfcaffe.load import load_weights
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.twin import MEMBER
from tfcaffe.verify import Report, verify
from tfcaffe.verify.compare import compare
from verify_nets import SMALL, Files, seeded, statuses, vary, without_record

Array = NDArray[np.float32]
MODES = ["chained", "isolated"]
CONSTANT_OUTPUT = SMALL + layer("Power", "prob", "y", "power_param { scale: 0 shift: 3 }")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The small net, converted as it is; tests do not change its files."""
    return Files.make(tmp_path_factory.mktemp("small"), SMALL)


def check(files: Files, oracle: Caffe | OpenCV, **options: Any) -> Report:
    return verify(files.net, files.weights, files.model, oracle=oracle, **options)


# -- what is equal


@pytest.mark.parametrize("mode", MODES)
def test_equal(small: Files, caffe: Caffe, mode: str) -> None:
    report = check(small, caffe, mode=mode)
    assert report.verdict == "equal"
    assert [blob.layer for blob in report.blobs] == [
        "data", "block/conv", "sc", "relu", "mid", "pool", "drop", "fc", "prob",
    ]  # fmt: skip
    assert report.counts == {"equal": 9, "different": 0, "unproven": 0, "not_compared": 1}
    assert max(blob.max for blob in report.blobs) < 1e-5
    (merged,) = report.not_compared
    assert (merged.layer, merged.blob) == ("bn", "c")
    assert "merged with the Scale" in merged.reason


def test_in_place_layers_are_compared_as_they_left_the_blob(small: Files, caffe: Caffe) -> None:
    seen: dict[str, tuple[Array, Array]] = {}
    check(small, caffe, watch=lambda blob, *arrays: seen.update({blob.layer: arrays}))
    for side in range(2):
        assert not np.allclose(seen["block/conv"][side], seen["sc"][side])
        assert seen["sc"][side].min() < 0
        assert np.array_equal(seen["relu"][side], np.maximum(seen["sc"][side], 0))


@pytest.mark.parametrize("model", ["net.pb", "saved"])
@pytest.mark.parametrize("mode", MODES)
def test_graphs_are_compared_at_their_outputs(
    tmp_path: Path, caffe: Caffe, model: str, mode: str
) -> None:
    files = Files.make(tmp_path, SMALL, model=model)
    if mode == "isolated":
        with pytest.raises(UsageError, match="isolated needs a Keras model"):
            check(files, caffe, mode=mode)
        return
    report = check(files, caffe)
    assert report.verdict == "equal"
    assert [(output.layer, output.blob) for output in report.outputs] == [("prob", "prob")]
    assert {s.layer for s in report.not_compared} > {"block/conv", "relu", "fc"}
    weights = seeded(files.net, lambda name, role, x: x + (name == "mid"))
    caffemodel.write(files.weights, weights, overwrite=True)
    assert check(files, caffe).verdict == "different"


def test_names_of_graphs(tmp_path: Path, caffe: Caffe) -> None:
    text = SMALL.replace('"prob"', '"a b/prob é"').replace('"data"', '"d/1 _x"')
    for model in ("net.pb", "saved"):
        folder = tmp_path / model.replace(".", "-")
        folder.mkdir()
        files = Files.make(folder, text, model=model)
        report = check(files, caffe)
        assert (report.verdict, report.outputs[0].blob) == ("equal", "a b/prob é")


def test_model_without_a_record(tmp_path: Path, caffe: Caffe) -> None:
    files = Files.make(tmp_path, SMALL)
    without_record(files.model)
    report = check(files, caffe)
    assert report.verdict == "equal"
    assert {"block/conv", "sc", "relu", "mid", "pool", "fc", "prob"} <= statuses(report).keys()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_model_by_hand(tmp_path: Path, caffe: Caffe, suffix: str) -> None:
    """A user's own model, with layers named as Caffe's and an input named otherwise."""
    import keras

    text = (
        data(1, 2, 5, 4)
        + layer("Convolution", "data", "c", "convolution_param { num_output: 3 kernel_size: 3 }",
                name="a/conv")
        + layer("ReLU", "c", "c", name="relu")
        + layer("InnerProduct", "c", "fc", "inner_product_param { num_output: 4 }")
    )  # fmt: skip
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    net.write_text(text, encoding="utf-8")
    convolution, dense = (list(found.blobs) for found in seeded(net))
    caffemodel.write(weights, seeded(net))
    model = keras.Sequential(
        [
            keras.Input((5, 4, 2), name="pixels"),
            keras.layers.Conv2D(3, 3, name="a__conv"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, name="fc"),
        ]
    )
    kernel = Pattern("h w i o -> o i h w").to_tf(convolution[0])
    model.get_layer("a__conv").set_weights([kernel, convolution[1]])
    rows = Pattern("(h w c) o -> o (c h w)", {"c": 3, "h": 3, "w": 2}).to_tf(dense[0])
    model.get_layer("fc").set_weights([rows, dense[1]])
    model.save(tmp_path / f"net{suffix}")
    report = verify(net, weights, tmp_path / f"net{suffix}", oracle=caffe)
    assert report.verdict == "equal"
    assert list(statuses(report)) == ["a/conv", "relu", "fc"]


def test_model_in_memory(small: Files, caffe: Caffe) -> None:
    model = caffe2tf.load(small.net, small.weights)
    report = verify(small.net, load_weights(small.weights), model, oracle=caffe)
    assert report.verdict == "equal"


def test_opencv(small: Files, opencv: OpenCV) -> None:
    report = check(small, opencv)
    assert report.verdict == "equal"
    assert report.backend.startswith("OpenCV 4")
    assert statuses(report)["relu"] == "equal"


def test_outputs_of_many_tops_and_layers_of_one_name(tmp_path: Path, caffe: Caffe) -> None:
    text = (
        data(2, 4, 5, 6)
        + data(2, 4, 5, 6, name="more")
        + layer("Eltwise", ["data", "more"], "sum", "eltwise_param { coeff: 1 coeff: -2 }")
        + layer("ReLU", "sum", "sum", name="relu")
        + layer("Slice", "sum", ["a", "b"], "slice_param { slice_point: 1 }", name="cut")
        + layer("TanH", "b", "b", name="relu")
        + layer("Flatten", "b", "flat")
        + layer("Split", "flat", ["f1", "f2"], name="split")
        + layer("Power", "f1", "half", "power_param { scale: 0.5 }")
    )
    files = Files.make(tmp_path, text)
    for mode in MODES:
        report = check(files, caffe, mode=mode)
        assert report.verdict == "equal"
        assert [output.blob for output in report.outputs] == ["a", "f2", "half"]
        assert [b.layer for b in report.blobs].count("relu") == 2
        assert {s.reason for s in report.not_compared} == {"a copy of its bottom"}
    without_record(files.model)
    assert check(files, caffe).verdict == "equal"


@pytest.mark.parametrize("source", ["cut", "data layer", "carried"])
def test_nets_that_caffe_cannot_run_as_they_are(tmp_path: Path, caffe: Caffe, source: str) -> None:
    text = SMALL
    options: dict[str, Any] = {}
    if source == "cut":
        options["outputs"] = ["p"]
    if source == "data layer":
        text = text.replace(
            data(2, 3, 9, 7),
            layer("Data", [], ["data", "label"],
                  'transform_param { crop_size: 9 } data_param { source: "x" batch_size: 2 }'),
        ).replace(
            layer("Softmax", "fc", "prob"),
            layer("SoftmaxWithLoss", ["fc", "label"], "loss")
            + layer("Accuracy", ["fc", "label"], "accuracy"),
        )  # fmt: skip
    files = Files.make(tmp_path, text, **options)
    net: str | Path = files.net
    if source == "carried":
        whole = tmp_path / "whole.caffemodel"
        caffe.save(files.net, whole, files.weights)
        net, files = "-", Files(files.net, whole, files.model)
    report = verify(net, files.weights, files.model, oracle=caffe)
    assert report.verdict == "equal"
    assert any("Caffe runs a net written for it" in note for note in report.notes)
    last = {"cut": "p", "data layer": "loss", "carried": "prob"}[source]
    assert [output.blob for output in report.outputs] == [last]
    assert len(report.outputs[0].shape) == (4 if source == "cut" else 2)


def test_hdf5_weights_with_slashes(small: Files, caffe: Caffe, tmp_path: Path) -> None:
    import h5py

    weights = tmp_path / "net.h5"
    with h5py.File(weights, "w") as file:
        for found in load_weights(small.weights).layers.values():
            for index, blob in enumerate(found.blobs):
                file.create_dataset(f"data/{found.name}/{index}", data=blob)
    report = verify(small.net, weights, small.model, oracle=caffe)
    assert report.verdict == "equal"


# -- what differs


def drop_bias(weights: list[Array]) -> list[Array]:
    return [weights[0], 0 * weights[1]]


def nudge(weights: list[Array]) -> list[Array]:
    return [weights[0] + 0.01 * np.abs(weights[0]).max(), *weights[1:]]


def turn(weights: list[Array]) -> list[Array]:
    return [weights[0][::-1], *weights[1:]]


FAULTS = [
    pytest.param("block__conv", drop_bias, "block/conv", id="bias of the first layer"),
    pytest.param("mid", nudge, "mid", id="weight in the middle"),
    pytest.param("mid", turn, "mid", id="kernel turned round"),
    pytest.param("bn", lambda w: [w[0], w[1], w[2], w[3] * 1.01], "sc", id="variance"),
    pytest.param("fc", drop_bias, "fc", id="bias of the last layer"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("node", "change", "culprit"), FAULTS)
def test_planted_weights(
    tmp_path: Path,
    caffe: Caffe,
    node: str,
    change: Callable[[list[Array]], Sequence[Array]],
    culprit: str,
    mode: str,
) -> None:
    files = Files.make(tmp_path, SMALL)
    vary(files.model, node, change)
    report = check(files, caffe, mode=mode)
    assert report.verdict == "different"
    assert report.first_difference is not None
    assert report.first_difference.layer == culprit
    different = [name for name, status in statuses(report).items() if status == "different"]
    if mode == "isolated":
        assert different == [culprit]
        assert report.worst is report.first_difference
    else:
        names = [blob.layer for blob in report.blobs]
        assert different == names[names.index(culprit) :]


@pytest.mark.parametrize("fault", ["pooling method", "slope", "eps"])
@pytest.mark.parametrize("mode", MODES)
def test_planted_structure(tmp_path: Path, caffe: Caffe, fault: str, mode: str) -> None:
    old, new, culprit = {
        "pooling method": ("pool: AVE", "pool: MAX", "pool"),
        "slope": ('name: "relu" type: "ReLU"', 'relu_param { negative_slope: 0.1 } '
                  'name: "relu" type: "ReLU"', "relu"),
        "eps": ('name: "bn" type', 'batch_norm_param { eps: 0.1 } name: "bn" type', "sc"),
    }[fault]  # fmt: skip
    assert old in SMALL
    other = Files.make(tmp_path, SMALL.replace(old, new))
    other.net.write_text(SMALL, encoding="utf-8")  # the model has the fault, Caffe does not
    report = check(other, caffe, mode=mode)
    assert report.first_difference is not None
    assert report.first_difference.layer == culprit
    if mode == "isolated":
        assert report.counts["different"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_other_shape(tmp_path: Path, caffe: Caffe, mode: str) -> None:
    """A model by hand that pads where Caffe does not."""
    import keras

    text = (
        data(2, 2, 6, 5)
        + layer("Convolution", "data", "a", "convolution_param { num_output: 3 kernel_size: 3 }")
        + layer("TanH", "a", "b")
    )
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    net.write_text(text, encoding="utf-8")
    caffemodel.write(weights, seeded(net))
    pixels = keras.Input((None, None, 2), name="data")
    convolution = keras.layers.Conv2D(3, 3, padding="same", name="a")
    model = keras.Model(pixels, keras.layers.Activation("tanh", name="b")(convolution(pixels)))
    kernel, bias = seeded(net)[0].blobs
    convolution.set_weights([Pattern("h w i o -> o i h w").to_tf(kernel), bias])
    report = verify(net, weights, model, oracle=caffe, mode=mode)
    assert report.first_difference is not None
    assert report.first_difference.layer == "a"
    assert "[2, 6, 5, 3], Caffe's blob [2, 3, 4, 3]" in report.first_difference.note
    assert statuses(report)["b"] == ("equal" if mode == "isolated" else "different")


def test_tolerance_decides(tmp_path: Path, caffe: Caffe) -> None:
    files = Files.make(tmp_path, SMALL)
    vary(files.model, "mid", nudge)
    worst = check(files, caffe).worst
    assert worst is not None
    assert check(files, caffe, rtol=worst.max * 1.01).verdict == "equal"
    assert check(files, caffe, rtol=worst.max * 0.99).verdict == "different"


# -- what proves nothing


def test_constant_output_is_unproven(tmp_path: Path, caffe: Caffe) -> None:
    report = check(Files.make(tmp_path, CONSTANT_OUTPUT), caffe)
    assert report.verdict == "unproven"
    assert report.first_difference is None
    assert [(b.layer, b.note) for b in report.unproven] == [("y", "all of Caffe's numbers are 3")]


def test_constant_inner_blob_is_listed(tmp_path: Path, caffe: Caffe) -> None:
    dead = layer("Power", "p", "dead", "power_param { scale: 0 }")
    text = SMALL.replace(
        layer("InnerProduct", "p", "fc", "inner_product_param { num_output: 6 }"),
        dead
        + layer("Eltwise", ["p", "dead"], "sum")
        + layer("InnerProduct", "sum", "fc", "inner_product_param { num_output: 6 }"),
    )
    report = check(Files.make(tmp_path, text), caffe)
    assert report.verdict == "equal"
    assert [blob.layer for blob in report.unproven] == ["dead"]


@pytest.mark.parametrize("mode", MODES)
def test_not_a_number_on_one_side(tmp_path: Path, caffe: Caffe, mode: str) -> None:
    files = Files.make(tmp_path, SMALL)
    vary(files.model, "mid", lambda w: [w[0], np.where(np.arange(5) == 2, np.nan, w[1])])
    report = check(files, caffe, mode=mode)
    assert report.first_difference is not None
    assert report.first_difference.layer == "mid"
    assert "one side only" in report.first_difference.note
    assert report.to_json()["first_difference"]["max"] is None


COMPARISONS = {
    "equal": ([1, -2, 0], [1, -2, 0], "equal", 0),
    "by scale": ([1, -2, 0], [1, -2, 0.5], "different", 0.25),
    "within": ([1, -2, 0], [1, -2, 0.0001], "equal", 5e-5),
    "constant": ([2, 2, 2], [2, 2, 2], "unproven", 0),
    "zero": ([0, 0, 0], [0, 0, 0], "unproven", 0),
    "constant, and wrong": ([2, 2, 2], [2, 2, 3], "different", 0.5),
    "zero, and wrong": ([0, 0, 0], [0, 0, 0.01], "different", 0.01),
    "empty": ([], [], "unproven", 0),
    "NaN in Caffe": ([1, np.nan, 3], [1, 2, 3], "different", np.inf),
    "NaN in TensorFlow": ([1, 2, 3], [1, np.nan, 3], "different", np.inf),
    "NaN in both": ([1, np.nan, 3], [1, np.nan, 3], "equal", 0),
    "infinite in both": ([1, np.inf, 3], [1, np.inf, 3], "equal", 0),
    "infinite, other sign": ([1, np.inf, 3], [1, -np.inf, 3], "different", np.inf),
    "all NaN": ([np.nan, np.nan], [np.nan, np.nan], "unproven", 0),
}


@pytest.mark.parametrize("case", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_compare(case: tuple[list[float], list[float], str, float]) -> None:
    caffe, other, status, largest = case
    found = compare(np.array(caffe, np.float32), np.array(other, np.float32))
    assert found.status == status
    assert found.max == pytest.approx(largest, rel=1e-4)


def test_saturated_softmax_is_noted(tmp_path: Path, caffe: Caffe) -> None:
    large = Files.make(
        tmp_path, SMALL, change=lambda name, role, x: x * (1000 if name == "fc" else 1)
    )
    (output,) = check(large, caffe).outputs
    assert output.note.startswith("saturated")


# -- inputs


def test_inputs_in_memory_and_from_files_agree(
    small: Files, caffe: Caffe, tmp_path: Path, rng: np.random.Generator
) -> None:
    array = rng.normal(size=(3, 3, 9, 7)).astype(np.float32)
    np.save(tmp_path / "x.npy", array)
    by_file = check(small, caffe, input=[tmp_path / "x.npy"])
    assert by_file.inputs == {"data": (3, 3, 9, 7)}
    assert by_file == check(small, caffe, input={"data": array})
    halves = []
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", array[number : number + 1])
        halves.append(tmp_path / f"{number}.npy")
    assert check(small, caffe, input=halves).blobs == by_file.blobs


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 9, 7, 3), "looks channels-last"),
        ((3, 9, 7), "lacks the batch axis"),
        ((2, 3, 9, 8), "takes \\[any, 3, 9, 7\\]"),
    ],
    ids=["NHWC", "no batch", "size"],
)
def test_inputs_are_in_caffes_layout(
    small: Files, tmp_path: Path, shape: tuple[int, ...], words: str
) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    with pytest.raises(UsageError, match=words):
        verify(small.net, small.weights, small.model, input=[tmp_path / "x.npy"])


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("built_in", [True, False], ids=["built in", "outside"])
def test_images_and_preprocessing(
    tmp_path: Path, caffe: Caffe, rng: np.random.Generator, order: str, built_in: bool
) -> None:
    cv2 = pytest.importorskip("cv2")
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), rng.integers(0, 256, (20, 30, 3), np.uint8))
    steps: dict[str, Any] = {"mean": [10, 50, 90], "scale": 0.02, "channel_order": order}
    files = Files.make(tmp_path, SMALL, **(steps if built_in else {}))
    report = check(files, caffe, input=[image], **steps)
    assert report.verdict == "equal"
    assert any("resized to 9×7" in note for note in report.notes)
    if built_in:
        with pytest.raises(UsageError, match="built in"):
            check(files, caffe)
        assert check(files, caffe, **{**steps, "scale": 0.03}).verdict == "different"


def test_embed_gets_valid_indices(tmp_path: Path, caffe: Caffe) -> None:
    text = data(2, 4, name="words") + layer(
        "Embed", "words", "vectors", param("embed_param", num_output=5, input_dim=7)
    )
    assert check(Files.make(tmp_path, text), caffe, samples=6).verdict == "equal"


def test_samples_and_seed(small: Files, caffe: Caffe) -> None:
    report = check(small, caffe, samples=3, seed=1)
    assert report.inputs == {"data": (3, 3, 9, 7)}
    assert report == check(small, caffe, samples=3, seed=1)
    assert report.blobs != check(small, caffe, samples=3, seed=2).blobs


# -- the command


def test_command_equal(small: Files, caffe: Caffe, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(small.arguments) == 0
    out = capsys.readouterr().out
    assert "block/conv  Convolution" in out
    assert out.splitlines()[-1].startswith("EQUAL")
    assert main([*small.arguments, "-q"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_command_different(
    tmp_path: Path, caffe: Caffe, capsys: pytest.CaptureFixture[str]
) -> None:
    files = Files.make(tmp_path, SMALL)
    vary(files.model, "mid", nudge)
    assert main([*files.arguments, "--mode", "isolated"]) == 1
    out = capsys.readouterr().out
    assert "first to depart: blob 'd' of layer 'mid' (Convolution)" in out
    assert main([*files.arguments, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdict"] == "different"
    assert answer["first_difference"]["layer"] == "mid"
    keys = {"layer", "blob", "type", "shape", "max", "mean", "scale", "status", "note"}
    assert all(set(blob) == keys for blob in answer["blobs"])


def test_command_unproven(tmp_path: Path, caffe: Caffe, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Files.make(tmp_path, CONSTANT_OUTPUT).arguments) == 1
    assert "UNPROVEN" in capsys.readouterr().out


def test_dump(tmp_path: Path, caffe: Caffe) -> None:
    text = SMALL.replace('"mid"', '"../mid\\\\ <é>"')
    files = Files.make(tmp_path, text)
    assert main([*files.arguments, "--dump", str(tmp_path / "dump")]) == 0
    entries = json.loads((tmp_path / "dump" / "index.json").read_text("utf-8"))["blobs"]
    assert [entry["layer"] for entry in entries][3:6] == ["relu", "../mid\\ <é>", "pool"]
    arrays = {
        entry["layer"]: [np.load(tmp_path / "dump" / entry[s]) for s in ("caffe", "tensorflow")]
        for entry in entries
    }
    for mine, theirs in arrays.values():
        assert mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(mine).max()
    assert arrays["pool"][0].shape == (2, 5, 3, 3)
    assert not np.array_equal(arrays["sc"][0], arrays["relu"][0])
    assert len(list((tmp_path / "dump").iterdir())) == 2 * len(entries) + 1


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report_page(tmp_path: Path, caffe: Caffe) -> None:
    files = Files.make(tmp_path, SMALL.replace('"mid"', "\"<script>alert('1')</script>\""))
    page = tmp_path / "report.html"
    assert main([*files.arguments, "--report", str(page)]) == 0
    html = page.read_text("utf-8")
    assert "<script" not in html
    parsed = _Tags()
    parsed.feed(html)
    assert "<script>alert('1')</script>" in parsed.text
    assert parsed.tags.count("table") == 3
    assert main([*files.arguments, "--report", str(page)]) == 2  # it exists already


# -- what does not belong together


def test_weights_of_another_net(small: Files, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.caffemodel"
    caffemodel.write(wrong, [la for la in seeded(small.net) if la.name != "mid"])
    with pytest.raises(WeightsError, match="lacks"):
        verify(small.net, wrong, small.model)
    assert main(["verify", str(small.net), str(wrong), str(small.model)]) == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"mid"', '"middle"', "layer 'middle'"),
        ("num_output: 5", "num_output: 8", r"\[any, 8, 7, 6\] there and \[2, 5, 7, 6\]"),
    ],
    ids=["name", "shape"],
)
def test_model_of_another_net(small: Files, tmp_path: Path, old: str, new: str, words: str) -> None:
    other = Files.make(tmp_path, SMALL.replace(old, new))
    with pytest.raises(UsageError, match=words):
        verify(small.net, small.weights, other.model)
    assert main(["verify", str(small.net), str(small.weights), str(other.model)]) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("no.keras", None),
        ("text.keras", b"this is no model"),
        ("empty.pb", b""),
        ("random.pb", b"\x0a\x99\x01random"),
        ("text.h5", b"this is no model"),
        ("model.onnx", b"other"),
    ],
)
def test_damaged_models(
    small: Files, tmp_path: Path, name: str, content: bytes | None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConversionError, match=name):
        verify(small.net, small.weights, path)
    assert main(["verify", str(small.net), str(small.weights), str(path)]) == 2
    assert capsys.readouterr().err.count("error:") == 1


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"tfcaffe": 99}',
        '{"tfcaffe": 1, "inputs": [{"layer": "a"}]}',
        '{"tfcaffe": 1, "inputs": [], "outputs": [], "blobs": [{"layer": "data", "blob": "data", '
        '"node": "data", "output": 0, "index": 0, "axes": [[2], [3]], "dims": [[0], [7]]}]}',
    ],
    ids=["empty", "list", "deep", "version", "lacking", "layout"],
)
def test_damaged_records(small: Files, tmp_path: Path, record: str) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, record)
    with pytest.raises(FileFormatError, match=r"net\.keras: its record"):
        verify(small.net, small.weights, path)


def test_record_of_another_model(small: Files, tmp_path: Path) -> None:
    """A record whose nodes the model lacks."""
    import keras

    with zipfile.ZipFile(small.model) as archive:
        record = archive.read(MEMBER).decode()
    path = tmp_path / "net.keras"
    keras.saving.load_model(small.model).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, record.replace('"node": "mid"', '"node": "middle"'))
    with pytest.raises(UsageError, match="node 'middle'"):
        verify(small.net, small.weights, path)


def test_model_of_a_fixed_batch(tmp_path: Path, caffe: Caffe) -> None:
    files = Files.make(tmp_path, SMALL, model="net.pb", batch=3)
    with pytest.raises(ConversionError, match=r"net\.pb: fails on this input"):
        check(files, caffe, samples=2)
    assert check(files, caffe, samples=3).verdict == "equal"
    caffe2tf.convert(files.net, files.weights, tmp_path / "net.keras", batch=3)
    report = verify(files.net, files.weights, tmp_path / "net.keras", oracle=caffe)
    assert (report.verdict, report.inputs) == ("equal", {"data": (3, 3, 9, 7)})


def test_empty_directory_is_no_model(small: Files, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="TensorFlow cannot load it"):
        verify(small.net, small.weights, tmp_path)


@pytest.mark.parametrize(
    "more",
    [["--rtol", "-1"], ["--samples", "0"], ["--input", "nowhere.npy"], ["--dump", "no/such/dir"]],
    ids=lambda more: more[0],
)
def test_bad_usage(small: Files, more: list[str]) -> None:
    assert main([*small.arguments, *more]) == 2


@pytest.mark.parametrize("saved", [False, True], ids=["in-memory", "saved"])
def test_shared_layer_called_at_two_depths(tmp_path: Path, caffe: Caffe, saved: bool) -> None:
    """Its blob is that of its first call, though the second call lies deeper in the model."""
    shared = 'param { name: "w" } param { name: "b" } inner_product_param { num_output: 4 }'
    files = Files.make(
        tmp_path,
        data(2, 4)
        + layer("Sigmoid", "data", "p")
        + layer("InnerProduct", "data", "a", shared)
        + layer("InnerProduct", "p", "b", shared),
    )
    model = files.model if saved else caffe2tf.load(files.net, files.weights)
    report = verify(files.net, files.weights, model, oracle=caffe)
    assert report.verdict == "equal"
    assert {"p", "a", "b"} <= set(statuses(report))
