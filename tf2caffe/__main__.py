"""The console script `tf2caffe`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tf2caffe import command
from tfcaffe import cli
from tfcaffe.commands import SHARED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; gives the exit code."""
    summary = "TensorFlow's numbers become Caffe models that compute the same function."
    return cli.main("tf2caffe", summary, [command, *SHARED], arguments)


if __name__ == "__main__":
    sys.exit(main())
