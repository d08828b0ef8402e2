"""What is built, and what a user of it gets: nothing missing, nothing else, nobody's way blocked.

The environments of these tests see the framework packages of the one that runs them, so that no
network is needed; the toolkit itself they have only from what is installed into them.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = {
    "caffe2tf": REPOSITORY / "caffe2tf",
    "tf2caffe": REPOSITORY / "tf2caffe",
    "tfcaffe": REPOSITORY / "common" / "tfcaffe",
}
DATA = {"py.typed", ".py", ".proto", ".yaml", ".json"}
OFFLINE = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")

NET = """
name: "one convolution"
input: "data"
input_shape { dim: 1 dim: 3 dim: 9 dim: 7 }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 }
}
"""

# A user's program: its own package `common` beside it, used before and after the toolkit.
SCRIPT = """
import json
import common.helper
import caffe2tf, tf2caffe, tfcaffe
from tfcaffe.names import escape, unescape
import common.numbers

print(json.dumps({
    "common": [common.helper.WHOSE, common.numbers.WHOSE],
    "round_trip": unescape(escape("inception_3a/1x1")),
    "from": [module.__file__ for module in (caffe2tf, tf2caffe, tfcaffe)],
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a command in an environment without this project's paths; its standard output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def source_files(folder: Path) -> set[str]:
    """The files of a package as they should ship, relative to it."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and (path.suffix in DATA or path.name in DATA)
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel built from what the sdist holds."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ".", cwd=REPOSITORY)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    """The project's root as unpacked from the sdist."""
    (archive,) = built.glob("*.tar.gz")
    folder = built / "unpacked"
    folder.mkdir()
    run("tar", "-xzf", archive, cwd=folder)
    (root,) = folder.iterdir()
    return root


def environment(folder: Path) -> Path:
    """Makes an environment that sees this one's packages but not its toolkit; its interpreter.

    A folder named in a .pth file is searched, but .pth files in it are not followed: an editable
    toolkit there stays unseen. An installed one would be found, but only after the new one's own.
    """
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "frameworks.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def install(python: Path, *what: str | Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", python, "install", *OFFLINE)
    run(*pip, *what, cwd=python.parent)


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """An interpreter with the toolkit installed, and the folder that it is to come from."""
    folder = tmp_path_factory.mktemp(request.param)
    python = environment(folder / "venv")
    if request.param == "wheel":
        install(python, request.getfixturevalue("wheel"))
        return python, folder / "venv"
    origin = request.getfixturevalue("unpacked")
    install(python, "--editable", origin)
    return python, origin


def test_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"{name}/{file}" for name, folder in PACKAGES.items() for file in source_files(folder)
    }
    expected |= {
        f"tfcaffe/mappings/{path.name}"
        for path in (REPOSITORY / "mappings").iterdir()
        if path.suffix in (".yaml", ".json")
    }
    assert names == expected


def test_wheel_brings_its_licence_and_commands(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (info,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    assert "Apache License" in archive.read(f"{info}/licenses/LICENSE").decode()
    commands = archive.read(f"{info}/entry_points.txt").decode()
    assert "caffe2tf = caffe2tf.__main__:main" in commands
    assert "tf2caffe = tf2caffe.__main__:main" in commands


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(wheel: Path, package: str) -> None:
    assert f"{package}/py.typed" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize(
    "name",
    ["LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml"],
)
def test_sdist_holds_the_project_file(unpacked: Path, name: str) -> None:
    assert (unpacked / name).read_bytes() == (REPOSITORY / name).read_bytes()


@pytest.mark.parametrize("folder", ["tests", "examples", "benchmarks", "docs", "mappings", ".ci"])
def test_sdist_holds_the_folder(unpacked: Path, folder: str) -> None:
    def files(root: Path) -> set[str]:
        found = (path.relative_to(root) for path in (root / folder).rglob("*") if path.is_file())
        return {str(path) for path in found if not path.parts[-1].endswith((".pyc", "~"))}

    assert files(unpacked) == files(REPOSITORY)


def test_tests_of_the_sdist_are_all_collected(unpacked: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv")
    install(python, "--editable", unpacked)
    options = ("--collect-only", "--quiet", "-p", "no:cacheprovider")
    collected = run(python, "-m", "pytest", *options, cwd=unpacked)
    assert "tests/test_packaging.py::" in collected


def write_common(folder: Path, *, regular: bool) -> None:
    """A user's own `common`: a package with an __init__.py, or a bare folder of modules."""
    (folder / "common").mkdir()
    for module in ("helper", "numbers"):
        (folder / "common" / f"{module}.py").write_text('WHOSE = "the user\'s"\n')
    if regular:
        (folder / "common" / "__init__.py").write_text("")


@pytest.mark.parametrize("regular", [True, False], ids=["package", "namespace"])
def test_a_users_own_common_does_no_harm(
    installed: tuple[Path, Path], tmp_path: Path, regular: bool
) -> None:
    python, origin = installed
    write_common(tmp_path, regular=regular)
    (tmp_path / "script.py").write_text(SCRIPT)
    said = json.loads(run(python, "script.py", cwd=tmp_path))
    assert said["common"] == ["the user's", "the user's"]
    assert said["round_trip"] == "inception_3a/1x1"
    for file in said["from"]:
        assert Path(file).is_relative_to(origin)


@pytest.mark.parametrize("command", ["caffe2tf", "tf2caffe"])
@pytest.mark.parametrize("how", ["script", "module"])
def test_command_is_installed(
    installed: tuple[Path, Path], tmp_path: Path, command: str, how: str
) -> None:
    python, _ = installed
    write_common(tmp_path, regular=True)
    start = [python.parent / command] if how == "script" else [python, "-m", command]
    assert command in run(*start, "--help", cwd=tmp_path)


def test_inspect_works_where_it_is_installed(installed: tuple[Path, Path], tmp_path: Path) -> None:
    """The schema and the layer families are data and modules found at run time: they are there."""
    python, _ = installed
    write_common(tmp_path, regular=True)
    (tmp_path / "net.prototxt").write_text(NET)
    said = run(python, "-m", "caffe2tf", "inspect", "net.prototxt", cwd=tmp_path)
    assert "conv" in said
