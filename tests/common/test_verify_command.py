"""The command: exit codes, what it prints, and the files that it writes."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2tf.__main__ import main
from prototxts import layer
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


@pytest.mark.parametrize(
    "more",
    [["--rtol", "-1"], ["--samples", "0"], ["--input", "nowhere.npy"], ["--dump", "no/such/dir"]],
    ids=lambda more: more[0],
)
def test_bad_usage(small: Files, more: list[str]) -> None:
    assert main([*small.arguments, *more]) == 2
