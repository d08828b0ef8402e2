"""`tf2caffe convert` of whole networks: what is written, what is said, what is refused at once."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import tf2caffe
from tf2caffe.__main__ import main
from tf2caffe.whole import targets
from tfcaffe.errors import ConversionError
from tfcaffe.files import caffemodel
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.verify import verify
from whole import randomised


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model as a file."""
    import keras

    x = keras.Input((9, 8, 3), name="image")
    y = keras.layers.Conv2D(4, 3, 2, "same", activation="relu", name="conv1")(x)
    y = keras.layers.BatchNormalization(name="bn")(y)
    y = keras.layers.Dropout(0.5, name="drop")(y)
    y = keras.layers.Dense(5, activation="softmax", name="fc")(keras.layers.Flatten()(y))
    path = tmp_path_factory.mktemp("tiny") / "tiny.keras"
    randomised(keras.Model(x, y, name="tiny")).save(path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def convert(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_convert(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caffe: Caffe
) -> None:
    assert convert(tiny, "-o", tmp_path / "net", "-v") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "tf2caffe: conv1: Convolution conv1, ReLU conv1_relu\n" in said.err
    assert "tf2caffe: drop: no layer of its own\n" in said.err
    assert re.search(r"note: wrote \S+net\.prototxt and \S+net\.caffemodel\n$", said.err)
    assert names(tmp_path) == ["net.caffemodel", "net.prototxt"]
    text = (tmp_path / "net.prototxt").read_text()
    assert text.startswith("# tiny: a Keras model of tiny.keras, converted by tf2caffe\n")
    report = verify(tmp_path / "net.prototxt", tmp_path / "net.caffemodel", tiny, oracle=caffe)
    assert report.verdict == "equal" and len(report.blobs) == 4


@pytest.mark.parametrize("name", ["net", "net.prototxt", "net.caffemodel"])
def test_the_stem_with_or_without_a_suffix(name: str, tiny: Path, tmp_path: Path) -> None:
    tf2caffe.convert(tiny, tmp_path / name)
    assert names(tmp_path) == ["net.caffemodel", "net.prototxt"]
    assert [path.name for path in targets("v1.0")] == ["v1.0.prototxt", "v1.0.caffemodel"]
    with pytest.raises(ConversionError, match="exists already; give --overwrite"):
        tf2caffe.convert(tiny, tmp_path / name)
    before = (tmp_path / "net.caffemodel").read_bytes()
    tf2caffe.convert(tiny, tmp_path / name, overwrite=True, outputs=["conv1"])
    assert len((tmp_path / "net.caffemodel").read_bytes()) < len(before)


def test_legacy_input(tiny: Path, tmp_path: Path, caffe: Caffe) -> None:
    tf2caffe.convert(tiny, tmp_path / "net", legacy_input=True, outputs=["conv1"])
    text = (tmp_path / "net.prototxt").read_text()
    assert "# options: --outputs conv1 --legacy-input\n" in text
    assert re.findall(r"^input\w*: .*", text, re.M) == [
        'input: "image"',
        *(f"input_dim: {size}" for size in (1, 3, 9, 8)),
    ]
    assert 'type: "Input"' not in text
    import keras

    model = keras.saving.load_model(tiny)
    cut = keras.Model(model.inputs, model.get_layer("conv1").output)
    report = verify(tmp_path / "net.prototxt", tmp_path / "net.caffemodel", cut, oracle=caffe)
    assert report.verdict == "equal"


def test_nothing_is_written_if_anything_is_wrong(tiny: Path, tmp_path: Path) -> None:
    import keras

    x = keras.Input((4, 4, 3))
    model = keras.Model(x, keras.ops.sign(x))
    with pytest.raises(ConversionError, match="layer 'sign"):
        tf2caffe.convert(model, tmp_path / "net")
    assert names(tmp_path) == []


BAD_USAGE = [
    ("nothing.keras -o net", "nothing.keras: there is no such file"),
    ("model.keras -o a/v1.0.h5", "are written, not .h5; say -o a/v1.0"),
    ("model.keras -o no/net", "there is no folder "),
    ("model.keras -o model", "model.prototxt: exists already"),
    ("model.keras -o net --scale 0", "--scale 0.0: give a finite number"),
    ("model.keras -o net --input-shape x=1,any,any,3", "--input-shape x: Caffe's nets have"),
    ("model.keras -o net --input-shape x=1,a", "x=1,a: write NAME=N,H,W,C with whole numbers"),
    ("model.keras -o net --outputs a,,b", "a name is empty"),
    ("model.keras -o net --dialect cafe", "--dialect cafe: there are caffe-1.0"),
    ("model.keras -o net --ema", "--ema goes with --prototxt NET.prototxt and --mapping MAP"),
    ("model.keras -o net --base old", "--base goes with --prototxt"),
    ("model.keras -o net --mapping m.yaml", "give both --prototxt"),
    ("model.keras -o net.caffemodel --mapping m --prototxt p --fold-bn", "is for whole"),
    ("model.keras -o net --plugin no.py", "--plugin no.py: there is no such Python file"),
    ("old -o net", "is a checkpoint without its graph (old.meta)"),
    ("notes.txt -o net", "notes.txt: is no network that is known"),
]


def test_bad_usage_is_told_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    for name in ("model.keras", "model.prototxt", "old.index", "notes.txt"):
        (tmp_path / name).write_text("")
    program = (
        "import sys\nfrom tf2caffe.__main__ import main\n"
        f"for line in {[line for line, _ in BAD_USAGE]!r}:\n"
        "    assert main(['convert', *line.split()]) == 2\n"
        "    assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for said, (_, words) in zip(done.stderr.splitlines(), BAD_USAGE, strict=True):
        assert said.startswith("tf2caffe: error: ") and words in said


MIXED = ("part.prototxt", "whole.caffemodel")
BAD_VALUES: list[tuple[dict[str, object], str]] = [
    ({"channel_order": "BGR"}, "channel_order='BGR': there are bgr and rgb"),
    ({"scale": "2"}, "scale='2': give a number"),
    ({"scale": 1e39}, r"--scale 1e\+39: give a finite number"),
    ({"scale": 1e-40}, "--scale 1e-40: give a finite number"),
    ({"mean": [1.0, 2.0, 1e39]}, "--mean .*: give finite numbers"),
    ({"mean": "1,2,1e39"}, "mean 1,2,1e39: values must be finite"),
    ({"mean": ["a"]}, "--mean .*: give numbers"),
    ({"input_shape": ["image=1,9,8,3"]}, "input_shape=.*: give sizes by name"),
    ({"input_shape": {"image": 3}}, "--input-shape image: .* give whole numbers"),
    ({"input_shape": {"image": "1983"}}, "--input-shape image: .* give whole numbers"),
    ({"outputs": [3]}, "outputs=.*: give a list of names"),
    ({"fold_bn": "no"}, "fold_bn='no': give True or False"),
    ({"dialect": None}, "dialect=None: give the name of a dialect"),
    ({"output": None}, "output=None: give the name of a file"),
    ({"mapping": 3, "prototxt": "p"}, "mapping=3: give the name of a file"),
]


@pytest.mark.parametrize(("options", "words"), BAD_VALUES, ids=str)
def test_values_that_an_option_cannot_have(
    options: dict[str, Any], words: str, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConversionError, match=words):
        tf2caffe.convert(tiny, **{"output": tmp_path / "net", **options})
    assert names(tmp_path) == []


@pytest.mark.parametrize("option", ["inputs", "outputs"])
def test_a_name_that_is_not_there(option: str, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=f"--{option} con1: .* near ones are conv1"):
        tf2caffe.convert(tiny, tmp_path / "net", **{option: ["con1"]})  # type: ignore[arg-type]


def test_weights_that_are_no_numbers_are_noted(tmp_path: Path) -> None:
    import keras
    import numpy as np

    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(3, name="large")(x)
    y = keras.layers.Dense(2, name="infinite")(y)
    model = randomised(keras.Model(x, keras.layers.Dense(2, name="nan")(y)))
    for name, index, value in (("infinite", 1, np.inf), ("nan", 0, np.nan), ("large", 0, 3e38)):
        variable = model.get_layer(name).weights[index]
        numbers = variable.numpy()
        numbers[-1:] = value
        variable.assign(numbers)
    notes = tf2caffe.convert(model, tmp_path / "net")
    assert [note for note in notes if "NaN" in note] == [
        "weights that are infinite or no numbers (NaN): infinite, nan"
    ]
    found = caffemodel.read(tmp_path / "net.caffemodel")
    assert np.isnan(found.layers["nan"].blobs[0]).any()


def test_blobs_beyond_caffe(tmp_path: Path) -> None:
    import keras

    x = keras.Input((None, None, 3), name="image")
    model = keras.Model(x, keras.layers.Conv2D(4, 3, 2, name="conv")(x))
    words = r"layer 'image': a blob .* at most 32 axes and 2147483647 numbers .* --input-shape"
    with pytest.raises(ConversionError, match=words):
        sizes = {"image": (1, 100000, 100000, 3)}
        tf2caffe.convert(model, tmp_path / "net", input_shape=sizes)
    assert names(tmp_path) == []


def test_a_mixed_pair_is_told_before_the_model_is_blamed(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tf2caffe.convert(tiny, tmp_path / "whole")
    tf2caffe.convert(tiny, tmp_path / "part", outputs=["conv1"])
    assert main(["verify", *(f"{tmp_path}/{n}" for n in MIXED), str(tiny)]) == 2
    said = capsys.readouterr().err
    assert re.match(
        r".*/whole\.caffemodel is not the file that part\.prototxt was written wi", said
    )
    assert "they do not fit: " in said


def test_an_interrupt_that_keras_swallows(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keras catches it where it reads the weights, which it begins by asking for memory."""
    came = []

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "is_memory_sufficient":
            came.append(frame.f_code.co_filename)
            signal.raise_signal(signal.SIGINT)

    # what runs in the background may be begun with the signal ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.setprofile(interrupt)
    try:
        assert convert(tiny, "-o", tmp_path / "net") == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGINT, before)
    assert len(came) == 1 and came[0].endswith("saving_lib.py")
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert names(tmp_path) == []


def test_cut_at_layers(tiny: Path, tmp_path: Path) -> None:
    tf2caffe.convert(tiny, tmp_path / "net", inputs=["conv1"], outputs=["bn", "fc"])
    found = caffemodel.read(tmp_path / "net.caffemodel")
    assert list(found.layers)[:3] == ["conv1", "bn", "bn_scale"]
    assert (
        "input_param {\n    shape { dim: 1 dim: 4 dim: 5 dim: 4 }"
        in (tmp_path / "net.prototxt").read_text()
    )
