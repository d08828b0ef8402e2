"""What layer types register themselves in: families in one table, builders in another."""

from __future__ import annotations

from typing import Any

_TABLES: list[dict[str, Any]] = []


def table() -> dict[str, Any]:
    """A new table of classes or functions by layer type, to which plugins may add theirs."""
    _TABLES.append({})
    return _TABLES[-1]


def forget(module: str) -> None:
    """Take out whatever a module registered, in all tables."""
    for types in _TABLES:
        for kind in [kind for kind, own in types.items() if own.__module__ == module]:
            del types[kind]
