"""Users' own layer types: a file of Python that is run once, and whose failures are told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from caffe2tf.site import builders
from oracles import Write
from prototxts import data, layer
from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.layers import registry
from tfcaffe.load import load_net
from tfcaffe.plan import make_plan
from tfcaffe.plugins import load_plugins

DOUBLED = '''
from tfcaffe.layers.base import Family, register

@register("Doubled")
class Doubled(Family):
    """Twice as many columns."""

    def shapes(self, layer, bottoms):
        return [(*bottoms[0][:-1], 2 * bottoms[0][-1])]
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """An empty plugin; the types that it registers go again."""
    known = dict(registry())
    yield tmp_path / "plugin.py"
    registry().clear()
    registry().update(known)


def test_a_type_of_ones_own(plugin: Path, write: Write) -> None:
    plugin.write_text(DOUBLED)
    load_plugins([plugin])
    plan = make_plan(load_net(write(data(2, 3) + layer("Doubled", "data", "y"))))
    assert plan.shapes[1] == ((2, 6),)


def test_a_plugin_runs_once(plugin: Path) -> None:
    plugin.write_text(DOUBLED)
    load_plugins([plugin, plugin])
    load_plugins([plugin])
    assert "Doubled" in registry()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DOUBLED.replace('"Doubled"', '"ReLU"'), "ValueError: layer type ReLU is registered twice"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError: "),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (DOUBLED + "1 / 0", "ZeroDivisionError: division by zero"),
    ],
    ids=["type of ours", "import", "syntax", "error", "exit", "after registering"],
)
def test_its_own_errors_are_told(text: str, message: str, plugin: Path) -> None:
    plugin.write_text(text)
    for _ in range(2):  # a failed plugin is not taken for one that was loaded
        with pytest.raises(UsageError) as error:
            load_plugins([plugin])
        assert str(error.value).startswith(f"--plugin {plugin}: {message}")
        assert "Doubled" not in registry()


def test_a_failed_plugin_leaves_builders_as_they_were(plugin: Path) -> None:
    plugin.write_text(
        "from caffe2tf.site import builds\nfrom tfcaffe.errors import UnsupportedError\n"
        '@builds("Doubled")\ndef doubled(site, bottoms): ...\nraise UnsupportedError("not here")\n'
    )
    for _ in range(2):
        with pytest.raises(UnsupportedError, match=r"^not here$"):
            load_plugins([plugin])
        assert "Doubled" not in builders()


@pytest.mark.parametrize("name", ["nowhere.py", ".", "plugin.txt"])
def test_what_is_no_python_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such Python file"):
        load_plugins([tmp_path / name])
