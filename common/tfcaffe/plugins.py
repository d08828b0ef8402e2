"""Users' own layer types: a Python file that registers families and builders as ours do."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfcaffe import tables
from tfcaffe.errors import ConversionError, UsageError
from tfcaffe.layers import registry

_PREFIX = "tfcaffe_plugin_"


def plugin_of(made: Any) -> str:
    """The file that registered a rule or a family, by its name; empty if that is no plugin."""
    name = str(made.__module__)
    return Path(str(sys.modules[name].__file__)).name if name.startswith(_PREFIX) else ""


def load_plugins(paths: Sequence[Path]) -> None:
    """Run each file once per process. It is the user's own code, named on the command line.

    A file that fails leaves nothing of its own in the tables, so that it can be loaded again.

    Raises:
        UsageError: no such file, or it fails; its own error is shown.
    """
    registry()  # ours first, so that a plugin that repeats a type is told so
    for path in paths:
        name = f"{_PREFIX}{abs(hash(path.resolve()))}"
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise UsageError(f"--plugin {path}: there is no such Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # whatever foreign code raises
            del sys.modules[name]
            tables.forget(name)
            if isinstance(error, ConversionError):
                raise
            raise UsageError(f"--plugin {path}: {type(error).__name__}: {error}") from error
