"""The command: exit codes, what it prints, and the files that it writes."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2tf.__main__ import main
from prototxts import data, layer
from tfcaffe.oracle.pycaffe import Caffe
from verify_nets import SMALL, Files, nudge, vary

CONSTANT_OUTPUT = SMALL + layer("Power", "prob", "y", "power_param { scale: 0 shift: 3 }")


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


def test_names_are_printed_in_one_line(
    tmp_path: Path, caffe: Caffe, capsys: pytest.CaptureFixture[str]
) -> None:
    """Layers' and blobs' names are free text, and may hold what a terminal obeys."""
    text = SMALL.replace('"mid"', '"m\\nEQUAL\\033[2J"').replace('"data"', '"a\\033b"')
    files = Files.make(tmp_path, text)
    for more in ([], ["-v"]):
        assert main([*files.arguments, *more]) == 0
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        assert [line.startswith("EQUAL") for line in out.splitlines()].count(True) == 1
        assert "m\\nEQUAL\\x1b[2J" in out and "a\\x1bb 2×3×9×7" in out


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


def test_overwrite(small: Files, tmp_path: Path, caffe: Caffe) -> None:
    """Both are replaced, and stay as they are where one of them cannot be."""
    dump, page = tmp_path / "dump", tmp_path / "report.html"
    command = [*small.arguments, "--dump", str(dump), "--report", str(page)]
    assert main([*command, "--samples", "1"]) == 0
    old = page.read_bytes(), np.load(dump / "0000-data-data.caffe.npy")
    assert main(command) == 2
    (dump / "mine.txt").touch()
    assert main([*command, "--overwrite"]) == 2
    (dump / "mine.txt").unlink()
    assert page.read_bytes() == old[0]
    assert main([*command, "--overwrite"]) == 0
    assert page.read_bytes() != old[0]
    assert (len(old[1]), len(np.load(dump / "0000-data-data.caffe.npy"))) == (1, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"dump", "report.html"}


def test_inputs_are_not_overwritten(small: Files, tmp_path: Path, caffe: Caffe) -> None:
    dump = tmp_path / "dump"
    assert main([*small.arguments, "--dump", str(dump)]) == 0
    before = small.model.read_bytes()
    fed = ["--input", str(dump / "0000-data-data.caffe.npy"), "--overwrite"]
    assert main([*small.arguments, *fed, "--dump", str(dump)]) == 2
    assert main([*small.arguments, "--report", str(small.model), "--overwrite"]) == 2
    inside = ["--dump", str(dump), "--report", str(dump / "report.html"), "--overwrite"]
    assert main([*small.arguments, *inside]) == 2
    same = ["--dump", str(tmp_path / "same"), "--report", str(tmp_path / "same")]
    assert main([*small.arguments, *same]) == 2
    assert small.model.read_bytes() == before
    assert (dump / "index.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"dump"}


def test_net_without_weights(
    small: Files, tmp_path: Path, caffe: Caffe, capsys: pytest.CaptureFixture[str]
) -> None:
    text = data(2, 3, 5, 4) + layer("TanH", "data", "y")
    files = Files.make(tmp_path, text)
    command = ["verify", str(files.net), str(files.model)]
    assert main(command) == 0
    assert main([*command, "--mode", "isolated", "-q"]) == 0
    capsys.readouterr()
    assert main(["verify", str(small.net), str(small.model)]) == 2
    words = "'block/conv' (Convolution, line 2) has weights: name their file"
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("at", range(4))
def test_options_between_the_files(
    small: Files, caffe: Caffe, at: int, capsys: pytest.CaptureFixture[str]
) -> None:
    files = small.arguments[1:]
    assert main(["verify", *files[:at], "-q", "--mode", "isolated", *files[at:]]) == 0
    assert capsys.readouterr().out.startswith("EQUAL")


@pytest.mark.parametrize(
    "more",
    [
        ["--rtol", "-1"],
        ["--samples", "0"],
        ["--samples", "1" + "0" * 9],
        ["--samples", "1" + "0" * 30],
        ["--seed", "-1"],
        ["--input", "nowhere.npy"],
        ["--input", "."],
        ["--dump", "no/such/dir"],
    ],
    ids=" ".join,
)
def test_bad_usage(small: Files, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*small.arguments, *more]) == 2
    message = capsys.readouterr().err
    assert more[0] in message or more[1] in message
    assert "internal error" not in message


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("/nowhere/python", "is no program that can be run"),
        (sys.executable, "cannot run Caffe: ModuleNotFoundError"),
        ("/bin/echo", "cannot run Caffe: it says"),
    ],
)
def test_caffe_is_not_there(
    small: Files, python: str, words: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("CAFFE_PYTHON", python)
    assert main(small.arguments) == 2
    message = capsys.readouterr().err
    assert words in message and "--backend opencv" in message
    assert "Traceback" not in message and message.count("\n") == 1
    pytest.importorskip("cv2")
    assert main([*small.arguments, "--backend", "opencv"]) == 0
