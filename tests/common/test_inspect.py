"""`inspect`: what it prints of nets and weights, gaps included; that it starts without much."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2tf.__main__ import main
from oracles import Write
from prototxts import data, layer
from tfcaffe.files import caffe_hdf5, caffemodel
from tfcaffe.files.weights import Blobs, LayerBlobs
from weights_files import PROTOTXT, SHAPES

NET = (
    'name: "little"\n'
    + data(2, 3, 6, 5)
    + data(2, name="label")
    + layer("Convolution", "data", "conv", "convolution_param { num_output: 4 kernel_size: 3 }")
    + layer("ReLU", "conv", "conv", name="relu")
    + layer("InnerProduct", "conv", "ip", "inner_product_param { num_output: 5 }")
    + layer("SoftmaxWithLoss", ["ip", "label"], "loss")
    + layer("Accuracy", ["ip", "label"], "accuracy", "include { phase: TEST }")
)
TABLE = """\
layer     type             bottoms    top       shape    parameters  multiply-adds
data      Input                       data      2×3×6×5           0              0
label     Input                       label     2                 0              0
conv      Convolution      data       conv      2×4×4×3         112          2,592
relu      ReLU             conv       conv      2×4×4×3           0              0
ip        InnerProduct     conv       ip        2×5             245            480
loss      SoftmaxWithLoss  ip, label  loss      scalar            0              0
accuracy  Accuracy         ip, label  accuracy  scalar            0              0
total                                                           357          3,072
"""
GAPS = (
    data(1, 3, 6, 5)
    + layer("Convolution", "data", "conv", "convolution_param { num_output: 4 kernel_size: 3 }")
    + layer("Wonder", "conv", "wonder")
    + layer("PReLU", "wonder", "wonder", name="prelu")
    + layer("ReLU", "conv", "side")
    + layer("Concat", ["wonder", "side"], "both")
    + layer("Pooling", "side", ["pool", "mask"], "pooling_param { kernel_size: 2 }")
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `caffe2tf inspect`; gives the exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["inspect", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def written(path: Path, **layers: list[tuple[int, ...]]) -> Path:
    """A weights file with blobs of these shapes."""
    stored = [
        LayerBlobs(name, "", Blobs.of([np.ones(shape, np.float32) for shape in shapes]))
        for name, shapes in layers.items()
    ]
    (caffe_hdf5 if path.suffix == ".h5" else caffemodel).write(path, stored)
    return path


def test_a_net(run: Run, write: Write) -> None:
    assert run(write(NET)) == (0, TABLE, "")


def test_another_phase_and_other_sizes(run: Run, write: Write) -> None:
    code, out, _ = run(write(NET), "--phase", "TRAIN", "--input-shape", "data=1,3,8,8", "--json")
    facts = json.loads(out)
    assert code == 0
    assert [la["name"] for la in facts["layers"]][-1] == "loss"
    assert facts["layers"][2]["tops"] == {"conv": [1, 4, 6, 6]}


def test_json(run: Run, write: Write) -> None:
    code, out, err = run(write(NET), "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert facts["net"] == "little"
    assert facts["supported"] is facts["complete"] is True
    assert (facts["parameters"], facts["multiply_adds"]) == (357, 3072)
    assert facts["outputs"] == ["loss", "accuracy"]
    assert facts["layers"][2] == {
        "name": "conv",
        "type": "Convolution",
        "supported": True,
        "bottoms": ["data"],
        "tops": {"conv": [2, 4, 4, 3]},
        "blobs": {"weights": [4, 3, 3, 3], "bias": [4]},
        "parameters": 112,
        "multiply_adds": 2592,
    }


@pytest.mark.parametrize("name", ["net.caffemodel", "net.h5", "blob"])
def test_weights_that_fit(name: str, run: Run, write: Write, tmp_path: Path) -> None:
    weights = written(tmp_path / name, c=list(SHAPES), spare=[(2,)])
    code, out, err = run(write(PROTOTXT), weights)
    assert code == 0
    assert "3×2×3×2" not in out and "c      Convolution  data     c" in out
    assert err == "caffe2tf: note: layers of the weights file that the net lacks (1): spare\n"


def test_weights_that_do_not_fit(run: Run, write: Write, tmp_path: Path) -> None:
    weights = written(tmp_path / "net.caffemodel", c=[(3, 2, 2, 3), (3,)])
    code, out, err = run(write(PROTOTXT), weights)
    assert (code, out) == (2, "")
    assert "has the shape [3, 2, 2, 3], the net wants [3, 2, 3, 2]" in err


@pytest.mark.parametrize("name", ["net.caffemodel", "net.h5", "blob"])
def test_weights_alone(name: str, run: Run, tmp_path: Path) -> None:
    path = written(tmp_path / name, conv1=[(3, 2, 3, 2), (3,)], norm=[(3,), (3,), (1,)])
    code, out, err = run(path)
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == [
        "conv1        3×2×3×2, 3          39",
        "norm         3, 3, 1              7",
        "total                            46",
    ]
    facts = json.loads(run(path, "--json")[1])
    assert facts["parameters"] == 46
    assert facts["layers"][0]["blobs"] == [[3, 2, 3, 2], [3]]


def test_the_net_in_a_caffemodel(run: Run, corpus: Path) -> None:
    weights = corpus / "models/lenet/lenet_iter_10000.caffemodel"
    code, out, _ = run("-", weights, "--input-shape", "data=1,1,28,28")
    assert code == 0
    assert out.splitlines()[-1].split()[:2] == ["total", "431,080"]


def test_gaps(run: Run, write: Write) -> None:
    code, out, err = run(write(GAPS))
    rows = [[cell for cell in line.split("  ") if cell] for line in out.splitlines()]
    assert code == 0
    assert [[cell.strip() for cell in row] for row in rows[1:]] == [
        ["data", "Input", "data", "1×3×6×5", "0", "0"],
        ["conv", "Convolution", "data", "conv", "1×4×4×3", "112", "1,296"],
        ["wonder", "Wonder", "conv", "wonder", "?", "?", "?"],
        ["prelu", "PReLU", "wonder", "wonder", "?", "?", "?"],
        ["side", "ReLU", "conv", "side", "1×4×4×3", "0", "0"],
        ["both", "Concat", "wonder, side", "both", "?", "?", "?"],
        ["pool", "Pooling", "side", "pool", "?", "?", "?"],
        ["mask", "?"],
        ["total", "at least 112", "at least 1,296"],
    ]
    field, kinds, named = err.splitlines()
    assert field.startswith("caffe2tf: note: layer 'pool' (Pooling, line 7): its second top 'mask'")
    assert kinds.startswith("caffe2tf: note: these layer types are not supported, so that shapes")
    assert named == "  Wonder: 'wonder' (line 3)"


def test_gaps_as_json(run: Run, write: Write, tmp_path: Path) -> None:
    weights = written(
        tmp_path / "net.caffemodel", conv=[(4, 3, 3, 3), (4,)], wonder=[(7, 2)], prelu=[(4,)]
    )
    code, out, err = run(write(GAPS), weights, "--json")
    facts = json.loads(out)
    layers: dict[str, Any] = {la["name"]: la for la in facts["layers"]}
    assert code == 0
    assert "that the net lacks" not in err
    assert facts["supported"] is facts["complete"] is False
    assert facts["parameters"] == 112 + 14 + 4
    assert [name for name, la in layers.items() if not la["supported"]] == ["wonder", "pool"]
    assert layers["wonder"]["blobs"] == {"0": [7, 2]}
    assert layers["both"]["tops"] == {"both": None}
    assert layers["both"]["blobs"] is layers["both"]["multiply_adds"] is None


def test_an_input_of_unknown_size(run: Run, write: Write) -> None:
    path = write(layer("ImageData", [], ["data", "label"]) + layer("ReLU", "data", "y"))
    code, out, err = run(path, "--json")
    facts = json.loads(out)
    assert (code, facts["supported"], facts["complete"]) == (0, True, False)
    assert "does not say the shape of 'data'; give it with --input-shape data=N,C,H,W" in err
    code, out, err = run(path, "--json", "--input-shape", "data=1,3,8,9")
    assert json.loads(out)["layers"][1]["tops"] == {"y": [1, 3, 8, 9]}


def test_quiet_leaves_the_notes_out(run: Run, write: Write) -> None:
    assert run(write(GAPS), "-q")[2] == ""


def test_names_cannot_garble_the_terminal(run: Run, write: Write) -> None:
    path = write(
        data(1, 2)
        + 'layer { name: "a\\n\\033[2J" type: "\\033[31mReLU" bottom: "data" top: "b\\tc" }\n'
        + 'layer { name: "层" type: "ReLU" bottom: "data" top: "\\302\\233" }\n'
    )
    code, out, err = run(path)
    assert code == 0
    assert out.splitlines()[2].split()[:5] == [
        "a\\n\\x1b[2J",
        "\\x1b[31mReLU",
        "data",
        "b\\tc",
        "?",
    ]
    assert out.splitlines()[3].split()[:4] == ["层", "ReLU", "data", "\\x9b"]
    assert all(line.isprintable() for line in (out + err).splitlines())
    assert json.loads(run(path, "--json")[1])["layers"][1]["name"] == "a\n\x1b[2J"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\0\1\2", "no caffemodel"),
        (b"hello", "has no field 'hello'"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
    ],
    ids=["empty", "binary", "text", "HDF5"],
)
def test_other_files(content: bytes, message: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    code, out, err = run(path)
    assert (code, out) == (2, "")
    assert err.startswith("caffe2tf: error: ") and str(path) in err and message in err


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "nowhere.prototxt")
    assert code == 2 and "No such file" in err
    assert run(tmp_path)[0] == 2


def test_weights_in_the_net_s_place(run: Run, write: Write, tmp_path: Path) -> None:
    weights = written(tmp_path / "net.caffemodel", c=list(SHAPES))
    code, _, err = run(weights, write(PROTOTXT))
    assert code == 2 and "holds weights; name the prototxt first" in err


def test_it_needs_no_framework(write: Write, tmp_path: Path) -> None:
    weights = written(tmp_path / "net.caffemodel", c=list(SHAPES))
    program = (
        "import sys; from caffe2tf.__main__ import main; code = main(sys.argv[1:]); "
        "heavy = {'tensorflow', 'keras', 'h5py', 'cv2', 'yaml'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    subprocess.run(
        [sys.executable, "-c", program, "inspect", write(PROTOTXT), weights],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("name", ["gone.keras", "gone.ckpt", "gone.pb"])
def test_what_is_not_there_is_of_no_kind(name: str, run: Run, tmp_path: Path) -> None:
    code, out, err = run(tmp_path / name)
    assert (code, out) == (2, "")
    assert f"{name}: cannot be read: No such file" in err
