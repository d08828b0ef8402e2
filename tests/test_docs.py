"""What the documents promise is what the code has."""

import re
from pathlib import Path

from tfcaffe.layers import supported

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_table_of_types_is_the_registry():
    table = (DOCS / "layers.md").read_text(encoding="utf-8").split("## Types")[1]
    listed = re.findall(r"\b[A-Z]\w+", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)))
    assert sorted(listed) == sorted(supported())
