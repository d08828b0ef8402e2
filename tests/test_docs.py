"""What the documents promise is what the code has."""

import re
from pathlib import Path

from caffe2tf import command, formats
from tfcaffe.layers import supported

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_table_of_types_is_the_registry():
    table = (DOCS / "layers.md").read_text(encoding="utf-8").split("## Types")[1]
    listed = re.findall(r"\b[A-Z]\w+", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)))
    assert sorted(listed) == sorted(supported())


def test_help_lists_the_formats() -> None:
    """The command says them again, so that its help is there at once."""
    found = {entry.name: entry.suffix for entry in formats.registry().values()}
    assert found == command.FORMATS
