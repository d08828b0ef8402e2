"""Layouts under TensorFlow's reshapes and transposes, against numpy; and moves in real Caffe."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import pytest

from tf2caffe import dialect
from tf2caffe.graph import Graph, Node, Tensor
from tf2caffe.net import axes
from tf2caffe.net.site import Builder, Site
from tf2caffe.net.tidy import tidy
from tf2caffe.net.value import Blob, NewLayer, Value
from tf2caffe.network import Network
from tf2caffe.write import write
from tfcaffe.errors import UnsupportedError
from tfcaffe.files import schema
from tfcaffe.layout import Layout
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.twin import Twin


def read(blob: np.ndarray, layout: Layout) -> np.ndarray:
    """The tensor that lies in a blob."""
    return layout.pattern().to_tf(blob)


def sizes_of(layout: Layout) -> tuple[int, ...]:
    """Caffe's shape."""
    return tuple(int(size or 0) for size in layout.shape)


def random_shape(rng: np.random.Generator, total: int) -> list[int]:
    """Sizes of a product of `total`, some of them 1."""
    sizes = []
    while total > 1:
        size = int(rng.choice([d for d in range(1, total + 1) if total % d == 0]))
        sizes.append(size)
        total //= size
    sizes += [1] * int(rng.integers(0, 2))
    rng.shuffle(sizes)
    return sizes or [1]


def random_layout(rng: np.random.Generator, total: int) -> Layout:
    """One axis for each dimension, in any order."""
    shape = random_shape(rng, total)
    order = rng.permutation(len(shape))
    return Layout(tuple((s,) for s in shape), tuple((int(i),) for i in order))


@pytest.mark.parametrize("seed", range(12))
def test_reshapes_and_transposes_move_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    followed = 0
    for _ in range(40):
        layout = random_layout(rng, int(rng.choice([24, 60, 64, 30])))
        blob = np.arange(prod(sizes_of(layout)), dtype=np.float32).reshape(sizes_of(layout))
        tensor = read(blob, layout)
        for _ in range(6):
            if rng.random() < 0.5:
                order = [int(i) for i in rng.permutation(tensor.ndim)]
                layout, tensor = axes.transposed(layout, order), tensor.transpose(order)
            else:
                shape = random_shape(rng, tensor.size)
                found = axes.reshaped(layout, shape)
                if found is None:
                    continue
                layout, tensor = found, tensor.reshape(shape)
                followed += tensor.ndim > 1
            assert layout.shape == blob.shape
            assert layout.tf_shape == tensor.shape
            np.testing.assert_array_equal(read(blob, layout), tensor)
    assert followed > 20


@pytest.mark.parametrize("seed", range(6))
def test_moves_are_transpositions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    moving = same = 0
    for _ in range(60):
        have = random_layout(rng, 60)
        blob = rng.standard_normal(sizes_of(have))
        shape = have.tf_shape
        order = rng.permutation(len(shape)) if rng.random() < 0.7 else np.argsort(have.order)
        sizes = [shape[i] for i in np.argsort(order)]
        want = Layout(tuple((s,) for s in sizes), tuple((int(i),) for i in order))
        found = axes.moves(have, want)
        assert found is not None
        runs, target = found
        memory = blob.reshape(runs).transpose(target).reshape(sizes_of(want))
        np.testing.assert_array_equal(read(memory, want), read(blob, have))
        alike = axes.alike(have, want)
        assert alike == (target == sorted(target))
        assert alike == np.array_equal(memory.reshape(-1), blob.reshape(-1))
        assert len(runs) == 1 or all(b != a + 1 for a, b in pairwise(target))
        moving += not alike
        same += alike
    assert moving > 10
    assert same > 5


@pytest.mark.parametrize("seed", range(4))
def test_axes_of_their_own_read_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    isolated = inserted = 0
    for _ in range(80):
        layout = random_layout(rng, 60)
        for _ in range(3):
            order = [int(i) for i in rng.permutation(len(layout.dims))]
            layout = axes.transposed(layout, order)
            layout = axes.reshaped(layout, random_shape(rng, 60)) or layout
        blob = rng.standard_normal(sizes_of(layout))
        dimension = int(rng.integers(len(layout.dims)))
        new = not layout.dims[dimension]
        found = (axes.inserted if new else axes.isolated)(layout, dimension)
        if found is None:
            continue
        again = read(blob.reshape(sizes_of(found)), found)
        np.testing.assert_array_equal(again, read(blob, layout))
        owner = [a for a, axis in enumerate(found.axes) for _ in axis]
        (axis,) = {owner[i] for i in found.dims[dimension] if found.factors[i] != 1 or new}
        assert found.shape[axis] == again.shape[dimension]
        inserted += new
        isolated += not new
    assert isolated > 20
    assert inserted > 0


def test_a_torn_factor_is_told() -> None:
    last = Layout.channels_last((1, 6, 2, 5))  # a tensor 1, 2, 5, 6
    assert axes.reshaped(last, [1, 4, 15]) is None
    assert axes.refined(Layout.caffe((6, 4)), Layout(((4,), (6,)), ((0,), (1,)))) is None


