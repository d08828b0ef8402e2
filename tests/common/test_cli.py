"""Both console scripts: exit codes, help, how errors are told, and readers that go away."""

import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import caffe2tf.__main__ as caffe2tf_script
import tf2caffe.__main__ as tf2caffe_script
from mapped import ENTRIES, NET, SHAPES
from oracles import Write
from prototxts import data, layer
from tfcaffe import cli
from tfcaffe.errors import NetError

SCRIPTS = {"caffe2tf": caffe2tf_script.main, "tf2caffe": tf2caffe_script.main}
COMMANDS = [("caffe2tf", "convert"), ("caffe2tf", "inspect"), ("tf2caffe", "inspect")]
GOOD = data(1, 2) + layer("ReLU", "data", "y")
each_script = pytest.mark.parametrize("script", SCRIPTS)


def fake(action: Callable[[cli.Console], int]) -> SimpleNamespace:
    """A command of the frame's own tests."""
    return SimpleNamespace(
        NAME="act",
        SUMMARY="act",
        EXAMPLE=("act",),
        add_arguments=lambda parser: None,
        run=lambda options, console: action(console),
    )


def act(action: Callable[[cli.Console], int], *arguments: str) -> int:
    return cli.main("tool", "A tool.", [fake(action)], ["act", *arguments])  # type: ignore[list-item]


def speak(console: cli.Console) -> int:
    console.result("result")
    console.note("note")
    logging.getLogger("tfcaffe").debug("detail of %s", "work")
    return cli.ANSWER_IS_NO


