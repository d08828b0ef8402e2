"""Transposed arrays, whole and in pieces."""

import numpy as np
import pytest

from tfcaffe import memory_order
from tfcaffe.memory_order import Apart, contiguous, rows

SHAPES = [
    ((37, 5, 3, 2), (2, 3, 1, 0)),  # Caffe's kernel
    ((3, 2, 5, 37), (3, 2, 0, 1)),  # TensorFlow's
    ((40, 35), (1, 0)),
    ((2, 3, 4), (0, 2, 1)),
    ((6,), (0,)),
    ((0, 3), (1, 0)),
    ((1, 1, 7), (2, 1, 0)),
]


@pytest.mark.parametrize("piece", [64, 1 << 20])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_pieces_are_the_array(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    aligned: bool,
    piece: int,
    monkeypatch: pytest.MonkeyPatch,
    rng: np.random.Generator,
) -> None:
    monkeypatch.setattr(memory_order, "_PIECE", piece)
    monkeypatch.setattr(memory_order, "_WIDE_PIECE", piece)
    monkeypatch.setattr(memory_order, "_LARGE", 64)
    numbers = rng.standard_normal(shape).astype(np.float32)
    if not aligned:
        numbers = np.frombuffer(b"x" + numbers.tobytes(), np.uint8)[1:].view("<f4").reshape(shape)
    turned = numbers.transpose(axes)
    assert turned.flags.aligned == aligned or not turned.size
    expected = turned.tobytes()
    found = []
    for part in rows(turned):
        assert part.flags.c_contiguous
        found.append(part.tobytes())
    assert b"".join(found) == expected
    assert contiguous(turned).tobytes() == expected
    apart = Apart(turned, (turned.size,))
    assert np.asarray(apart).tobytes() == expected
    assert (np.shape(apart), apart.dtype, apart.size) == ((turned.size,), np.float32, turned.size)


def test_pieces_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_order, "_PIECE", 3000 * 4)
    monkeypatch.setattr(memory_order, "_WIDE_PIECE", 5000 * 4)
    table, kernel = np.zeros((640, 50), np.float32), np.zeros((64, 16, 3, 4), np.float32)
    assert [part.shape for part in rows(table.T)] == [(4, 640)] * 12 + [(2, 640)]
    turned = kernel.transpose(2, 3, 1, 0)
    assert [part.shape for part in rows(turned)] == [(1, 4, 16, 64)] * 3
