"""docs/mappings.md is true: its commands run as written and print what it shows, its files are
those of examples/mappings, and real Caffe computes what the TensorFlow side does."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from mapped import strings
from tfcaffe.mapping import shipped
from tfcaffe.mapping.mapping_file import load_mapping
from tfcaffe.oracle.pycaffe import Caffe, find_caffe

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "mappings"
GUIDE = (ROOT / "docs" / "mappings.md").read_text(encoding="utf-8")
SECTIONS = {
    text.partition(" ")[0].rstrip("."): text for text in re.split(r"^## ", GUIDE, flags=re.M)[1:4]
}
NETS = {"1": "plain", "2": "blocks", "3": "forked"}
PROGRAMS = {"python": [], "tf2caffe": ["-m", "tf2caffe"], "caffe2tf": ["-m", "caffe2tf"]}


@pytest.fixture(scope="module", params=NETS, ids=NETS.values())
def followed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples in which a section's commands were run, one by one."""
    if find_caffe() is None:
        pytest.skip("real Caffe is not installed (make pycaffe, or CAFFE_PYTHON)")
    folder = tmp_path_factory.mktemp("guide") / NETS[request.param]
    shutil.copytree(EXAMPLES, folder)
    seen = 0
    for command, code, shown in commands(SECTIONS[request.param]):
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [sys.executable, *PROGRAMS[program], *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        assert matches(done.stdout, shown), f"{command}\n{done.stdout}\nis not\n{shown}"
        if program != "python":  # Python is the user's own, and TensorFlow talks
            said = done.stderr.splitlines()
            assert all(line.startswith(f"{program}: note: ") for line in said), done.stderr
        seen += 1
    assert seen >= 5
    return folder


def commands(section: str) -> Iterator[tuple[str, int, str]]:
    """Every command of a section, its exit code, and what it prints."""
    for block in re.findall(r"^```console\n(.*?)^```$", section, re.M | re.S):
        for text in re.split(r"^\$ ", block, flags=re.M)[1:]:
            line, _, shown = text.partition("\n")
            command, _, code = line.partition("  # exit ")
            yield command, int(code or 0), shown


def matches(printed: str, shown: str) -> bool:
    """Whether it is what is shown, where `...` stands for anything."""
    trimmed = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    parts = (re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(".*".join(parts), trimmed, re.S) is not None


def test_dots_stand_for_anything() -> None:
    assert matches("a  \nb 1e-7 c\n\n", "a\nb ... c")
    assert not matches("a\nb\nc", "a\nc")


def test_all_sections_can_be_followed_in_one_folder() -> None:
    lines = [command for section in SECTIONS.values() for command, _, _ in commands(section)]
    made = [word for line in lines for word in re.findall(r" -o (\S+)", line)]
    assert len(made) >= 6 and sorted(set(made)) == sorted(made)


def test_commands_of_a_section() -> None:
    text = "```console\n$ a b  # exit 1\nx\n\ny\n$ c\n```\n```\n$ d\n```\n"
    assert list(commands(text)) == [("a b", 1, "x\n\ny\n"), ("c", 0, "")]


def test_the_files_are_those_shown() -> None:
    for number, name in NETS.items():
        shown = re.findall(r"^```yaml\n(.*?)^```$", SECTIONS[number], re.M | re.S)
        text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
        assert shown == [text.partition("\n")[2]]  # without the line for editors
        (code,) = re.findall(r"^```python\n(.*?)^```$", SECTIONS["3"], re.M | re.S)
        assert code in (EXAMPLES / "scaled_tanh.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NETS.values())
def test_form(name: str) -> None:
    path = EXAMPLES / f"{name}.yaml"
    schema = (shipped.folder() / "mapping.schema.json").read_text(encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(json.loads(schema)).validate(strings(text))
    head = text.partition("$schema=")[2].partition("\n")[0]
    assert (EXAMPLES / head).samefile(shipped.folder() / "mapping.schema.json")
    assert load_mapping(path).rules


def test_every_key_is_explained() -> None:
    schema = json.loads((shipped.folder() / "mapping.schema.json").read_text(encoding="utf-8"))
    reference = GUIDE.partition("\n## The file\n")[2].partition("\n## ")[0]
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", reference))))
    keys = {key for part in _sections(schema) for key in part}
    assert {"mapping", "concat", "must_be"} <= keys
    assert keys <= words


def _sections(node: Any) -> Iterator[dict[str, Any]]:
    """The `properties` of all that a JSON Schema describes."""
    if isinstance(node, dict):
        yield node.get("properties", {})
    if isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _sections(part)


def test_both_sides_agree_in_real_caffe(followed: Path, caffe: Caffe) -> None:
    name = followed.name
    net = followed / f"{name}.prototxt"
    if name == "forked":
        net.write_text(in_stock_layers(net.read_text(encoding="utf-8")), encoding="utf-8")
    image = np.load(followed / "image.npy")
    if name == "blocks":
        image = image[..., ::-1]  # blocks.py reads RGB
    found = caffe.run(
        net,
        followed / f"{name}.caffemodel",
        {"data": np.ascontiguousarray(image.transpose(0, 3, 1, 2))},
    )
    answer = np.load(followed / "answer.npy")
    mine = found.blobs()[found.outputs[0]]
    wanted = answer.reshape(mine.shape)
    assert np.ptp(wanted, axis=0).max() > 1e-2 * np.abs(wanted).max()  # it depends on the image
    assert np.abs(mine - wanted).max() <= 1e-5 * np.abs(wanted).max()


def in_stock_layers(text: str) -> str:
    """ScaledTanh as stock Caffe says it: a TanH, and a Scale of the layer's name."""
    return re.sub(
        r'layer \{ name: "(\w+)" type: "ScaledTanh" (bottom: "\w+") top: "\w+" \}',
        r'layer { name: "\1_tanh" type: "TanH" \2 top: "\1_tanh" } '
        r'layer { name: "\1" type: "Scale" bottom: "\1_tanh" top: "\1" }',
        text,
    )
