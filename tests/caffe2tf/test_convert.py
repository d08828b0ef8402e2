"""`convert` and `load`: options, and what they do to the net."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
from caffe2tf.__main__ import main
from conversions import CONV, FULL, NET, Files, images, names, nchw, nhwc, relative, write_net
from prototxts import data, layer, param
from tfcaffe.oracle.pycaffe import Caffe


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A classifier."""
    return write_net(tmp_path, NET)


# -- outputs


@pytest.mark.parametrize(
    ("outputs", "layers"),
    [
        (["conv"], ["data", "conv", "relu"]),
        (["pool"], ["data", "conv", "relu", "pool"]),
        (["fc", "conv"], ["data", "conv", "relu", "pool", "fc"]),
        (["data", "conv"], ["data", "conv", "relu"]),
    ],
    ids=str,
)
def test_outputs(outputs: list[str], layers: list[str], files: Files, caffe: Caffe) -> None:
    """The net is cut there, in the order asked for; a blob is what its last writer left."""
    model = caffe2tf.load(files.net, files.weights, outputs=outputs)
    assert names(model) == layers
    x = images(2, 3, 9, 8)
    run = caffe.run(files.net, files.weights, {"data": x})
    blobs = {
        top: array for ran in run.layers for top, array in zip(ran.tops, ran.arrays, strict=True)
    }
    answers = model(nhwc(x))
    for name, answer in zip(outputs, answers if len(outputs) > 1 else [answers], strict=True):
        answer = np.asarray(answer)
        assert relative(nchw(answer) if answer.ndim == 4 else answer, blobs[name]) < 1e-5


def test_headless_net_needs_no_weights_above(files: Files, tmp_path: Path) -> None:
    """What is cut off may be missing, and is noted where it is not."""
    notes = caffe2tf.convert(files.net, files.weights, tmp_path / "m.npz", outputs=["pool"])
    assert any("net lacks" in note and "fc" in note for note in notes)
    with np.load(tmp_path / "m.npz") as arrays:
        assert set(arrays) == {"conv/weights", "conv/bias"}


# -- sizes


def test_batch_is_free(files: Files) -> None:
    model = caffe2tf.load(files.net, files.weights)
    assert model.input_shape == (None, 9, 8, 3)
    np.testing.assert_allclose(
        model(nhwc(images(5, 3, 9, 8)))[:2], model(nhwc(images(5, 3, 9, 8)[:2])), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"batch": 3}, (3, 9, 8, 3)),
        ({"batch": "any"}, (None, 9, 8, 3)),
        ({"input_shape": {"data": (1, 3, 10, 9)}}, (None, 10, 9, 3)),
        ({"input_shape": {"data": (1, 3, None, None)}}, (None, None, None, 3)),
        ({"input_shape": {"data": (1, 3, None, 12)}, "batch": 2}, (2, None, 12, 3)),
    ],
    ids=str,
)
def test_input_shape(
    options: dict[str, Any], shape: tuple[int, ...], tmp_path: Path, caffe: Caffe
) -> None:
    """A net without full layers takes any size, and answers as Caffe does at that size."""
    files = write_net(tmp_path, FULL)
    model = caffe2tf.load(files.net, files.weights, **options)
    assert model.input_shape == shape
    n, h, w, c = (size or 11 for size in shape)
    x = images(n, c, h, w)
    expected = caffe.run(files.net, files.weights, {"data": x}).layers[-1].arrays[0]
    assert relative(nchw(model(nhwc(x))), expected) < 1e-5


def test_batch_that_the_net_fixes(tmp_path: Path) -> None:
    """Said in a note; insisted on, refused."""
    reshape = "reshape_param { shape { dim: 6 dim: 4 } }"
    files = write_net(tmp_path, data(2, 3, 2, 2) + layer("Reshape", "data", "y", reshape))
    notes = caffe2tf.convert(files.net, None, tmp_path / "m.keras")
    assert any("batch" in note for note in notes)
    assert caffe2tf.load(files.net).input_shape == (2, 2, 2, 3)
    with pytest.raises(caffe2tf.ConversionError, match="'y'"):
        caffe2tf.load(files.net, batch="any")


# -- the rest


def test_net_from_the_caffemodel(tmp_path: Path, caffe: Caffe) -> None:
    """As real Caffe saved it, splits and all."""
    text = NET + layer("TanH", "conv", "side")
    net, saved = tmp_path / "net.prototxt", tmp_path / "caffe.caffemodel"
    net.write_text(text)
    files = write_net(tmp_path, text)
    caffe.save(net, saved, files.weights)
    carried = caffe2tf.load("-", saved)
    given = caffe2tf.load(net, files.weights)
    assert names(carried) == names(given)
    x = nhwc(images(2, 3, 9, 8))
    for one, other in zip(carried(x), given(x), strict=True):
        np.testing.assert_array_equal(one, other)


