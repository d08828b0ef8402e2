"""The oracles themselves: what they run is what a plain NumPy computation gives."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oracle_nets import (
    BIAS,
    CONV,
    CONV_BLOBS,
    CONV_RELU_POOL,
    DATA,
    DUMMY_DATA,
    EXPECTED,
    EXPLICIT_SPLIT,
    ONE_AXIS,
    PYTHON_LAYER,
    RELU,
    STAGED,
    TALKER,
    TWO_INPUTS,
    UNKNOWN_BOTTOM,
    V0_NET,
    V1_NET,
    WEIGHTS,
    Array,
    close,
    numbers,
)
from oracles import Write
from tfcaffe.errors import RuntimeMissingError
from tfcaffe.oracle import OracleError
from tfcaffe.oracle.pycaffe import Caffe, find_caffe


def test_each_layer_as_it_left_its_tops(caffe: Caffe, write: Write) -> None:
    run = caffe.run(write(CONV_RELU_POOL), None, {"data": DATA}, blobs=CONV_BLOBS)
    assert [layer.name for layer in run.layers] == list(EXPECTED)
    for layer in run.layers:
        close(layer.arrays[0], EXPECTED[layer.name])
    assert run.inputs == ("data",)
    assert run.outputs == ("pool", "twice")


def test_in_place_blob_as_each_layer_saw_it(caffe: Caffe, write: Write) -> None:
    run = caffe.run(write(CONV_RELU_POOL), None, {"data": DATA}, blobs=CONV_BLOBS)
    close(run.blobs()["conv"], RELU)
    close(run.seen_by(run.layer("relu"))[0], CONV)
    assert run.layer("twice").bottoms == ("conv", "conv")
    for seen in run.seen_by(run.layer("twice")):
        close(seen, RELU)


def test_only_the_layers_asked_for(caffe: Caffe, write: Write) -> None:
    net = write(CONV_RELU_POOL)
    run = caffe.run(net, None, {"data": DATA}, blobs=CONV_BLOBS, only=["pool"])
    close(run.layer("pool").arrays[0], EXPECTED["pool"])
    assert [layer.name for layer in run.layers if layer.arrays] == ["pool"]


def test_two_inputs(caffe: Caffe, write: Write) -> None:
    a, b = numbers(4, 3, seed=4), numbers(4, 3, seed=5)
    run = caffe.run(write(TWO_INPUTS), None, {"b": b, "a": a})
    close(run.blobs()["difference"], a - 2 * b)


def test_one_axis(caffe: Caffe, write: Write) -> None:
    run = caffe.run(write(ONE_AXIS), None, {"x": numbers(7)})
    close(run.blobs()["y"], 3 * numbers(7) + 1)


@pytest.mark.parametrize(
    ("text", "function"), [(V1_NET, np.square), (V0_NET, lambda x: np.maximum(x, 0))]
)
def test_old_generations(
    caffe: Caffe, write: Write, text: str, function: Callable[[Array], Array]
) -> None:
    run = caffe.run(write(text), None, {"data": numbers(3, 2, 2, 2)})
    close(run.blobs()["y"], function(numbers(3, 2, 2, 2)))


def test_data_layer_fed(caffe: Caffe, write: Write) -> None:
    logits, labels = numbers(5, 3), np.array([0, 2, 1, 1, 0])
    run = caffe.run(write(DUMMY_DATA), None, {"data": logits, "label": labels})
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    loss = -np.log(probabilities[np.arange(5), labels]).mean(dtype=np.float32)
    close(run.blobs()["loss"], np.asarray(loss))


def test_data_layer_fed_in_part(caffe: Caffe, write: Write) -> None:
    run = caffe.run(write(DUMMY_DATA), None, {"data": numbers(2, 3)})
    np.testing.assert_array_equal(run.blobs()["data"], numbers(2, 3))
    np.testing.assert_array_equal(run.blobs()["label"], [1, 1])


def test_seed_decides_what_fillers_give(caffe: Caffe, write: Write) -> None:
    net = write(DUMMY_DATA)
    first, other, again = (caffe.run(net, seed=seed).blobs()["data"] for seed in (1, 2, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, []),
        ({"phase": "TRAIN"}, ["one"]),
        ({"stages": ["deploy"]}, ["two"]),
        ({"level": 3}, ["three"]),
    ],
)
def test_phase_stage_and_level(
    caffe: Caffe, write: Write, options: dict[str, object], kept: list[str]
) -> None:
    net = write(STAGED)
    names = ["data", *kept]
    assert [layer.name for layer in caffe.describe(net, **options).layers] == names
    run = caffe.run(net, None, {"data": [1.0]}, **options)
    assert [layer.name for layer in run.layers] == names


def test_describe(caffe: Caffe, write: Write) -> None:
    info = caffe.describe(write(CONV_RELU_POOL), shapes={"data": (2, 3, 8, 6)})
    assert [layer.type for layer in info.layers] == [
        "Input",
        "Convolution",
        "ReLU",
        "Pooling",
        "Eltwise",
    ]
    assert info.blob_shapes() == {
        "data": (2, 3, 8, 6),
        "conv": (2, 4, 6, 4),
        "pool": (2, 4, 3, 2),
        "twice": (2, 4, 6, 4),
    }
    assert info.layers[1].param_shapes == ((4, 3, 3, 3), (4,))
    assert info.layers[3].bottoms == ("conv",)
    assert (info.inputs, info.outputs) == (("data",), ("pool", "twice"))


def test_split_in_the_file_is_a_layer(caffe: Caffe, write: Write) -> None:
    info = caffe.describe(write(EXPLICIT_SPLIT))
    assert [layer.type for layer in info.layers] == ["Input", "Split"]


@pytest.mark.parametrize("name", ["a/b", "with space", "été", "it's", "{}", "class"])
def test_any_name(caffe: Caffe, write: Write, name: str) -> None:
    net = write(CONV_RELU_POOL.replace('"conv"', f'"{name}"').replace('"data"', f'"{name} in"'))
    run = caffe.run(net, None, {f"{name} in": DATA}, blobs={name: [WEIGHTS, BIAS]}, only=[name])
    close(run.layer(name).arrays[0], CONV)
    assert run.layer("twice").bottoms == (name, name)


@pytest.mark.parametrize("suffix", [".caffemodel", ".h5"])
def test_weights_file(caffe: Caffe, write: Write, tmp_path: Path, suffix: str) -> None:
    net, weights = write(CONV_RELU_POOL), tmp_path / f"net{suffix}"
    caffe.save(net, weights, blobs=CONV_BLOBS)
    close(caffe.run(net, weights, {"data": DATA}).layer("conv").arrays[0], CONV)


def test_big_blobs(caffe: Caffe, write: Write, temporary: Path) -> None:
    data = numbers(1 << 21)
    run = caffe.run(write(ONE_AXIS), None, {"x": data})
    assert not list(temporary.iterdir())
    close(run.blobs()["y"], 3 * data + 1)
    assert not run.blobs()["y"].flags.writeable


@pytest.mark.parametrize(
    ("text", "inputs", "words"),
    [
        (UNKNOWN_BOTTOM, {"data": DATA}, "Unknown bottom blob 'nope' .layer 'pool'"),
        (CONV_RELU_POOL.replace("kernel_size: 3", ""), {"data": DATA}, "Check failed: num_kernel"),
        (CONV_RELU_POOL, {"data": DATA[0]}, "bottom num_axes may not change"),
        ('layer { nme: "x" }', {}, '1:12: Message type "caffe.LayerParameter" has no field'),
        ('layer { name: "x" type: "Nope" }', {}, "Unknown layer type: Nope"),
        ('layer { name: "x" type: "Python" top: "x" python_param { module: "nope_module" } }', {},
         "No module named 'nope_module'"),
    ],
    ids=["bottom", "kernel", "axes", "field", "type", "python"],
)  # fmt: skip
def test_refused_net_gives_caffes_words(
    caffe: Caffe, write: Write, temporary: Path, text: str, inputs: dict[str, Array], words: str
) -> None:
    with pytest.raises(OracleError, match=words) as caught:
        caffe.run(write(text), None, inputs)
    assert "stack trace" not in str(caught.value)
    assert not list(temporary.iterdir())
    run = caffe.run(write(ONE_AXIS), None, {"x": [1.0, 2.0]})
    close(run.blobs()["y"], np.array([4, 7], np.float32))


@pytest.mark.parametrize(
    ("inputs", "blobs", "words"),
    [
        ({}, {}, r"no values for the net's inputs \['data'\]"),
        ({"data": DATA, "pool": DATA}, {}, "'pool' is no input of the net"),
        ({"data": DATA}, {"nope": [BIAS]}, "no layer 'nope'"),
        ({"data": DATA}, {"conv": [WEIGHTS]}, "'conv' has 2 blobs, 1 given"),
        ({"data": DATA}, {"conv": [WEIGHTS.T, BIAS]}, r"shape \(4, 3, 3, 3\), \(3, 3, 3, 4\)"),
    ],
    ids=["no input", "no such input", "no such layer", "blob count", "blob shape"],
)
def test_wrong_arrays_are_refused(
    caffe: Caffe,
    write: Write,
    inputs: dict[str, Array],
    blobs: dict[str, list[Array]],
    words: str,
) -> None:
    with pytest.raises(OracleError, match=words):
        caffe.run(write(CONV_RELU_POOL), None, inputs, blobs=blobs)


def test_words_of_one_crash_do_not_reach_the_next(caffe: Caffe, write: Write) -> None:
    with pytest.raises(OracleError, match="Unknown bottom"):
        caffe.describe(write(UNKNOWN_BOTTOM))
    with pytest.raises(OracleError) as caught:
        caffe.describe(write('layer { name: "x" type: "Nope" }'))
    assert "Unknown bottom" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_slow_job_is_ended(caffe: Caffe, write: Write) -> None:
    net = write(
        CONV_RELU_POOL.replace("num_output: 4 kernel_size: 3", "num_output: 512 kernel_size: 5")
    )
    with Caffe(timeout=0.2) as hasty, pytest.raises(OracleError, match=r"longer than 0.2 s"):
        hasty.run(net, None, {"data": np.zeros((8, 3, 400, 400))})


def test_process_ends_with_its_client(caffe: Caffe) -> None:
    with Caffe() as client:
        process = client._worker._process
        assert process is not None and process.poll() is None
    assert process.poll() is not None


@pytest.mark.parametrize("program", ["/nonexistent/python", ""])
def test_caffe_not_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    monkeypatch.setenv("CAFFE_PYTHON", program)
    monkeypatch.setattr("tfcaffe.oracle.pycaffe.DEFAULT_FOLDER", "no-such-folder")
    with pytest.raises(RuntimeMissingError, match="CAFFE_PYTHON"):
        Caffe()


def test_interpreter_without_caffe() -> None:
    with pytest.raises(RuntimeMissingError, match="No module named 'caffe'"):
        Caffe(sys.executable)


def test_find_caffe_above_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / ".pycaffe" / "python"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.delenv("CAFFE_PYTHON", raising=False)
    assert find_caffe() == str(program)


def test_python_layer_may_print(
    caffe: Caffe, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talker.py").write_text(TALKER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Caffe() as own:  # a process that sees the new PYTHONPATH
        run = own.run(write(PYTHON_LAYER), None, {"x": [1.0, 2.0]})
    close(run.blobs()["y"], np.array([10, 20], np.float32))
