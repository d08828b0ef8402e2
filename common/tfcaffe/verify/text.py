"""A report for people, in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfcaffe.terminal import printable
from tfcaffe.verify.report import BlobReport, Report

_HEAD = ("layer", "type", "blob", "shape", "largest", "mean", "")
_RIGHT = (4, 5)
_SHOWN = 5  # blobs that are named, of those left out for one reason


def table(report: Report) -> str:
    """One line per blob, in the net's order."""
    rows = [_HEAD, *(_row(blob) for blob in report.blobs)]
    rows += [_row(output, " (output)") for output in report.outputs if output not in report.blobs]
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    return "\n".join(_line(row, widths) for row in rows)


def summary(report: Report) -> str:
    """What was compared, the first and the worst difference, and what is unproven."""
    counts = report.counts
    lines = [
        f"{report.mode}, {report.backend}, {_inputs(report)}: {counts['equal']} blobs equal, "
        f"{counts['different']} different, {counts['unproven']} unproven, "
        f"{counts['not_compared']} not compared"
    ]
    first, worst = report.first_difference, report.worst
    if first is not None:
        lines.append(f"first to depart: {described(first)}")
    if worst is not None and worst is not first:
        lines.append(f"largest difference: {described(worst)}")
    lines += [f"unproven: {_named(blob)}: {blob.note}" for blob in report.unproven]
    noted = (b for b in (*report.blobs, *report.outputs) if b.status == "equal" and b.note)
    lines += list(dict.fromkeys(f"{_named(blob)}: {blob.note}" for blob in noted))
    return "\n".join(lines)


def verdict(report: Report) -> str:
    """The answer in one line."""
    if report.verdict == "different":
        return f"DIFFERENT: more than {report.rtol:g} of a blob's scale"
    if report.verdict == "unproven":
        names = ", ".join(repr(b.blob) for b in report.outputs if b.status != "equal")
        return f"UNPROVEN: nothing differs, but the output {names} proves nothing"
    return f"EQUAL: every blob within {report.rtol:g} of its scale, every output proven"


def not_compared(report: Report, everything: bool = False) -> str:
    """The blobs that were left out, a line for each reason; `everything` names them all."""
    by_reason: dict[str, list[str]] = {}
    for skipped in report.not_compared:
        by_reason.setdefault(skipped.reason, []).append(f"{skipped.blob!r} of {skipped.layer!r}")
    lines = []
    for reason, names in by_reason.items():
        shown = names if everything else names[:_SHOWN]
        more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
        lines.append(f"not compared: {', '.join(shown)}{more}: {reason}")
    return "\n".join(lines)


def described(blob: BlobReport) -> str:
    """A blob with its difference."""
    note = f" ({blob.note})" if blob.note else ""
    return f"{_named(blob)}: {number(blob.max)} of its scale {number(blob.scale)}{note}"


def number(value: float) -> str:
    """Two digits, or `inf`."""
    return f"{value:.2g}" if math.isfinite(value) else "inf"


def _named(blob: BlobReport) -> str:
    return f"blob {blob.blob!r} of layer {blob.layer!r} ({blob.type})"


def _row(blob: BlobReport, what: str = "") -> tuple[str, ...]:
    status = "" if blob.status == "equal" else blob.status
    sizes = "×".join(map(str, blob.shape))
    numbers = number(blob.max), number(blob.mean)
    return (blob.layer, blob.type, blob.blob + what, sizes, *numbers, status)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.rjust(width) if i in _RIGHT else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _inputs(report: Report) -> str:
    shapes = (
        f"{printable(name)} {'×'.join(map(str, shape))}" for name, shape in report.inputs.items()
    )
    return "fed " + ", ".join(shapes)
