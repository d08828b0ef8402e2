"""Ops and Keras layers of one's own; the plugin is the guide's, word for word."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tf2caffe.convert import convert
from tfcaffe import tables
from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.oracle.pycaffe import Caffe
from whole import assert_equal, written

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "networks.md"
LAYER = """
from tf2caffe.ops import keras_layer

@keras_layer("Doubled")
def doubled(site):
    return site.power(site.value(), scale=site.attrs["layer"].factor)
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a plugin registers is not there for other tests."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("tfcaffe_plugin_"):
            tables.forget(name)
            del sys.modules[name]


def plugin(folder: Path, text: str) -> Path:
    path = folder / "own.py"
    path.write_text(text, encoding="utf-8")
    return path


def signs() -> Any:
    import keras

    x = keras.Input((5, 4, 3), name="x")
    return keras.Model(x, keras.ops.sign(keras.layers.Conv2D(2, 3, name="conv")(x)))


def test_the_guides_op(tmp_path: Path, caffe: Caffe) -> None:
    model = signs()
    with pytest.raises(UnsupportedError, match="Sign"):
        convert(model, tmp_path / "net")
    text = GUIDE.read_text(encoding="utf-8").split("```python\n")[-1].split("```")[0]
    convert(model, tmp_path / "net", plugin=[plugin(tmp_path, text)])
    net = tmp_path / "net.prototxt"
    image = np.random.default_rng(3).standard_normal((1, 3, 5, 4)).astype(np.float32)
    run = caffe.run(net, net.with_suffix(".caffemodel"), {"x": image})
    wanted = model(image.transpose(0, 2, 3, 1)).numpy().transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(run.layers[-1].arrays[0], wanted)
    assert set(np.unique(wanted)) == {-1, 1}


def test_a_keras_layer(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    from tfcaffe.plugins import load_plugins
    from whole import compared

    class Doubled(keras.layers.Layer):
        factor = 2.0

        def call(self, x: Any) -> Any:
            return x * self.factor

    load_plugins([plugin(tmp_path, LAYER)])
    x = keras.Input((5, 4, 3), name="x")
    model = keras.Model(x, Doubled(name="twice")(x))
    net = written(model, tmp_path)
    assert net.types == ["Input", "Power"]
    assert_equal(compared(model, net, caffe), ["twice"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "return 1 / 0",
            "the rule of the plugin own.py fails: ZeroDivisionError: division by zero",
        ),
        ("return None", "the rule of the plugin own.py fails: TypeError: .*"),
        (
            "return site.value(0).blob.raw",
            r"its value would be .*: this is a fault of the plugin own.py",
        ),
        ("raise site.refusal('not now')", "not now"),
    ],
)
def test_a_rule_that_fails(body: str, words: str, tmp_path: Path) -> None:
    text = f"from tf2caffe.ops import op\n@op('Sign')\ndef sign(site):\n    {body}\n"
    with pytest.raises(UnsupportedError, match=rf"\(Sign, layer 'sign.*'\): {words}$"):
        convert(signs(), tmp_path / "net", plugin=[plugin(tmp_path, text)])


def test_an_op_twice(tmp_path: Path) -> None:
    own = plugin(tmp_path, "from tf2caffe.ops import op\n@op('Relu')\ndef relu(site): ...\n")
    with pytest.raises(UsageError, match="Relu is registered twice"):
        convert(signs(), tmp_path / "net", plugin=[own])
