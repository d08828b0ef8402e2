"""The frame of both console scripts: commands, options that all have, errors and exit codes."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tfcaffe.errors import ConversionError
from tfcaffe.progress import Watch, progress_bar, unwatched
from tfcaffe.terminal import printable

DONE, ANSWER_IS_NO, BAD_INPUT = 0, 1, 2
_LAYOUT = "\n\t"  # what a message may hold besides printable characters
_LOGGERS = ("tfcaffe", "caffe2tf", "tf2caffe")


class Console:
    """Where a command speaks: results on stdout, everything else on stderr.

    Args:
        verbosity: -1 with --quiet (results and errors only), 0, or 1 with --verbose.
    """

    def __init__(self, prog: str, verbosity: int) -> None:
        self.prog, self.verbosity = prog, verbosity

    def result(self, text: str) -> None:
        """What the command was asked for."""
        print(text, flush=True)

    def note(self, text: str) -> None:
        """What was decided on the way."""
        if self.verbosity >= 0:
            self._say(f"note: {text}")

    def error(self, text: str) -> None:
        """Why the command failed."""
        self._say(f"error: {text}")

    @contextmanager
    def details(self) -> Iterator[None]:
        """Meanwhile --verbose shows what our packages log."""
        if self.verbosity <= 0:
            yield
            return
        handler = _Handler(self._say)
        loggers = [logging.getLogger(name) for name in _LOGGERS]
        before = [(logger.level, logger.propagate) for logger in loggers]
        for logger in loggers:
            logger.addHandler(handler)
            logger.setLevel(logging.DEBUG)
            logger.propagate = False  # TensorFlow's packages may add a handler at the root
        try:
            yield
        finally:
            for logger, (level, propagate) in zip(loggers, before, strict=True):
                logger.removeHandler(handler)
                logger.setLevel(level)
                logger.propagate = propagate

    @contextmanager
    def progress(self) -> Iterator[Watch]:
        """For long work: a function to tell how far it is, shown where people look on."""
        if self.verbosity < 0 or not sys.stderr.isatty():
            yield unwatched
            return
        with progress_bar() as watch:
            yield watch

    def _say(self, text: str) -> None:
        print(f"{self.prog}: {printable(text, keep=_LAYOUT)}", file=sys.stderr)


class _Handler(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


def main(
    prog: str, summary: str, commands: Sequence[ModuleType], arguments: Sequence[str] | None = None
) -> int:
    """Run a console script and give its exit code.

    Args:
        commands: modules with NAME, SUMMARY, EXAMPLE, `add_arguments(parser)` and
            `run(options, console) -> exit code`.

    The code is 0 for done, 1 where the work was done and the answer is no, and 2 for bad usage
    or input or for a defect of ours, with one message on stderr and no traceback (`--debug` shows
    it).
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that the terminal lacks is no failure
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser(prog, summary, commands).parse_args(arguments)
    console = Console(prog, options.verbosity)
    try:
        with console.details():
            return int(options.run(options, console))
    except ConversionError as error:
        if options.debug:
            raise
        console.error(str(error))
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; nothing was written", file=sys.stderr)
        return 130
    except Exception as error:  # a defect of ours: 1 would say that the answer is no
        if options.debug:
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        console.error(f"internal error: {what}; --debug shows where; please report it")
        return BAD_INPUT


class _CommandParser(argparse.ArgumentParser):
    """Takes options between a command's files, even where one of these may be left out."""

    _within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._within or self._subparsers:  # argparse's own mixing comes back here, twice
            return super().parse_known_args(args, namespace)
        self._within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._within = False


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes longer than most of the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"{parser.prog} {version('tfcaffe')}")
        except PackageNotFoundError:
            print(f"{parser.prog} (not installed)")
        parser.exit()


def _parser(prog: str, summary: str, commands: Sequence[ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=summary, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    _add(parser, prog, commands)
    return parser


def _add(parser: argparse.ArgumentParser, prog: str, commands: Sequence[ModuleType]) -> None:
    """Commands below a parser; one with COMMANDS is a group of others."""
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    for command in commands:
        sub = subparsers.add_parser(
            command.NAME,
            help=command.SUMMARY,
            description=command.SUMMARY,
            epilog="example:\n" + "\n".join(f"  {prog} {line}" for line in command.EXAMPLE),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if hasattr(command, "COMMANDS"):
            _add(sub, prog, command.COMMANDS)
        else:
            command.add_arguments(sub)
            _add_common(sub)
            sub.set_defaults(run=command.run)


def _add_common(parser: argparse.ArgumentParser) -> None:
    """What every command takes."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "-v",
        "--verbose",
        dest="verbosity",
        action="store_const",
        const=1,
        default=0,
        help="say more on stderr",
    )
    group.add_argument(
        "-q",
        "--quiet",
        dest="verbosity",
        action="store_const",
        const=-1,
        help="results and errors only",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
