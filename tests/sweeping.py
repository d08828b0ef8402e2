"""A sweep over many nets, each in a process of its own; one that was stopped goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def sweep(
    program: str, results: Path, names: Iterable[str], *, again: bool = False
) -> list[Result]:
    """Run `program --one NAME` for what has no result yet; all results in order.

    The program writes its result as JSON in its last line.
    """
    results.parent.mkdir(exist_ok=True)
    if again:
        results.unlink(missing_ok=True)
    known = {result["name"]: result for result in _read(results)}
    found = []
    for name in names:
        if name not in known:
            known[name] = _apart(program, name)
            line = json.dumps(known[name])
            with results.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            print(line, flush=True)
        found.append(known[name])
    return found


def _read(results: Path) -> list[Result]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def _apart(program: str, name: str) -> Result:
    """In a process of its own, for the sake of memory."""
    began = time.monotonic()
    command = [sys.executable, program, "--one", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    result: Result
    try:
        result = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        words = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        result = {"status": "failed", "reason": words[0]}
    return {"name": name, "seconds": round(time.monotonic() - began, 1), **result}
