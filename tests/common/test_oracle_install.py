"""Installing real Caffe, as far as it goes without fetching 160 MB: what is refused, and how."""

import shutil
import subprocess
from pathlib import Path

import pytest

from corpus import REPOSITORY
from tfcaffe.errors import ConversionError, RuntimeMissingError
from tfcaffe.oracle import install

needs_apt = pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt on this machine")


def test_complete_install_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / install.STAMP).touch()
    assert install.install(tmp_path, "file:///nonexistent") is False
    assert [path.name for path in tmp_path.iterdir()] == [install.STAMP]


def test_other_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    assert install.main(["--into", str(tmp_path)]) == 2
    assert "is no complete Caffe: remove it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@needs_apt
def test_mirror_without_the_release(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"DEBIAN_MIRROR[^$]*file:///nonexistent"):
        install.install(tmp_path / "caffe", "file:///nonexistent")
    assert not list(tmp_path.iterdir())


def test_machine_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeMissingError, match="apt-get, apt-config, dpkg-deb not found"):
        install.install(tmp_path / "caffe")
    assert not list(tmp_path.iterdir())


def test_wrapper_works_through_a_link(tmp_path: Path) -> None:
    program = REPOSITORY / install.DEFAULT_FOLDER / "python"
    if not program.is_file():
        pytest.skip("real Caffe is not installed (make pycaffe)")
    link = tmp_path / "caffe-python"
    link.symlink_to(program)
    done = subprocess.run([link, "-c", "import caffe"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
