"""The console script `tf2caffe`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tfcaffe import cli
from tfcaffe.commands import SHARED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; gives the exit code."""
    summary = "TensorFlow networks become Caffe ones (its convert command is not written yet)."
    return cli.main("tf2caffe", summary, SHARED, arguments)


if __name__ == "__main__":
    sys.exit(main())
