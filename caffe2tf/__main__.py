"""The console script `caffe2tf`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from caffe2tf import command
from tfcaffe import cli
from tfcaffe.commands import SHARED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; gives the exit code."""
    summary = "Caffe networks become TensorFlow ones that compute the same function."
    return cli.main("caffe2tf", summary, [command, *SHARED], arguments)


if __name__ == "__main__":
    sys.exit(main())
