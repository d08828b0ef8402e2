"""What is to be proven: nets, and nets that must be refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tfcaffe.plan import FreeShape

Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, Shape], Any]


def normal(rng: np.random.Generator, shape: Shape) -> Any:
    """What an input gets if its case says nothing else."""
    return rng.normal(size=shape)


def positive(rng: np.random.Generator, shape: Shape) -> Any:
    """Numbers between 0.2 and 2, for functions with a pole or a branch at 0."""
    return rng.uniform(0.2, 2, size=shape)


def below(count: int) -> Draw:
    """Whole numbers from 0 to below `count`: indices, labels, and values that often repeat."""
    return lambda rng, shape: rng.integers(0, count, size=shape)


@dataclass(frozen=True)
class Case:
    """A net to prove.

    Args:
        id: what pytest calls it.
        net: its prototxt.
        draws: how inputs that are not to be normal are drawn.
        constant: blobs that are constant by their nature.
        factor: BatchNorm's third blob.
        free: input shapes that leave sizes free, for `make_plan`.
        sizes: input shapes to run besides the prototxt's own.
        reference: what Caffe runs, if not the net itself.
        fixed_batch: the plan must not leave the batch free.
    """

    id: str
    net: str
    draws: Mapping[str, Draw] = field(default_factory=dict)
    constant: frozenset[str] = frozenset()
    factor: float = 2.5
    free: Mapping[str, FreeShape] | None = None
    sizes: tuple[Mapping[str, Shape], ...] = ()
    reference: str = ""
    fixed_batch: bool = False

    @property
    def seed(self) -> int:
        """The same in every run, another one for every case."""
        return zlib.crc32(self.id.encode())


@dataclass(frozen=True)
class Refusal:
    """A net that must be refused, with words that the message must have.

    Args:
        ours: Caffe itself runs it; only we cannot say it exactly.
        free: input shapes that leave sizes free, for `make_plan`.
    """

    id: str
    net: str
    words: tuple[str, ...]
    ours: bool = False
    free: Mapping[str, FreeShape] | None = None


def each(cases: Iterable[Case | Refusal]) -> pytest.MarkDecorator:
    """Parametrises a test with cases; two of one id are an error."""
    cases = list(cases)
    ids = [case.id for case in cases]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    assert not repeated, f"these ids stand for more than one case: {repeated}"
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])
