"""Processes of their own for what is measured, and the machine's load meanwhile."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

QUIET = {
    "GLOG_minloglevel": "2",
    "OPENCV_LOG_LEVEL": "ERROR",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
}


def measure(command: Sequence[str], *, silent: bool = False) -> tuple[float, float]:
    """Wall-clock seconds and peak memory (MiB) of a process.

    Args:
        silent: whether what it prints is thrown away.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=os.environ | QUIET,
        stdout=subprocess.DEVNULL if silent else None,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{words}")
    return seconds, usage.ru_maxrss / 1024


def machine() -> str:
    """How many processors there are, and how many others wanted them in the last minute."""
    return f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
