"""A folder with a mapping and what it is about, and commands that run there: the fixture `desk`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from caffe2tf.__main__ import main as caffe2tf
from mapped import ENTRIES, NET, SHAPES
from tf2caffe.__main__ import main as tf2caffe

MAPPING = f"mapping: 1\nnet: ours\nlayers:{ENTRIES}"


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str


class Desk:
    """A folder with a net, variables and a mapping that fits, and commands that run there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, command: str, *more: str, main: Callable[..., int] = tf2caffe) -> Said:
        """A command in words; those with spaces in them as `more`."""
        self._capsys.readouterr()
        try:
            code = main([*command.split(), *more])
        except SystemExit as error:  # argparse
            code = int(str(error.code))
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)

    def back(self, arguments: str) -> Said:
        """`caffe2tf convert net.prototxt net.caffemodel …`."""
        return self(f"convert net.prototxt net.caffemodel {arguments}", main=caffe2tf)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    @property
    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}


FILL = "convert vars.npz --prototxt net.prototxt --mapping map.yaml -o net.caffemodel"
CHECK = "mapping check map.yaml net.prototxt --checkpoint vars.npz"


@pytest.fixture
def desk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rng: np.random.Generator,
) -> Desk:
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path, capsys)
    desk.write("net.prototxt", NET)
    desk.write("map.yaml", MAPPING)
    save(tmp_path / "vars.npz", rng)
    return desk


def save(path: Path, rng: np.random.Generator, **others: tuple[int, ...] | None) -> None:
    """Random variables; `others` changes shapes, or takes variables away."""
    shapes = {**SHAPES, **others}
    arrays = {
        name: np.abs(rng.normal(size=shape)).astype(np.float32)
        for name, shape in shapes.items()
        if shape is not None
    }
    np.savez(path, **arrays)
