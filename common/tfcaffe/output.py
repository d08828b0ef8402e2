"""Outputs are written whole or not at all.

Work goes into a temporary folder beside the target, is flushed to disk and then renamed to its
place; an old file stays intact until then, and whatever goes wrong leaves nothing behind.
"""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from tfcaffe.errors import OutputError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SAVED_MODEL = "saved_model.pb"
DUMP_INDEX = "index.json"  # beside the `.npy` files of `verify --dump`


def check_writable(path: str | Path, overwrite: bool = False, *, directory: bool = False) -> None:
    """Refuses a target that could not be written, before any long work begins.

    Args:
        path: The output to be.
        overwrite: Whether one that exists may be replaced.
        directory: The output is a directory (a SavedModel), not a file.

    Raises:
        OutputError: with the way out.
    """
    target = _resolve(path)
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    if mode is not None:
        _check_old(path, target, mode, overwrite, directory)
    if not target.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {target.parent}; make it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: its folder is write-protected; name another place")


def _check_old(path: str | Path, target: Path, mode: int, overwrite: bool, directory: bool) -> None:
    """Refuses to replace what stands at `path` unless it is of the same kind and may go."""
    if not directory and stat.S_ISDIR(mode):
        raise OutputError(f"{path}: is a directory; name a file in it")
    if directory and stat.S_ISREG(mode):
        raise OutputError(f"{path}: is a file where a directory is to be written; name another")
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise OutputError(f"{path}: is a device, not a file; name another")
    if not overwrite:
        raise OutputError(f"{path}: exists already; give --overwrite or name another")
    if not os.access(target, os.W_OK):
        raise OutputError(f"{path}: is write-protected; change that or name another")
    if directory and not _is_output(target):
        raise OutputError(
            f"{path}: is a directory with other things in it than a SavedModel or verify's dump, "
            f"which overwriting would delete; name another"
        )


def _is_output(folder: Path) -> bool:
    """Whether a folder holds what overwriting may delete: an old output of ours, or nothing."""
    names = {path.name for path in folder.iterdir()}
    arrays = {name for name in names if name.endswith(".npy")}
    return not names or _SAVED_MODEL in names or names - arrays == {DUMP_INDEX}


def spare_inputs(outputs: Sequence[Path], inputs: Sequence[Any]) -> None:
    """Refuse an output that would overwrite what it is made from, however it is spelled.

    Args:
        outputs: files, or folders with all that is in them.
        inputs: paths; anything else among them (None, numbers) is stepped over.

    Raises:
        OutputError: naming the output.
    """
    sources = [Path(source) for source in inputs if isinstance(source, str | PathLike)]
    for source in filter(os.path.exists, sources):  # False, too, for names that no system has
        for path in filter(os.path.exists, outputs):
            if path.samefile(source) or _resolve(path) in _resolve(source).parents:
                raise OutputError(f"{path}: is also an input; name another output")


@contextmanager
def replacing(
    path: str | Path, overwrite: bool = False, *, directory: bool = False
) -> Iterator[Path]:
    """A temporary path of the same file name to write to; renamed to `path` at the end.

    Nothing is at the temporary path yet. If the block raises, `path` is as it was before.

    Args:
        path: The output to be.
        overwrite: Whether one that exists may be replaced.
        directory: The output is a directory (a SavedModel), not a file.

    Raises:
        OutputError: see `check_writable`; the disk is full.
    """
    with replacing_all([path], overwrite, directories=[path] if directory else []) as (temporary,):
        yield temporary


@contextmanager
def replacing_all(
    paths: Sequence[str | Path], overwrite: bool = False, *, directories: Sequence[str | Path] = ()
) -> Iterator[list[Path]]:
    """As `replacing`, for outputs that belong together: all are complete before one is renamed.

    Args:
        paths: The outputs to be.
        overwrite: Whether those that exist may be replaced.
        directories: Those of `paths` that are directories.

    Raises:
        OutputError: see `check_writable`; the disk is full; two paths are the same.
    """
    targets = {_resolve(path): path for path in paths}
    if len(targets) < len(paths):
        raise OutputError(f"{', '.join(map(str, paths))}: two outputs are the same file")
    folders = {_resolve(path) for path in directories}

    def check() -> None:
        for target, path in targets.items():
            check_writable(path, overwrite, directory=target in folders)

    check()
    with ExitStack() as stack:
        swaps = [_Swap(target, stack.enter_context(_folder_beside(target))) for target in targets]
        try:
            yield [swap.new for swap in swaps]
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise OutputError(f"{paths[0]}: {error.strerror}") from error
            raise
        try:
            for swap in swaps:
                _flush(swap.new)
            check()  # someone may have written there meanwhile
            _commit(swaps)
        except OSError as error:
            raise OutputError(f"{paths[0]}: cannot be written: {error}") from error


@dataclass
class _Swap:
    """One output on its way: `new` in the temporary folder, the old one put aside beside it."""

    target: Path
    folder: Path

    @property
    def new(self) -> Path:
        return self.folder / self.target.name

    @property
    def old(self) -> Path:
        return self.folder / "old"

    def do(self) -> None:
        if self.target.is_dir():
            self.target.rename(self.old)
        elif self.target.exists():
            shutil.copymode(self.target, self.new)
            _link(self.target, self.old)
        self.new.replace(self.target)

    def undo(self) -> None:
        if not self.new.exists() and self.target.exists():  # the new one had got to its place
            self.target.rename(self.new)
        if self.old.exists():
            self.old.replace(self.target)


def _commit(swaps: Sequence[_Swap]) -> None:
    for swap in swaps:
        if not swap.new.exists():
            raise OutputError(f"{swap.target}: nothing was written")
    done: list[_Swap] = []
    try:
        for swap in swaps:
            done.append(swap)
            swap.do()
    except BaseException:
        for swap in reversed(done):
            swap.undo()
        raise
    for folder in {swap.target.parent for swap in swaps}:
        _flush_one(folder)


def _link(target: Path, old: Path) -> None:
    try:
        os.link(target, old)
    except OSError:  # a file system without hard links
        shutil.copy2(target, old)


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix=".tfcaffe-", suffix=".tmp", dir=target.parent))
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _flush(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _flush(child)
    if path.exists():
        _flush_one(path)


def _flush_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _resolve(path: str | PathLike[str]) -> Path:
    """The file that a link stands for, so that writing keeps the link."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL in the name
        raise OutputError(f"{path}: cannot be written: {error}") from error
