"""Changing one entry: every other byte of the file stays as it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from tfcaffe.errors import ConversionError, UsageError
from tfcaffe.mapping.edit import ignore, quoted, set_entries
from tfcaffe.mapping.mapping_file import load_mapping

FILE = """\
# Mine.
mapping: 1   # the format
net: "ü <-> ß"

layers:
  conv1: {weights: a/w,  bias: a/b}   # first
  'conv{n:int}':

    weights: 'c{n}/w'   # all others
    bias:    c{n}/b
  fc:
    weights:
      variable: fc/w     # odd
      layout: OI

# the end
ignore: {variables: [global_step]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_bytes(FILE.encode())
    return path


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("conv1.weights", "x/w", "a/w", "x/w"),
        ("conv1.bias", "{constant: 0}", "a/b", "{constant: 0}"),
        ("conv1.bias", "a b: c", "a/b", "'a b: c'"),
        ("conv1.bias", "a{b}", "a/b", "'a{{b}}'"),
        ("conv1.gamma", "g", "bias: a/b}", "bias: a/b, gamma: g}"),
        ("fc.bias", "fc/b", "layout: OI\n", "layout: OI\n    bias: fc/b\n"),
        (
            "fc.weights",
            "fc/v",
            "variable: fc/w     # odd\n      layout: OI",
            "fc/v",
        ),
        (
            "conv7.bias",
            "z",
            "      layout: OI\n",
            "      layout: OI\n  conv7: {weights: c7/w, bias: z}\n",
        ),
        (
            "pool/1x1.weights",
            "p",
            "      layout: OI\n",
            "      layout: OI\n  pool/1x1: {weights: p}\n",
        ),
        ("a.b.weights", "p", "      layout: OI\n", "      layout: OI\n  a.b: {weights: p}\n"),
    ],
)
def test_one_entry_changes(file: Path, key: str, value: str, old: str, new: str) -> None:
    set_entries(file, {key: value})
    assert FILE.count(old) == 1
    assert file.read_bytes().decode() == FILE.replace(old, new)
    load_mapping(file)


def test_several_entries(file: Path) -> None:
    mapping = set_entries(file, {"conv1.weights": "x", "fc.bias": "y"})
    roles = {rule.key.text: rule.roles for rule in mapping.rules}
    assert roles["conv1"]["weights"].variables[0].text == "x"
    assert roles["fc"]["bias"].variables[0].text == "y"


def test_other_line_ends_stay(file: Path) -> None:
    file.write_bytes(FILE.replace("\n", "\r\n").encode())
    set_entries(file, {"fc.bias": "fc/b"})
    wanted = FILE.replace("layout: OI\n", "layout: OI\n    bias: fc/b\n").replace("\n", "\r\n")
    assert file.read_bytes().decode() == wanted


def test_a_file_without_a_last_newline(file: Path) -> None:
    file.write_text("mapping: 1\nlayers:\n  a: {weights: w}")
    set_entries(file, {"b.weights": "v"})
    assert file.read_text() == "mapping: 1\nlayers:\n  a: {weights: w}\n  b: {weights: v}\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ignore: {variables: [a]}\n", "ignore: {variables: [a, '**/x']}\n"),
        ("ignore: {variables: []}\n", "ignore: {variables: ['**/x']}\n"),
        ("ignore: {variables: [a,]}\n", "ignore: {variables: [a, '**/x',]}\n"),
        (
            "ignore:\n  variables: [\n    a,  # b\n    c  # d\n  ]\n",
            "ignore:\n  variables: [\n    a,  # b\n    c, '**/x'  # d\n  ]\n",
        ),
        (
            "ignore:\n  variables:\n    - a  # b\n    - c\n",
            "ignore:\n  variables:\n    - a  # b\n    - c\n    - '**/x'\n",
        ),
        ("ignore:\n  blobs: [a]\n", "ignore:\n  blobs: [a]\n  variables: ['**/x']\n"),
        ("", "ignore:\n  variables: ['**/x']\n"),
        ("ignore: {variables: ['**/x']}\n", "ignore: {variables: ['**/x']}\n"),
    ],
)
def test_ignoring(file: Path, text: str, wanted: str) -> None:
    head = "mapping: 1\nlayers: {a: {weights: w}}\n"
    file.write_text(head + text)
    mapping = ignore(file, "**/x")
    assert file.read_text() == head + wanted
    assert "**/x" in [item.glob for item in mapping.variables]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("weights", "x", "LAYER.ROLE"),
        (".weights", "x", "LAYER.ROLE"),
        ("conv1.weights", "{variabel: x}", "did you mean 'variable'"),
        ("conv1.weights", "{variable: [}", "no valid YAML"),
        ("conv1.weights", "{variable: x}, evil: {y: z}", "no valid YAML|no key|role|quoted"),
    ],
)
def test_a_change_that_would_be_wrong_changes_nothing(
    file: Path, key: str, value: str, words: str
) -> None:
    with pytest.raises(ConversionError, match=words):
        set_entries(file, {key: value})
    assert file.read_bytes().decode() == FILE


