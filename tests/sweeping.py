"""A sweep over many nets, each in a process of its own; one that was stopped goes on."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus import NO_CORPUS, REPOSITORY

OUT = REPOSITORY / "out"
Result = dict[str, Any]


def _no_facts(_: str) -> Result:
    return {}


@dataclass(frozen=True)
class Sweep:
    """What is swept, and what becomes of it.

    Args:
        program: the file that calls `main`: `program --one NAME` is one net.
        stem: of `out/STEM.jsonl`, where results go as they come, and `out/STEM.md`, the table.
        names: all nets, in order.
        one: a net's result, by its name and a folder for its files.
        table: the results in Markdown.
        needs: a folder without which there is nothing to sweep.
        good: the statuses of nets that are right; left out, the sweep judges nothing.
        key: what a result has the name under.
        facts: what a result has besides, of a name.
        alone: whether a net fills the memory; left out, all do. The others run at the same time.
        line: a result, to be shown when it comes.
    """

    program: str
    stem: str
    names: Callable[[], Iterable[str]]
    one: Callable[[str, Path], Result]
    table: Callable[[list[Result]], str]
    needs: Path | None = None
    good: Collection[str] | None = None
    key: str = "name"
    facts: Callable[[str], Result] = _no_facts
    alone: Callable[[str], bool] | None = None
    line: Callable[[Result], str] = json.dumps

    def main(self, description: str | None) -> int:
        """Sweep, or one net where `--one` names it; 1 if one is not right."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--again", action="store_true", help="forget earlier results")
        parser.add_argument("--only", default="", metavar="TEXT", help="nets with this in the name")
        parser.add_argument("--one", help=argparse.SUPPRESS)
        options = parser.parse_args()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["KERAS_BACKEND"] = "tensorflow"
        if options.one:
            with tempfile.TemporaryDirectory(prefix=f"tfcaffe-{self.stem}-") as folder:
                print(json.dumps(self.one(options.one, Path(folder))))
            return 0
        if self.needs is not None and not self.needs.is_dir():
            print(NO_CORPUS)
            return 0
        results = self._swept([n for n in self.names() if options.only in n], options.again)
        written = OUT / f"{self.stem}.md"
        written.write_text(self.table(results), encoding="utf-8")
        print(f"wrote {written}")
        return int(self.good is not None and any(r["status"] not in self.good for r in results))

    def _swept(self, names: list[str], again: bool) -> list[Result]:
        """Run what has no result yet; all results in order."""
        file = OUT / f"{self.stem}.jsonl"
        OUT.mkdir(exist_ok=True)
        if again:
            file.unlink(missing_ok=True)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        known = {result[self.key]: result for result in map(json.loads, lines)}
        for result in self._new([name for name in names if name not in known]):
            known[result[self.key]] = result
            with file.open("a", encoding="utf-8") as results:
                results.write(json.dumps(result) + "\n")
            print(self.line(result), flush=True)
        return [known[name] for name in names]

    def _new(self, names: list[str]) -> Iterator[Result]:
        alone = [name for name in names if self.alone is None or self.alone(name)]
        others = [name for name in names if name not in alone]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from itertools.chain(pool.map(self._apart, others), map(self._apart, alone))

    def _apart(self, name: str) -> Result:
        """In a process of its own, for the sake of memory; its last line is the result."""
        began = time.monotonic()
        command = [sys.executable, self.program, "--one", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        result: Result
        try:
            result = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            words = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            result = {"status": "failed", "reason": words[0]}
        head = {self.key: name, **self.facts(name)}
        return {**head, "seconds": round(time.monotonic() - began, 1), **result}
