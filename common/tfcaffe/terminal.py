"""Text for a terminal: names of layers are free text, and may hold newlines or escape codes."""

from collections.abc import Sequence


def printable(text: str, keep: str = "") -> str:
    """`text` with everything that a terminal does not print written as a Python escape.

    Args:
        keep: characters that stay as they are, such as a message's own newlines.
    """
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def table(rows: Sequence[Sequence[str]], numbers: int = 0) -> str:
    """Rows as lines of aligned columns.

    Args:
        rows: as many cells each; the first row is the heading.
        numbers: how many columns at the end are aligned to the right.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = len(widths) - numbers
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )
