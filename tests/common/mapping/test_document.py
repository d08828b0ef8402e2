"""Mapping files as text: what YAML may hold here, and where an error is said to be."""

from pathlib import Path

import pytest

from tfcaffe.errors import FileFormatError, MappingError, UsageError
from tfcaffe.mapping.document import Section, Text, parse, read_text


def test_every_scalar_is_the_string_that_was_written() -> None:
    root = parse("a: 1_1\nb: no\nc: 12:30\nd: 0.10\ne: ~\nf: 'x'\ng:\n", "f.yaml")
    values = [node.value for _, node in root.items if isinstance(node, Text)]
    assert values == ["1_1", "no", "12:30", "0.10", "~", "x", ""]


def test_places_count_characters_also_beyond_ascii() -> None:
    text = "é: {ü: wörter}\nz: end\n"
    root = parse(text, "f.yaml")
    inner = root.items[0][1]
    assert isinstance(inner, Section) and inner.flow
    value = inner.items[0][1]
    assert text[value.place.start : value.place.end] == "wörter"
    assert str(root.items[1][1].place) == "f.yaml:2:4"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: &x 1\nb: *x\n", 1, "anchors and aliases"),
        ("a: &a [*a]\n", 1, "anchors and aliases"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tag"),
        ("a: !x y\n", 1, "tag"),
        ("a: 1\n<<: {b: 2}\n", 2, "merge keys"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\nb: 2\na: 3\n", 3, "line 1 already"),
        ("? [a, b]\n: c\n", 1, "a key must be a name"),
        ("- a\n- b\n", 1, "keys at its top"),
        ("a: [1, 2\nb: 3\n", 2, "no valid YAML"),
        ("a: \t- x\n", 1, "no valid YAML"),
        ("a: *.w\n", 1, "stars.* are quoted"),
        ("{n}: w\n", 1, "quote names with braces"),
        ("a: " + "[" * 30 + "]" * 30, 1, "nested deeper"),
        ("a: " + "[" * 100_000, 1, "nested deeper"),
        ("a: \x00\n", None, "no valid YAML"),
        ("", None, "is empty"),
        ("# nothing\n", None, "is empty"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(
    text: str, line: int | None, words: str
) -> None:
    with pytest.raises(MappingError, match=words) as caught:
        parse(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml:" if line is None else f"f.yaml:{line}:")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such mapping file"):
        read_text(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(FileFormatError, match="UTF-8"):
        read_text(binary)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_text(tmp_path)
