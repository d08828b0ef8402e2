"""The names nearest to another one, among thousands."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches
from heapq import nlargest

_FEW = 50  # names, which are all compared
_TRIED = 12  # names that share the rarest words, which are compared letter by letter
_BEGINNING = 4  # letters of a word that count, too
_LIKE = 0.4  # of the letters at least


class Names:
    """Names that can be looked up by what is nearly one of them.

    Comparing every name with every other takes half a minute for a net of a thousand blobs.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._all = list(names)
        self._places: dict[str, list[str]] = defaultdict(list)
        for name in self._all:
            for word in _words(name):
                self._places[word].append(name)

    def nearest(self, name: str, count: int) -> list[str]:
        """At most `count` names, the nearest first."""
        if len(self._all) <= _FEW:
            return get_close_matches(name, self._all, count, _LIKE)
        shared: dict[str, float] = defaultdict(float)
        for word in _words(name):
            found = self._places.get(word, [])
            for other in found:
                shared[other] += 1 / len(found)
        tried = nlargest(_TRIED, shared, key=lambda other: shared[other])
        return get_close_matches(name, tried, count, _LIKE)


def _words(name: str) -> list[str]:
    """`conv1_b.weights` as conv1, conv, 1, b, weights, and the beginnings of the words."""
    parts = set(re.split(r"[/_.:\-\s]+", name.lower()))
    pieces = {piece for part in parts for piece in re.findall(r"\d+|[^\W\d_]+", part)}
    return sorted(filter(None, parts | pieces | {piece[:_BEGINNING] for piece in pieces}))