def fail(console: cli.Console) -> int:
    raise NetError("no\n  such \x1b[31mlayer")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "tool: note: note\n"),
        (("-v",), "tool: note: note\ntool: detail of work\n"),
        (("--verbose",), "tool: note: note\ntool: detail of work\n"),
        (("-q",), ""),
        (("--quiet",), ""),
    ],
)
def test_verbosity(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # the second time nothing is left of the first
        assert act(speak, *arguments) == 1
        assert capsys.readouterr() == ("result\n", expected)


def test_errors_are_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert act(fail) == 2
    assert capsys.readouterr() == ("", "tool: error: no\n  such \\x1b[31mlayer\n")


def defect(console: cli.Console) -> int:
    return int("four\nlines")


def test_a_defect_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert act(defect) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("tool: error: internal error: ValueError: ")
    assert err.endswith("; --debug shows where; please report it\n")


def test_debug_shows_a_defect() -> None:
    with pytest.raises(ValueError, match="four"):
        act(defect, "--debug")


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(NetError):
        act(fail, "--debug")


def test_an_interrupt_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(console: cli.Console) -> int:
        raise KeyboardInterrupt

    assert act(interrupted) == 130
    assert capsys.readouterr().err == "tool: interrupted; nothing was written\n"


@each_script
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["inspect"],
        ["inspect", "net.prototxt", "--nonsense"],
        ["inspect", "net.prototxt", "--phase", "BOTH"],
        ["inspect", "net.prototxt", "--level", "x"],
        ["inspect", "net.prototxt", "--js"],
        ["inspect", "net.prototxt", "-q", "-v"],
    ],
    ids=" ".join,
)
def test_bad_usage(script: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[script](arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"usage: {script}") and "error: " in err


@pytest.mark.parametrize(
    "shape", ["data", "data=", "=1,2", "data=1,x", "data=0,2", "data=1,,2", "data=1.5"]
)
def test_bad_shapes(shape: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert caffe2tf_script.main(["inspect", str(write(GOOD)), "--input-shape", shape]) == 2
    message = f"caffe2tf: error: --input-shape {shape}: write NAME=N,C,H,W with whole numbers"
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(("script", "command"), COMMANDS, ids=" ".join)
def test_help_has_an_example(script: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[script]([command, "--help"])
    assert ended.value.code == 0
    assert f"example:\n  {script} {command} " in capsys.readouterr().out


@each_script
def test_help_lists_the_commands(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[script](["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert all(f"\n    {command}" in out for name, command in COMMANDS if name == script)


@each_script
def test_version(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        SCRIPTS[script](["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"{script} ")


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@each_script
def test_as_a_module(script: str, write: Write, tmp_path: Path) -> None:
    good = process(script, "inspect", write(GOOD))
    assert (good.returncode, good.stderr) == (0, "")
    bad = process(script, "inspect", tmp_path / "nowhere")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith(f"{script}: error: ") and bad.stderr.count("\n") == 1
    debug = process(script, "inspect", tmp_path / "nowhere", "--debug")
    assert debug.returncode != 0 and "Traceback" in debug.stderr


def test_letters_that_the_terminal_lacks(write: Write) -> None:
    path = write(data(1, 2) + layer("ReLU", "data", "层"))
    plain = process("caffe2tf", "inspect", path, PYTHONIOENCODING="ascii")
    assert (plain.returncode, plain.stderr) == (0, "")
    assert "\\u5c42" in plain.stdout


def test_a_reader_that_goes_away(write: Write) -> None:
    path = write(data(1, 2) + "".join(layer("ReLU", "data", f"y{i}") for i in range(3000)))
    command = [sys.executable, "-m", "caffe2tf", "inspect", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0


# -- progress

LONG = """
import sys
from tfcaffe.cli import Console
console = Console("tool", int(sys.argv[1]))
with console.progress() as watch:
    watch("step one", 0, 2)
    console.note("on the way")
    watch("step\\x1b[31m two [bold]", 1, 2)
print("result", "rich" in sys.modules)
"""


def on_a_terminal(*command: object) -> tuple[str, str]:
    """A program's stdout, and what it wrote to stderr where that is a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as running:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # the other end was closed
            pass
        os.close(ours)
        assert running.stdout is not None
        out = running.stdout.read().decode()
    assert running.returncode == 0
    return out, seen.decode()


def test_progress_on_a_terminal() -> None:
    """A bar that names the step and is gone in the end; stdout and notes are as ever."""
    out, err = on_a_terminal(sys.executable, "-c", LONG, 0)
    assert out == "result True\n"
    assert "━" in err and "step\\x1b[31m two [bold]" in err
    assert "tool: note: on the way" in err
    assert err.endswith("\x1b[1A\x1b[2K")  # up into the bar's line, and wipe it


def test_progress_elsewhere() -> None:
    assert on_a_terminal(sys.executable, "-c", LONG, -1) == ("result False\n", "")
    done = subprocess.run([sys.executable, "-c", LONG, "0"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("result False\n", "tool: note: on the way\n")


def test_mappings_on_a_terminal(tmp_path: Path) -> None:
    """Both ways and the check; the bar names blobs, is gone in the end, and stays away if quiet."""
    net, mapping, variables = (tmp_path / name for name in ("n.prototxt", "m.yaml", "v.npz"))
    net.write_text(NET)
    mapping.write_text(f"mapping: 1\nlayers:{ENTRIES}")
    np.savez(variables, **{name: np.ones(shape, np.float32) for name, shape in SHAPES.items()})
    made, back = tmp_path / "n.caffemodel", tmp_path / "back.npz"
    fill = ["tf2caffe", "convert", variables, "--prototxt", net, "-o", made]
    commands = [
        (fill, "fc", "tf2caffe: note: wrote"),
        (["caffe2tf", "convert", net, made, "-o", back], "back.npz: fc.bias", "caffe2tf: note: w"),
    ]
    for command, step, note in commands:
        run = [sys.executable, "-m", *command, "--mapping", mapping]
        out, err = on_a_terminal(*run)
        shown, _, rest = err.rpartition("\x1b[2K")
        assert out == "" and "━" in shown and step in shown and rest.startswith(note)
        assert on_a_terminal(*run, "--overwrite", "-q") == ("", "")
    check = ["-m", "tf2caffe", "mapping", "check", mapping, net, "--checkpoint", variables]
    out, err = on_a_terminal(sys.executable, *check)
    assert out.endswith(f"{mapping}: fits {net}\n") and "error" not in err


def test_convert_on_a_terminal(write: Write, tmp_path: Path) -> None:
    net, model = write(GOOD), tmp_path / "m.keras"
    command = [sys.executable, "-m", "caffe2tf", "convert", net, "-o", model]
    out, err = on_a_terminal(*command)
    shown, _, rest = err.rpartition("\x1b[2K")
    assert "m.keras: writing" in shown and "wrote" not in shown
    assert (out, rest) == ("", f"caffe2tf: note: wrote {model}\r\n")
    assert on_a_terminal(*command, "--overwrite", "-q") == ("", "")
