"""A worker process that answers one JSON line for each JSON line, and may crash doing so."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfcaffe.errors import RuntimeMissingError
from tfcaffe.oracle import OracleError

START_SECONDS = 120.0


def last_words(stderr: str) -> str:
    """The end of what a process wrote before it died."""
    return "\n".join(stderr.strip().splitlines()[-5:])


class Worker:
    """A child process, started at the first job and again after a crash.

    Args:
        title: what the process runs, for messages ("Caffe").
        command: the program and its arguments.
        environment: additions to this process's environment.
        explain: picks the reason out of the stderr of a process that died.
    """

    def __init__(
        self,
        title: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        explain: Callable[[str], str] = last_words,
    ) -> None:
        self._title = title
        self._command = list(command)
        self._environment = dict(environment)
        self._explain = explain
        self._process: subprocess.Popen[str] | None = None
        self._hello: dict[str, Any] = {}
        # Unbuffered, since the child writes it; both share one file position.
        self._stderr = tempfile.TemporaryFile("w+b", buffering=0)  # noqa: SIM115 (see close)

    def hello(self) -> dict[str, Any]:
        """What the process said when it started: its version and the like.

        Raises:
            RuntimeMissingError: it cannot be started, or lacks what it needs.
        """
        self._start()
        return self._hello

    def ask(self, job: Mapping[str, Any], subject: str, timeout: float) -> dict[str, Any]:
        """Sends a job and waits for its answer, at most `timeout` seconds.

        Raises:
            OracleError: the job failed, the process died on it or took too long; `subject`
                says what the job was about.
            RuntimeMissingError: the process cannot be started.
        """
        process = self._start()
        answer = self._exchange(process, json.dumps(job), timeout)
        if answer is None:
            raise OracleError(f"{self._title} took longer than {timeout:g} s on {subject}")
        if not answer:
            raise OracleError(f"{self._title} died on {subject}: {self._cause(process)}")
        reply: dict[str, Any] = json.loads(answer)
        if "error" in reply:
            words = "\n".join(filter(None, [reply["error"], self._words()]))
            raise OracleError(f"{self._title} failed on {subject}: {words}")
        return reply

    def close(self) -> None:
        """Ends the process."""
        self._stop()
        self._stderr.close()

    def _start(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, **self._environment},
                encoding="utf-8",
            )
        except OSError as error:
            raise RuntimeMissingError(f"cannot start {self._command[0]}: {error}") from error
        self._process = process
        answer = self._exchange(process, None, START_SECONDS) or ""
        try:
            self._hello = json.loads(answer)
        except ValueError:  # it died, or is another program
            reason = self._cause(process).splitlines()[-1:] or [f"it says {answer.strip()!r}"]
            self._stop()
            raise RuntimeMissingError(
                f"{self._command[0]} cannot run {self._title}: {reason[0]}"
            ) from None
        return process

    def _exchange(
        self, process: subprocess.Popen[str], line: str | None, timeout: float
    ) -> str | None:
        """The answer line; empty if the process died, None if it was killed for being slow."""
        assert process.stdin is not None and process.stdout is not None
        slow = threading.Event()

        def kill() -> None:
            slow.set()
            process.kill()

        self._stderr.seek(0)
        self._stderr.truncate()
        timer = threading.Timer(timeout, kill)
        timer.daemon = True
        timer.start()
        answer = ""
        try:
            if line is not None:
                process.stdin.write(line + "\n")
                process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            pass  # it died before the job reached it: the empty answer says so
        finally:
            timer.cancel()
            whole = answer.endswith("\n")
            if not whole:  # it died, was killed, or this process was interrupted
                self._stop()
        if whole:
            return answer
        return None if slow.is_set() else ""

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.kill()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # what was buffered for it has no reader
            process.stdin.close()

    def _cause(self, process: subprocess.Popen[str]) -> str:
        words = self._words()
        code = process.returncode
        if words or code is None:
            return words
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _words(self) -> str:
        """What the process has said on stderr since the job began."""
        self._stderr.seek(0)
        return self._explain(self._stderr.read().decode("utf-8", errors="replace"))
