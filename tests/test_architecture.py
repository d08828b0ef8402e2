"""The rules between the packages, read from the sources themselves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = {
    "tfcaffe": REPOSITORY / "common" / "tfcaffe",
    "caffe2tf": REPOSITORY / "caffe2tf",
    "tf2caffe": REPOSITORY / "tf2caffe",
}
SOURCES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))

MAY_NOT_IMPORT = {
    "tfcaffe": {"caffe2tf", "tf2caffe"},
    "caffe2tf": {"tf2caffe"},
    "tf2caffe": {"caffe2tf"},
}
# Imported inside functions only: each takes from 0.1 to 5 seconds, and not everybody has all.
HEAVY = {"tensorflow", "keras", "h5py", "cv2", "caffe", "sklearn"}
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
UNSAFE_YAML = {"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"}
MOST_LINES = 400
# Programs for processes of their own, some for another Python: they import a framework and nothing
# of ours, and nothing imports them.
PROGRAMS = "worker.py"

per_source = pytest.mark.parametrize(
    "source", SOURCES, ids=[str(path.relative_to(REPOSITORY)) for path in SOURCES]
)


def package_of(source: Path) -> str:
    return next(name for name, folder in PACKAGES.items() if source.is_relative_to(folder))


def imported(node: ast.AST) -> set[str]:
    """The top-level packages that one statement imports; none for a relative import."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return {node.module.partition(".")[0]}
    return set()


def run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that importing the file runs: no function bodies, no `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from (part for other in child.orelse for part in (other, *run_on_import(other)))
            continue
        yield child
        yield from run_on_import(child)


def import_faults(tree: ast.Module, package: str) -> list[str]:
    """Imports that cross between the packages, are heavy and at the top level, or unpickle."""
    faults = []
    for node in ast.walk(tree):
        for name in sorted(imported(node) & MAY_NOT_IMPORT[package]):
            faults.append(f"line {node.lineno}: {package} may not import {name}")
        for name in sorted(imported(node) & UNPICKLERS):
            faults.append(f"line {node.lineno}: {name} runs code from files")
    for node in run_on_import(tree):
        for name in sorted(imported(node) & HEAVY):
            faults.append(f"line {node.lineno}: import {name} inside the function that needs it")
    return faults


def call_faults(node: ast.Call) -> list[str]:
    faults = []
    match node.func:
        case ast.Name(id=name) if name in RUNNERS:
            faults.append(f"line {node.lineno}: {name}() runs code from data")
        case ast.Attribute(value=ast.Name(id="yaml"), attr=name) if name in UNSAFE_YAML:
            faults.append(f"line {node.lineno}: yaml.{name}() constructs objects")
    for keyword in node.keywords:
        allowed = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg == "allow_pickle" and not allowed:
            faults.append(f"line {node.lineno}: allow_pickle runs code from files")
    return faults


def safety_faults(tree: ast.Module) -> list[str]:
    """Calls that run code found in data, and handlers that catch everything."""
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            faults += call_faults(node)
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            faults.append(f"line {node.lineno}: a bare except")
    return faults


def program_faults(tree: ast.Module) -> list[str]:
    """Imports of our packages, which a program in a process of its own runs without."""
    return [
        f"line {node.lineno}: a program of its own may not import {name}"
        for node in ast.walk(tree)
        for name in sorted(imported(node) & (PACKAGES.keys() | UNPICKLERS))
    ]


def is_program(source: Path) -> bool:
    return source.name.endswith(PROGRAMS)


@per_source
def test_source_keeps_the_rules(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    tree = ast.parse(text, filename=str(source))
    faults = safety_faults(tree)
    faults += (
        program_faults(tree) if is_program(source) else import_faults(tree, package_of(source))
    )
    if (lines := len(text.splitlines())) > MOST_LINES:
        faults.append(f"{lines} lines, of at most {MOST_LINES}: split it by nouns")
    assert not faults, "\n".join(faults)


BROKEN = {
    "shared imports a direction": ("tfcaffe", "import caffe2tf.layers"),
    "shared imports a direction late": ("tfcaffe", "def f():\n    from tf2caffe import convert"),
    "one direction imports the other": ("caffe2tf", "from tf2caffe import convert"),
    "the other imports the one": ("tf2caffe", "import numpy, caffe2tf"),
    "tensorflow at the top": ("tfcaffe", "import tensorflow as tf"),
    "cv2 in a try": ("tfcaffe", "try:\n    import cv2\nexcept ImportError:\n    cv2 = None"),
    "keras in a class": ("tfcaffe", "class C:\n    from keras.layers import Dense"),
    "h5py but for typing": ("tfcaffe", "if TYPE_CHECKING:\n    pass\nelse:\n    import h5py"),
    "pickle": ("tfcaffe", "def f():\n    import pickle"),
    "eval": ("tfcaffe", "value = eval(text)"),
    "exec": ("tfcaffe", "def f():\n    exec(text)"),
    "yaml.load": ("tfcaffe", "yaml.load(text, Loader=yaml.SafeLoader)"),
    "allow_pickle": ("tfcaffe", "np.load(path, allow_pickle=True)"),
    "allow_pickle perhaps": ("tfcaffe", "np.load(path, allow_pickle=wanted)"),
    "bare except": ("tfcaffe", "try:\n    f()\nexcept:\n    pass"),
}
ALLOWED = {
    "tensorflow in a function": "def f():\n    import tensorflow as tf",
    "keras for typing": "if TYPE_CHECKING:\n    import keras",
    "keras for typing, qualified": "if typing.TYPE_CHECKING:\n    import keras",
    "no allow_pickle": "np.load(path, allow_pickle=False)",
    "re.compile": "pattern = re.compile(text)",
    "a method called eval": "model.eval()",
    "yaml.compose": "yaml.compose(text, Loader=yaml.SafeLoader)",
    "a named except": "try:\n    f()\nexcept OSError:\n    raise",
}


@pytest.mark.parametrize(("package", "text"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_rule_is_seen(package: str, text: str) -> None:
    tree = ast.parse(text)
    assert len(import_faults(tree, package) + safety_faults(tree)) == 1


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_the_rules_allow(text: str) -> None:
    tree = ast.parse(text)
    assert import_faults(tree, "tfcaffe") + safety_faults(tree) == []


def test_a_program_that_imports_ours_is_seen() -> None:
    assert len(program_faults(ast.parse("def f():\n    from tfcaffe.names import escape"))) == 1


@pytest.mark.parametrize(
    "program",
    [path for path in SOURCES if is_program(path)],
    ids=[path.stem for path in SOURCES if is_program(path)],
)
def test_programs_are_never_imported(program: Path) -> None:
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(alias.name for alias in node.names)]
            else:
                continue
            modules = {name.rpartition(".")[2] for name in names}
            assert program.stem not in modules, f"{source}, line {node.lineno}"


def test_every_package_has_sources() -> None:
    assert {package_of(source) for source in SOURCES} == set(PACKAGES)


def test_importing_the_packages_imports_nothing_heavy() -> None:
    script = f"""
import sys
import {", ".join(PACKAGES)}
print(*sorted({HEAVY!r} & sys.modules.keys()))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == ""


def test_no_folder_of_tests_hides_a_package() -> None:
    """`tests` is on the path: with an `__init__.py`, `tests/caffe2tf` would be the first found."""
    packages = {path.parent.name for path in (REPOSITORY / "tests").glob("*/__init__.py")}
    assert packages.isdisjoint({*PACKAGES, "common"})
