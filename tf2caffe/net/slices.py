"""What StridedSlice and Slice take of each dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tf2caffe.graph import Graph, Node


@dataclass(frozen=True)
class Cut:
    """What is taken of one dimension.

    Args:
        size: the dimension's; 0 for one that the op adds.
        start, stop, step: as a Python slice has them; `stop` is one step past the last.
        removed: the dimension is no more (a single place was named).
        new: the op adds it, of size 1.
        anchored: whether it is so much at either end, whatever the size is.
    """

    size: int
    start: int = 0
    stop: int = 1
    step: int = 1
    removed: bool = False
    new: bool = False
    anchored: bool = True

    @property
    def index(self) -> np.ndarray:
        """The places, in order."""
        return np.arange(self.start, self.stop, self.step)

    @property
    def whole(self) -> bool:
        """Whether it is all, as it was."""
        return not self.new and len(self.index) == self.size and self.step == 1


def cuts(node: Node, graph: Graph) -> list[Cut] | None:
    """One for each dimension, and for each that is new; None for other ops and unknown places."""
    if node.op not in ("StridedSlice", "Slice"):
        return None
    if not all(graph.is_constant(t) for t in node.inputs[1:]):
        return None
    numbers = [[int(n) for n in graph.constant(t).reshape(-1)] for t in node.inputs[1:]]
    shape = node.inputs[0].shape
    if node.op == "Slice":
        begins, sizes = numbers
        return [
            Cut(size, begin, size if count == -1 else begin + count, anchored=count == -1)
            for size, begin, count in zip(shape, begins, sizes, strict=True)
        ]
    masks = {
        name: int(node.attrs.get(f"{name}_mask") or 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    return _strided(shape, numbers, masks)


def _strided(
    shape: Sequence[int], numbers: Sequence[Sequence[int]], masks: dict[str, int]
) -> list[Cut]:
    """Source: the op StridedSlice's documentation, which has its rules from NumPy."""
    begins, ends, steps = numbers
    said = len(begins)
    bits = {name: [bool(mask >> i & 1) for i in range(said)] for name, mask in masks.items()}
    plain = sum(not bits["ellipsis"][i] and not bits["new_axis"][i] for i in range(said))
    found: list[Cut] = []
    at = 0
    for i in range(said):
        if bits["ellipsis"][i]:
            for size in shape[at : at + len(shape) - plain]:
                found.append(Cut(size, 0, size))
            at += len(shape) - plain
        elif bits["new_axis"][i]:
            found.append(Cut(0, new=True))
        else:
            size = shape[at]
            at += 1
            if bits["shrink_axis"][i]:
                start = begins[i] % size
                found.append(Cut(size, start, start + 1, removed=True, anchored=False))
                continue
            start, stop, step = slice(
                None if bits["begin"][i] else begins[i],
                None if bits["end"][i] else ends[i],
                steps[i],
            ).indices(size)
            first = bits["begin"][i] or begins[i] >= 0
            anchored = first and (bits["end"][i] or ends[i] < 0) and step > 0
            found.append(Cut(size, start, stop, step, anchored=anchored))
    found += [Cut(size, 0, size) for size in shape[at:]]
    return found