def test_command(files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All options at once, as on a command line; stdout stays empty."""
    code = main(
        [
            *("convert", str(files.net), str(files.weights), "-o", str(tmp_path / "m.keras")),
            *("-o", str(tmp_path / "m"), "--to", "npz", "--input-shape", "data=1,3,9,8"),
            *(
                "--batch",
                "4",
                "--outputs",
                "fc,pool",
                "--outputs",
                "conv",
                "--mean",
                "1,2,3",
                "--scale",
                "0.5",
            ),
            *("--channel-order", "rgb", "--keep-scale", "--phase", "TEST", "--level", "1"),
            *("--stage", "s", "--stage", "t", "--overwrite"),
        ]
    )
    out, err = capsys.readouterr()
    assert (code, out) == (0, "")
    assert err.count("note: wrote") == 2
    with np.load(tmp_path / "m") as arrays:  # --to holds for all outputs
        assert set(arrays) == {"conv/weights", "conv/bias", "fc/weights", "fc/bias"}


def test_quiet(files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "m.npz")
    assert main(["convert", str(files.net), str(files.weights), "-o", out, "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_verbose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What each layer became: pads, pairs, and layers of others."""
    shared = 'param { name: "w" } param { name: "b" }'
    pool = "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"
    text = (
        data(2, 3, 9, 8)
        + layer("BatchNorm", "data", "bn")
        + layer("Scale", "bn", "bn", "scale_param { bias_term: true }", name="a/scale")
        + layer("Pooling", "bn", "pool", pool)
        + layer("InnerProduct", "pool", "one", param("inner_product_param", num_output=5) + shared)
        + layer("InnerProduct", "pool", "two", param("inner_product_param", num_output=5) + shared)
    )
    files = write_net(tmp_path, text)
    arguments = ["convert", str(files.net), str(files.weights), "-o", str(tmp_path / "m.keras")]
    assert main([*arguments, "-v"]) == 0
    said = capsys.readouterr().err
    assert "'bn' (BatchNorm) + 'a/scale' (Scale) -> BatchNormalization 'bn'\n" in said
    assert "'pool>h1'" in said and "'pool'\n" in said
    assert "'one' (InnerProduct) -> Reshape 'one>h1', Dense 'one'\n" in said
    assert "'two' (InnerProduct) -> Reshape 'two>h1', Identity 'two'\n" in said
    for words in (str(files.weights), "TensorFlow 2.", "m.keras (keras): made in"):
        assert words in said
    assert main([*arguments, "--overwrite"]) == 0
    assert "->" not in capsys.readouterr().err


def test_arrays_need_no_tensorflow(files: Files, tmp_path: Path) -> None:
    code = f"""
import sys
from caffe2tf.__main__ import main
code = main(["convert", {str(files.net)!r}, {str(files.weights)!r}, "-o", "m.npz", "-o", "m.h5"])
assert code == 0
print(sorted({{"tensorflow", "keras", "rich"}} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


# -- inputs that change meanwhile


@pytest.mark.parametrize("which", ["net", "weights", "mean", "proto", "plugin"])
def test_an_input_that_changes(which: str, files: Files, tmp_path: Path) -> None:
    """Here a plugin touches it, behind the back of the conversion."""
    inputs = {
        "net": files.net,
        "weights": files.weights,
        "mean": tmp_path / "mean.npy",
        "proto": tmp_path / "more.proto",
        "plugin": tmp_path / "plugin.py",
    }
    np.save(inputs["mean"], np.ones(3, np.float32))
    inputs["proto"].write_text("message MoreParameter { optional int32 size = 1; }\n")
    inputs["plugin"].write_text(f"import os\nos.utime({str(inputs[which])!r}, ns=(1, 1))\n")
    output = tmp_path / "out" / "m.npz"
    output.parent.mkdir()
    with pytest.raises(caffe2tf.ConversionError, match=f"{inputs[which].name} changed meanwhile"):
        caffe2tf.convert(
            files.net,
            files.weights,
            output,
            mean=inputs["mean"],
            proto=[inputs["proto"]],
            plugin=[inputs["plugin"]],
        )
    assert list(output.parent.iterdir()) == []


# -- the rest of the command


def test_notes_of_the_building(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`convert` gives what only building finds out, once for all outputs; `load` logs it."""
    shared = 'param { name: "w" } param { name: "b" }'
    text = data(2, 6, 9, 8) + "".join(
        layer("Convolution", "data", name, CONV.replace("}", f"dilation: {d} }}") + shared)
        for d, name in enumerate(("one", "two"), 1)
    )
    files = write_net(tmp_path, text)
    outputs = [tmp_path / "m.keras", tmp_path / "m.weights.h5"]
    notes = caffe2tf.convert(files.net, files.weights, outputs)
    assert len([note for note in notes if "shares its weights and bias with" in note]) == 1
    with caplog.at_level(logging.INFO, "caffe2tf"):
        caffe2tf.load(files.net, files.weights)
    assert caplog.text.count("shares its weights and bias with") == 1


def test_debug_shows_the_traceback(files: Files, tmp_path: Path) -> None:
    with pytest.raises(caffe2tf.ConversionError, match="gone"):
        main(["convert", "gone.prototxt", "-o", str(tmp_path / "m.keras"), "--debug"])


def test_no_weights(files: Files, tmp_path: Path) -> None:
    """The architecture, with numbers of its own each time."""
    one, other = (caffe2tf.load(files.net).get_layer("fc").get_weights()[0] for _ in range(2))
    assert one.shape == other.shape
    assert not np.array_equal(one, other)
