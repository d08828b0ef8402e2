"""How alike two names are, and what numbers them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from itertools import pairwise

_TOKENS = re.compile(r"\d+x\d+|\d+|[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_DIMENSIONS = re.compile(r"(?<=conv)[123]d(?![A-Za-z])", re.I)
_KINDS = frozenset(
    [
        "conv",
        "convolution",
        "bn",
        "batch",
        "norm",
        "batchnorm",
        "normalization",
        "batchnormalization",
        "scale",
        "res",
        "pointwise",
        "weights",
    ]
)  # words that say what a thing is, not which one


@dataclass(frozen=True)
class Index:
    """A number or a single letter in a name.

    Args:
        text: as it is written.
        value: the number; for a letter its place in the alphabet.
    """

    text: str
    value: int

    @property
    def digits(self) -> bool:
        """Whether it is a number."""
        return self.text.isdecimal()


@dataclass(frozen=True)
class Name:
    """A name, taken apart."""

    text: str

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Its words and numbers."""
        return tuple(_TOKENS.findall(self.text))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Its words, small."""
        return tuple(t.lower() for t in self.tokens if index(t) is None)

    @cached_property
    def indexes(self) -> tuple[Index, ...]:
        """What numbers it."""
        return tuple(found for t in self.tokens if (found := index(t)) is not None)

    @cached_property
    def skeleton(self) -> tuple[str, ...]:
        """The words, and `#` for each number, `@` for each letter."""
        found = [(t, index(t)) for t in self.tokens]
        return tuple(t.lower() if i is None else "#" if i.digits else "@" for t, i in found)

    @cached_property
    def last(self) -> tuple[str, ...]:
        """The tokens of its last path component, small."""
        return tuple(t.lower() for t in Name(self.text.rpartition("/")[2]).tokens)

    @cached_property
    def small(self) -> tuple[str, ...]:
        """All tokens, small."""
        return tuple(t.lower() for t in self.tokens)


def keras_name(text: str) -> Name:
    """A name in TensorFlow, where `conv2d` is a kind, and not the fourth part of conv2."""
    return Name(_DIMENSIONS.sub("", text))


def index(token: str) -> Index | None:
    """The number that a token is, if it is one."""
    if token.isdecimal():
        return Index(token, int(token[:18]))
    if len(token) == 1:
        return Index(token, ord(token.lower()) - ord("a") + 1)
    return None


def stem(name: Name) -> tuple[str, ...]:
    """The tokens without those that say what kind of thing it is."""
    return tuple(token for token in name.small if token not in _KINDS)


def counters(names: Sequence[Name]) -> list[tuple[str, ...]]:
    """The tokens in front of each name's number: `conv2d`, `conv2d_1`, `conv2d_2` are of one."""
    found = [n.small[:-1] if n.tokens and index(n.tokens[-1]) else n.small for n in names]
    known = set(found)
    return [
        name.small if name.small in known else tokens
        for name, tokens in zip(names, found, strict=True)
    ]  # `conv1` is the first of conv1_1, conv1_2


def similarity(a: Name, b: Name) -> float:
    """How alike two names are, from 0 to 1: half of it words, half of it numbers."""
    words = _words(a.words, b.words)
    mine, theirs = (tuple(i.value for i in n.indexes) for n in (a, b))
    if not mine and not theirs:
        return words
    return 0.5 * words + 0.5 * SequenceMatcher(None, mine, theirs, autojunk=False).ratio()


@lru_cache(maxsize=100_000)
def _words(a: tuple[str, ...], b: tuple[str, ...]) -> float:
    if not a or not b:
        return 0.0
    ways = ((a, b), (b, a))
    return sum(sum(max(_word(x, y) for y in two) for x in one) / len(one) for one, two in ways) / 2


@lru_cache(maxsize=100_000)
def _word(a: str, b: str) -> float:
    if a == b:
        return 1.0
    short, long = sorted((a, b), key=len)
    return 0.8 if len(short) > 1 and long.startswith(short) else 0.0


def common_prefix(names: Sequence[str]) -> str:
    """The path components that all names begin with, with the last `/`."""
    split = [name.split("/")[:-1] for name in names]
    shared = []
    for parts in zip(*split, strict=False):
        if any(a != b for a, b in pairwise(parts)):
            break
        shared.append(parts[0])
    return "".join(f"{part}/" for part in shared)