@pytest.mark.parametrize(
    "value",
    [
        "{variable: 'w{n}', layout: OI}",
        "{variable: 'w{n}', minus: 'x{n}', epsilon: 0.001}",
        "{variable: 'w{n}', flatten: [C=2, H=3, W=4], reverse: [I]}",
        "{variable: 'w{n}', rearrange: 'i o -> o i'}",
        "{variable: 'w{n}', part: input, gates: ijfo, forget_bias: 0.1}",
        "{concat: ['v{n}', 'w, {n}'], along: O}",
        "{constant: 0.1}",
    ],
)
def test_an_entry_of_its_own_says_all_that_the_pattern_said(file: Path, value: str) -> None:
    file.write_text(f"mapping: 1\nlayers:\n  'a{{n}}': {{weights: {value}, bias: 'b{{n}}'}}\n")
    mine = next(rule for rule in set_entries(file, {"a1.bias": "x"}).rules if rule.key.text == "a1")
    file.write_text(f"mapping: 1\nlayers: {{a1: {{weights: {value.replace('{n}', '1')}}}}}\n")
    wanted = load_mapping(file).rules[0].roles["weights"]
    found = mine.roles["weights"]
    assert [str(t.text) for t in found.variables] == [str(t.text) for t in wanted.variables]
    assert (found.minus and found.minus.text) == (wanted.minus and wanted.minus.text)
    same = {"place": wanted.place, "variables": wanted.variables, "minus": wanted.minus}
    assert replace(found, **same) == wanted
    assert mine.roles["bias"].variables[0].text == "x"


def test_an_exact_entry_of_the_extended_file_hides_its_patterns(file: Path) -> None:
    child = file.with_name("child.yaml")
    child.write_text("mapping: 1\nextends: m.yaml\n")
    set_entries(child, {"conv1.bias": "q"})
    wanted = "mapping: 1\nextends: m.yaml\nlayers:\n  conv1: {weights: a/w, bias: q}\n"
    assert child.read_text() == wanted


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{b: {bias: x},}", "{b: {bias: x}, a: {weights: new},}"),
        ("{\n  b: {bias: x}  # last\n  }", "{\n  b: {bias: x}, a: {weights: new}  # last\n  }"),
        ("{}", "{a: {weights: new}}"),
        ("\n  a:\n    weights: |-\n      w\n    bias: b", "\n  a:\n    weights: new\n    bias: b"),
        ("\n  a:\n    bias: b\n    weights: >-\n      w", "\n  a:\n    bias: b\n    weights: new"),
        ("\n  a:\n    weights:\n    bias: b", "\n  a:\n    weights: new\n    bias: b"),
    ],
)
def test_other_styles(file: Path, old: str, new: str) -> None:
    file.write_text(f"mapping: 1\nlayers: {old}\nnet: n\n")
    set_entries(file, {"a.weights": "new"})
    assert file.read_text() == f"mapping: 1\nlayers: {new}\nnet: n\n"


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such mapping file"):
        set_entries(tmp_path / "none.yaml", {"a.b": "c"})


@pytest.mark.parametrize(
    "name",
    ["a", "a b", "it's", "{x}", "*", "a: b", "#", "é", "\n", "-", "", "1_1", "a,b", "[", "\u2028"],
)
def test_every_name_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    from tfcaffe.mapping.document import Section, Text, parse

    for text in (f"a: {quoted(name)}\n", f"a: {{b: {quoted(name)}}}\n"):
        node = parse(text, "m.yaml").get("a")
        node = node.get("b") if isinstance(node, Section) else node
        assert isinstance(node, Text) and node.value == name
