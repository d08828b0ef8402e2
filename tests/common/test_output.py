"""Outputs appear whole or not at all, and old ones stay until then."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tfcaffe.errors import OutputError
from tfcaffe.output import check_writable, replacing, replacing_all, spare_inputs

Failure = type[BaseException]


def snapshot(folder: Path) -> dict[str, str | None]:
    """Every path below `folder` with its text, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def put_file(path: Path, text: str) -> None:
    path.write_text(text)


def put_folder(path: Path, text: str) -> None:
    (path / "inside").mkdir(parents=True)
    (path / "saved_model.pb").touch()
    (path / "inside" / "file").write_text(text)


KINDS = [pytest.param(put_file, False, id="file"), pytest.param(put_folder, True, id="directory")]
Put = Callable[[Path, str], None]


@pytest.mark.parametrize(("put", "directory"), KINDS)
@pytest.mark.parametrize("exists", [False, True], ids=["new", "old"])
def test_written(put: Put, directory: bool, exists: bool, tmp_path: Path) -> None:
    target, expected = tmp_path / "out.keras", tmp_path / "expected"
    if exists:
        put(target, "old")
    with replacing(target, overwrite=exists, directory=directory) as temporary:
        assert temporary.name == target.name  # frameworks look at the suffix
        assert not temporary.exists()
        put(temporary, "new")
        assert target.exists() == exists
    put(expected, "new")
    assert snapshot(tmp_path).keys() == {
        str(path.relative_to(tmp_path)) for path in [*target.rglob("*"), *expected.rglob("*")]
    } | {"out.keras", "expected"}
    assert target.is_dir() == directory
    written = target / "inside" / "file" if directory else target
    assert written.read_text() == "new"


@pytest.mark.parametrize(("put", "directory"), KINDS)
@pytest.mark.parametrize("exists", [False, True], ids=["new", "old"])
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_everything_as_it_was(
    put: Put, directory: bool, exists: bool, failure: Failure, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    if exists:
        put(target, "old")
    before = snapshot(tmp_path)
    with pytest.raises(failure), replacing(target, exists, directory=directory) as temporary:
        put(temporary, "half")
        raise failure
    assert snapshot(tmp_path) == before


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nothing was written"), replacing(tmp_path / "out"):
        pass
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize(("put", "directory"), KINDS)
def test_several_are_renamed_when_all_are_complete(
    put: Put, directory: bool, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    folders = [second] if directory else []
    with replacing_all([first, second], directories=folders) as (one, other):
        one.write_text("1")
        put(other, "2")
        assert not first.exists()
    assert first.read_text() == "1"
    assert second.exists()


@pytest.mark.parametrize(("put", "directory"), KINDS)
def test_a_failing_rename_brings_all_old_ones_back(
    put: Put, directory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths[:2]:
        put(path, "old " + path.name)
    before = snapshot(tmp_path)
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if self.name == "c":
            raise OSError("the disk is gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with (
        pytest.raises(OutputError, match="the disk is gone"),
        replacing_all(paths, True, directories=paths if directory else []) as temporaries,
    ):
        for temporary in temporaries:
            put(temporary, "new")
    assert snapshot(tmp_path) == before


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(OutputError, match="exists already"), replacing(target) as temporary:
        temporary.write_text("mine")
        target.write_text("somebody else's")
    assert snapshot(tmp_path) == {"out": "somebody else's"}


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), replacing(tmp_path / "out"):
        os.write(os.open("/dev/full", os.O_WRONLY), b"x")
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("module", ["caffemodel", "caffe_hdf5"])
def test_a_writer_that_hits_the_limit_leaves_nothing(module: str, tmp_path: Path) -> None:
    program = f"""
import resource, sys
import numpy as np
from pathlib import Path
from tfcaffe.files import {module}
from tfcaffe.errors import OutputError
from tfcaffe.files.weights import Blobs, LayerBlobs
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    {module}.write(sys.argv[1], [LayerBlobs("c", "", Blobs.of([np.ones(1 << 20)]))])
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out")], capture_output=True, text=True
    )
    assert "File too large" in done.stdout, done.stderr
    assert snapshot(tmp_path) == {}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link", overwrite=True) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_permissions_of_the_old_file_stay(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    target.chmod(0o640)
    with replacing(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.stat().st_mode & 0o777 == 0o640


def test_the_same_output_twice(tmp_path: Path) -> None:
    same = [tmp_path / "out", tmp_path / "." / "out"]
    with pytest.raises(OutputError, match="the same file"), replacing_all(same):
        pass


@pytest.mark.parametrize(
    ("name", "directory", "reason"),
    [
        ("file", False, "exists already; give --overwrite"),
        ("folder", False, "is a directory; name a file in it"),
        ("file", True, "is a file where a directory"),
        ("none/out", False, "there is no folder"),
        ("file/out", False, "there is no folder"),
        ("x" * 300, False, "cannot be written"),
        ("loop", False, "cannot be written"),
        ("nul\0", False, "cannot be written"),
    ],
)
def test_refused_early(name: str, directory: bool, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match=reason):
        check_writable(tmp_path / name, directory=directory)


def test_a_directory_with_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious").write_text("mine")
    with pytest.raises(OutputError, match="which overwriting would delete"):
        check_writable(tmp_path / "home", overwrite=True, directory=True)


def test_a_device_is_refused() -> None:
    with pytest.raises(OutputError, match="is a device"):
        check_writable(Path(os.devnull), overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("name", ["file", "new"])
def test_write_protection(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o400)
    if name == "new":
        tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="write-protected"):
        check_writable(tmp_path / name, overwrite=True)
    tmp_path.chmod(0o700)


def test_inputs_are_spared(tmp_path: Path) -> None:
    """A file itself, by another name of it too, and a folder that it lies in."""
    put_folder(tmp_path / "saved", "")
    source = tmp_path / "saved" / "inside" / "file"
    (tmp_path / "link").symlink_to(source)
    os.link(source, tmp_path / "hard")
    for output in (source, tmp_path / "link", tmp_path / "hard", tmp_path / "saved"):
        with pytest.raises(OutputError, match="is also an input"):
            spare_inputs([output], [None, 3.0, str(source)])
    spare_inputs([tmp_path / "new", tmp_path / "saved" / "saved_model.pb"], [source, "nowhere"])
