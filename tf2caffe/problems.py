"""What cannot be converted, all at once."""

from __future__ import annotations

from collections.abc import Sequence

_LISTED = 20  # problems that one message names


def told(problems: Sequence[str], what: str = "nodes cannot be said in Caffe's layers") -> str:
    """Several problems as one message."""
    if len(problems) == 1:
        return problems[0]
    shown = "".join(f"\n  {problem}" for problem in problems[:_LISTED])
    more = f"\n  and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    return f"{len(problems)} {what}:{shown}{more}"
