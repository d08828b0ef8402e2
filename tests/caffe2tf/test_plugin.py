"""The plugin of examples/, through the command and from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ARGUMENTS = ["--proto", str(EXAMPLES / "plugin.proto"), "--plugin", str(EXAMPLES / "plugin.py")]


def convert(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`caffe2tf convert` in a process of its own: a plugin stays in the process that loads it."""
    command = [sys.executable, "-m", "caffe2tf", "convert", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_example(tmp_path: Path) -> None:
    """The layer computes what it says; the file loads with Keras alone."""
    import keras

    net = str(EXAMPLES / "plugin.prototxt")
    done = convert(net, "-o", "gate.keras", *ARGUMENTS, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    model = keras.saving.load_model(tmp_path / "gate.keras")
    x = np.random.default_rng(0).normal(0, 4, (2, 6, 8, 3)).astype(np.float32)
    gate = np.clip(0.25 * x + 0.5, 0, 1)
    assert 0 < np.mean((gate > 0) & (gate < 1)) < 1  # both ends and the middle occur
    np.testing.assert_allclose(model.predict(x, verbose=0), x * gate, rtol=1e-6, atol=1e-6)
    assert "gate" in {entry.name for entry in model.layers}


def test_without_it(tmp_path: Path) -> None:
    net = str(EXAMPLES / "plugin.prototxt")
    done = convert(net, "-o", "gate.keras", *ARGUMENTS[:2], folder=tmp_path)
    assert done.returncode == 2
    assert "HardSigmoid: 'gate'" in done.stderr and "plugin" in done.stderr
    assert not list(tmp_path.iterdir())


def refused(text: str, folder: Path) -> str:
    """What is said of a plugin with this text."""
    (folder / "bad.py").write_text(text)
    net = str(EXAMPLES / "plugin.prototxt")
    done = convert(net, "-o", "x.keras", "--plugin", "bad.py", folder=folder)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_plugin_that_fails(tmp_path: Path) -> None:
    assert "bad.py: ZeroDivisionError" in refused("1 / 0", tmp_path)


def test_plugin_that_exits(tmp_path: Path) -> None:
    assert "bad.py: SystemExit: 0" in refused("raise SystemExit(0)", tmp_path)


def test_plugin_that_is_no_python(tmp_path: Path) -> None:
    assert "bad.py: SyntaxError" in refused("layer { }", tmp_path)


def test_plugin_that_repeats_a_type(tmp_path: Path) -> None:
    text = "from tfcaffe.layers.base import *\n@register('ReLU')\nclass Again(Family): pass\n"
    assert "ReLU is registered twice" in refused(text, tmp_path)
