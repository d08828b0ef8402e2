"""Keyword options of a command as a function: one record of types, one of defaults each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from typing import Any, TypeVar, cast

from tfcaffe.errors import UsageError

_T = TypeVar("_T", bound=Mapping[str, Any])


def completed(given: _T, defaults: _T, lists: Sequence[str], where: str) -> _T:
    """All options, those that were not given at their defaults.

    Args:
        lists: options of which there may be several.
        where: the record that says what there is, for messages.

    Raises:
        TypeError: there is no such option.
        UsageError: one name or path where several may be given.
    """
    if unknown := given.keys() - defaults.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}; see {where}")
    for name in lists:
        if isinstance(given.get(name), str | PathLike):
            raise UsageError(f"{name}={given.get(name)!r}: give a list")
    return cast(_T, {**defaults, **given})


def said(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say something: neither empty nor at their default."""
    return {name: value for name, value in given.items() if value and value != defaults.get(name)}


def only(
    names: Collection[str], given: Mapping[str, Any], defaults: Mapping[str, Any], reason: str
) -> dict[str, Any]:
    """The options of these names.

    Raises:
        UsageError: another one says something; the reason is why that makes no sense.
    """
    for name in said(given, defaults):
        if name not in names:
            raise UsageError(f"{flag(name)} {reason}")
    return {name: value for name, value in given.items() if name in names}


def flag(name: str) -> str:
    """The command's name of an option."""
    return f"--{name.replace('_', '-')}"
