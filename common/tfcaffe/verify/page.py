"""A report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import Template

from tfcaffe.verify import text
from tfcaffe.verify.report import BlobReport, Report

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>verify: $title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; width: 100%; }
th, td { border-bottom: 1px solid #ddd; padding: .25em .6em; text-align: left; }
td.number, th.number { font-variant-numeric: tabular-nums; text-align: right; }
.different { background: #fde2e1; }
.unproven { background: #fdf3d0; }
.equal .status { color: #1a7f37; }
pre { white-space: pre-wrap; }
</style>
</head>
<body>
<h1>$title</h1>
<pre>$summary</pre>
<h2>Blobs, in the net's order</h2>
$blobs
<h2>Outputs</h2>
$outputs
<h2>Not compared</h2>
$skipped
<h2>Notes</h2>
<ul>$notes</ul>
</body>
</html>
""")
_NUMBERS = ("largest", "mean", "scale")
_BLOB_HEAD = ("layer", "type", "blob", "shape", *_NUMBERS, "status", "note")


def page(report: Report) -> str:
    """The whole page. Every name in it is escaped."""
    skipped = [(s.layer, s.type, s.blob, s.reason) for s in report.not_compared]
    html = _PAGE.substitute(
        title=escape(text.verdict(report)),
        summary=escape(text.summary(report)),
        blobs=_blobs(report.blobs),
        outputs=_blobs(report.outputs),
        skipped=_table(("layer", "type", "blob", "reason"), ((row, "") for row in skipped)),
        notes="".join(f"<li>{escape(note)}</li>" for note in report.notes),
    )
    return html.encode("utf-8", "replace").decode()  # a name that is no UTF-8 stays readable


def _blobs(blobs: Iterable[BlobReport]) -> str:
    return _table(_BLOB_HEAD, ((_cells(blob), blob.status) for blob in blobs))


def _cells(blob: BlobReport) -> tuple[str, ...]:
    sizes = "×".join(map(str, blob.shape))
    numbers = [text.number(value) for value in (blob.max, blob.mean, blob.scale)]
    return (blob.layer, blob.type, blob.blob, sizes, *numbers, blob.status, blob.note)


def _table(head: Sequence[str], rows: Iterable[tuple[Sequence[str], str]]) -> str:
    lines = [_row("th", head, head, "")]
    lines += [_row("td", head, cells, kind) for cells, kind in rows]
    return f"<table>\n{''.join(lines)}</table>" if len(lines) > 1 else "<p>none</p>"


def _row(tag: str, head: Sequence[str], cells: Sequence[str], kind: str) -> str:
    columns = "".join(
        f'<{tag} class="{"number" if name in _NUMBERS else name}">{escape(cell)}</{tag}>'
        for name, cell in zip(head, cells, strict=True)
    )
    return f'<tr class="{kind}">{columns}</tr>\n'