def move(
    have: Layout, want: Layout, folder: Path, runner: Caffe | OpenCV, written: str = "caffe-1.0"
) -> list[str]:
    """Move random numbers in real Caffe and compare with numpy; the types of the layers."""
    node = Node("move", "Move", [], {}, [have.tf_shape], ["float32"], "move")
    source = Node("x", "Placeholder", [], {}, [have.tf_shape], ["float32"], "x")
    graph = Graph({"x": Tensor(source)}, {"y": Tensor(node)}, {}, lambda _: np.zeros(0))
    builder = Builder(graph, dialect.load(written))
    site = Site(builder, node)
    shape = sizes_of(have)
    message = schema.load().message("LayerParameter")()
    message.type = "Input"
    message.input_param.shape.add().dim.extend(shape)
    x = Value(Blob(shape), have)
    x.blob.maker = NewLayer("Input", message, [], [x.blob], [], "x")
    builder.layers.append(x.blob.maker)
    y = site.to(x, want)
    assert y.layout == want
    assert y.shape == want.shape
    layers = tidy(builder.layers, [y.blob], builder.dialect)
    net = Network("move", layers, Twin((), (), ()), (), ())
    text, model = folder / "net.prototxt", folder / "net.caffemodel"
    write(net, text, model, ())
    blob = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    run = runner.run(text, model, {x.blob.name: blob})
    np.testing.assert_array_equal(read(run.layers[-1].arrays[0], want), read(blob, have))
    return [layer.type for layer in layers[1:]]


def laid(shape: tuple[int, ...], order: tuple[int, ...]) -> Layout:
    """A blob whose axis i is TensorFlow's dimension order[i]."""
    return Layout(tuple((s,) for s in shape), tuple((order.index(d),) for d in range(len(shape))))


R, S, K, C, D = "Reshape", "Slice", "Concat", "Convolution", "Deconvolution"
MOVES = [
    ((2, 3, 5, 7), (0, 3, 1, 2), (0, 1, 2, 3), [R, S, K, R]),  # few channels to the end
    ((2, 40, 3, 5), (0, 3, 1, 2), (0, 1, 2, 3), [R, C, R]),
    ((2, 20, 5, 9), (0, 3, 1, 2), (0, 1, 2, 3), [R, D, R]),
    ((1, 20, 5, 9), (0, 1, 2, 3), (0, 3, 1, 2), [R, C, R]),
    ((2, 4, 11, 12), (0, 1, 2, 3), (0, 1, 3, 2), [R, D, R]),
    ((2, 9, 12, 2), (0, 1, 2, 3), (0, 2, 1, 3), [D, R]),  # something lies behind both
    ((2, 12, 9, 2), (0, 1, 2, 3), (0, 2, 1, 3), [R, C]),
    ((5, 2, 3), (1, 0, 2), (0, 1, 2), [R, S, K, R]),
    ((3, 4, 5, 6), (0, 1, 2, 3), (3, 2, 1, 0), None),
    ((2, 3, 4, 5, 2), (0, 1, 2, 3, 4), (2, 4, 0, 3, 1), None),
    ((7, 1, 6), (0, 1, 2), (1, 0, 2), [R]),
]


@pytest.mark.parametrize(("shape", "order", "target", "types"), MOVES)
def test_moves_in_caffe(
    shape: tuple[int, ...],
    order: tuple[int, ...],
    target: tuple[int, ...],
    types: list[str] | None,
    tmp_path: Path,
    caffe: Caffe,
) -> None:
    have = laid(shape, order)
    sizes = have.tf_shape
    made = move(have, laid(tuple(int(sizes[d] or 0) for d in target), target), tmp_path, caffe)
    assert types is None or made == types


def test_a_portable_move_has_no_dilated_deconvolution(tmp_path: Path, caffe: Caffe) -> None:
    have, want = laid((2, 9, 12, 2), (0, 1, 2, 3)), laid((2, 12, 9, 2), (0, 2, 1, 3))
    assert move(have, want, tmp_path, caffe, "portable") == [R, C]


PERMUTED = [
    ((2, 3, 5, 7), (0, 3, 1, 2), (0, 1, 2, 3), ["Permute"]),
    ((2, 3, 5, 7), (0, 1, 2, 3), (0, 3, 1, 2), ["Permute"]),
    ((3, 4, 5, 6), (0, 1, 2, 3), (3, 2, 1, 0), ["Permute"]),
]


@pytest.mark.parametrize(("shape", "order", "target", "types"), PERMUTED)
def test_moves_where_there_is_permute(
    shape: tuple[int, ...],
    order: tuple[int, ...],
    target: tuple[int, ...],
    types: list[str],
    tmp_path: Path,
    opencv: OpenCV,
) -> None:
    have = laid(shape, order)
    sizes = have.tf_shape
    want = laid(tuple(int(sizes[d] or 0) for d in target), target)
    assert move(have, want, tmp_path, opencv, "opencv") == types


def test_permute_of_a_flat_blob(tmp_path: Path, opencv: OpenCV) -> None:
    have = Layout(((2,), (3, 5, 4)), ((0,), (2, 3, 1)))  # a flattened image
    made = move(have, Layout(((2,), (60,)), ((0,), (1,))), tmp_path, opencv, "opencv")
    assert made == [R, "Permute", R]


def test_moves_without_common_factors(tmp_path: Path, caffe: Caffe) -> None:
    have = Layout(((2,), (3,), (4,)), ((0, 2, 1),))  # 24 numbers as 2, 4, 3
    move(have, Layout(((4,), (6,)), ((1, 0),)), tmp_path, caffe)


def test_moves_of_too_much_are_refused(tmp_path: Path, caffe: Caffe) -> None:
    channels, last = laid((1, 512, 512, 512), (0, 3, 1, 2)), laid((1, 512, 512, 512), (0, 1, 2, 3))
    with pytest.raises(UnsupportedError, match=r"'move' .* multiply-adds; .* --outputs"):
        move(channels, last, tmp_path, caffe)
