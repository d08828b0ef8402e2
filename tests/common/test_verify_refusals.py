"""What does not belong together, or is damaged, is refused in one message."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from caffe2tf.__main__ import main
from tfcaffe.errors import ConversionError, FileFormatError, UsageError, WeightsError
from tfcaffe.files import caffemodel
from tfcaffe.twin import MEMBER
from tfcaffe.verify import verify
from verify_nets import SMALL, Files, seeded


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


def test_orders_of_channels_that_there_are_not(small: Files) -> None:
    with pytest.raises(UsageError, match="--channel-order BGR: there are bgr and rgb"):
        verify(small.net, small.weights, small.model, channel_order="BGR")  # type: ignore[arg-type]


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


def test_empty_directory_is_no_model(small: Files, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="TensorFlow cannot load it"):
        verify(small.net, small.weights, tmp_path)


@pytest.mark.parametrize(
    "order",
    ["net model weights", "model net weights", "net weights", "weights net model", "net net"],
)
def test_files_in_another_order(
    small: Files, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"net": small.net, "weights": small.weights, "model": small.model}
    assert main(["verify", *(str(files[name]) for name in order.split())]) == 2
    message = capsys.readouterr().err
    assert "which comes last" in message or "the weights come second" in message
