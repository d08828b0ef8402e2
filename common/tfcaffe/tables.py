"""Modules that find themselves, and the tables in which they register what they have."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeVar

_T = TypeVar("_T")
_TABLES: list[dict[str, Any]] = []


def table() -> dict[str, Any]:
    """A new table of classes or functions by layer type, to which plugins may add theirs."""
    _TABLES.append({})
    return _TABLES[-1]


def add_to(table: dict[str, Any], names: Sequence[str], what: str = "") -> Callable[[_T], _T]:
    """Decorator: what stands in a table under these names.

    Args:
        what: what the names are of, for the error.

    Raises:
        ValueError: there is something of this name.
    """

    def add(made: _T) -> _T:
        for name in names:
            if name in table:
                raise ValueError(f"{what}{name} is registered twice")
            table[name] = made
        return made

    return add


def modules(package: str, folders: Sequence[str]) -> list[ModuleType]:
    """All modules in a package's folder, imported; `__name__` and `__path__` of the package."""
    names = [module.name for module in pkgutil.iter_modules(folders)]
    return [importlib.import_module(f"{package}.{name}") for name in names]


def forget(module: str) -> None:
    """Take out whatever a module registered, in all tables."""
    for types in _TABLES:
        for kind in [kind for kind, own in types.items() if own.__module__ == module]:
            del types[kind]
