"""Values joined along a dimension, taken apart, and repeated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tf2caffe.graph import Node, Tensor
from tf2caffe.net import axes
from tf2caffe.net.along import alone, changed, operand, together
from tf2caffe.net.broadcast import filled
from tf2caffe.net.site import Site
from tf2caffe.net.slices import Cut
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.slices import taken
from tfcaffe.layout import Layout

_COPIES = 16  # as many bottoms of a Concat, which more programs read right than Tile


@op("ConcatV2", "Concat")
def concat(site: Site) -> Value:
    """Concat, on the axis of the blob that holds the dimension."""
    inputs = list(range(len(site.node.inputs)))
    at = inputs.pop(0 if site.node.op == "Concat" else -1)
    values = [operand(site, i) for i in inputs if 0 not in site.node.inputs[i].shape]
    return _joined(site, values, int(site.constant(at)))


@op("Pack")
def stack(site: Site) -> Value:
    """Concat along a new dimension."""
    rank = len(site.node.inputs[0].shape) + 1
    if rank == 1:
        raise site.refusal(
            "joins single numbers that depend on the net's inputs, sizes most likely, and Caffe's "
            "nets have fixed sizes; make a constant of the placeholder and freeze the graph again"
        )
    dimension = int(site.attrs["axis"]) % rank
    values = []
    for i in range(len(site.node.inputs)):
        x = operand(site, i)
        dims = (*x.layout.dims[:dimension], (), *x.layout.dims[dimension:])
        values.append(Value(x.blob, Layout(x.layout.axes, dims)))
    return _joined(site, values, dimension)


def _joined(site: Site, values: Sequence[Value], dimension: int) -> Value:
    dimension %= len(values[0].tf_shape)
    if len(values) == 1:
        return values[0]
    if (shuffled := _for_products(site, values, dimension)) is not None:
        return shuffled
    found, axis = together(site, values, dimension)
    top = site.layer("Concat", *found, hint="concat", axis=axis)
    return Value(top, changed(found[0], axis, dimension, top.shape[axis]))


def _for_products(site: Site, values: Sequence[Value], dimension: int) -> Value | None:
    """Rows joined as they lie in their blobs, where none but products with a constant read them.

    The products' kernels are permuted then, and no number moves.
    """
    tensor = Tensor(site.node)
    readers = site.builder.readers.get(tensor, [])
    if dimension != 1 or len(values[0].tf_shape) != 2 or tensor in site.graph.outputs.values():
        return None
    if not readers or not all(_is_product(site, node, tensor) for node in readers):
        return None
    usual = [axes.alike(v.layout, Layout.caffe(v.tf_shape)) for v in values]
    if all(usual) or not all(_batch_first(v) for v in values):
        return None
    flat = [site.reshape(v, v.tf_shape) if v.shape != v.tf_shape else v for v in values]
    top = site.layer("Concat", *[v.blob.raw for v in flat], hint="concat", axis=1)
    numbers, start = [], 0
    for v in values:
        inside = np.arange(v.tf_shape[1]).reshape(1, -1).repeat(v.tf_shape[0], axis=0)
        numbers.append(start + v.layout.pattern().to_caffe(inside).reshape(v.tf_shape)[0])
        start += v.tf_shape[1]
    site.builder.shuffled[top] = np.concatenate(numbers)
    return top.raw


def _is_product(site: Site, node: Node, tensor: Tensor) -> bool:
    """Whether a node is rows of this tensor times a constant."""
    turned = node.attrs.get("transpose_a") if node.op == "MatMul" else True
    return not turned and node.inputs[0] == tensor and site.graph.is_constant(node.inputs[1])


def _batch_first(value: Value) -> bool:
    """Whether the first dimension's factors come before all others in the blob."""
    sizes = value.layout.factors
    rows, columns = ([i for i in dim if sizes[i] != 1] for dim in value.layout.dims)
    return rows == sorted(rows) and max(rows, default=-1) < min(columns, default=len(sizes))


@op("Split")
def split(site: Site) -> list[Value]:
    """Equal parts; the first input says along which dimension."""
    count = int(site.attrs["num_split"])
    x = site.value(1)
    dimension = int(site.constant(0)) % len(x.tf_shape)
    return _parts(site, x, dimension, [x.tf_shape[dimension] // count] * count)


@op("SplitV")
def split_by_sizes(site: Site) -> list[Value]:
    """Parts of given sizes, of which one may be -1."""
    x = site.value(0)
    dimension = int(site.constant(2)) % len(x.tf_shape)
    sizes = [int(size) for size in site.constant(1).reshape(-1)]
    rest = x.tf_shape[dimension] - sum(size for size in sizes if size >= 0)
    return _parts(site, x, dimension, [rest if size < 0 else size for size in sizes])


@op("Unpack")
def unstack(site: Site) -> list[Value]:
    """Parts of size 1, without that dimension."""
    x = site.value(0)
    dimension = int(site.attrs["axis"]) % len(x.tf_shape)
    parts = _parts(site, x, dimension, [1] * x.tf_shape[dimension])
    found = []
    for part in parts:
        layout = axes.reshaped(part.layout, Tensor(site.node).shape)
        assert layout is not None  # a dimension of size 1 holds no factor
        found.append(Value(part.blob, layout))
    return found


def _parts(site: Site, x: Value, dimension: int, sizes: Sequence[int]) -> list[Value]:
    """A Slice, or where one part is not read and the dialect wants all to be, a cut for each."""
    if len(sizes) == 1:
        return [x]
    if 0 in sizes:
        raise site.refusal(f"one of its parts {list(sizes)} is empty, which no blob can be")
    x, axis = alone(site, x, dimension)
    points = [sum(sizes[:i]) for i in range(1, len(sizes))]
    if axis and not (_all_read(site) or site.dialect.allows("Slice", ends=True)):
        total = x.shape[axis]
        cuts = [Cut(total, a, b, anchored=False) for a, b in pairwise([0, *points, total])]
        parts = [taken(site, x.blob.raw, {axis: cut}) for cut in cuts]
    else:
        parts = site.slices(x, axis, points)
    return [
        Value(part.blob, changed(x, axis, dimension, size))
        for part, size in zip(parts, sizes, strict=True)
    ]


def _all_read(site: Site) -> bool:
    """Whether somebody reads each of the node's outputs."""
    outputs = [Tensor(site.node, i) for i in range(len(site.node.shapes))]
    known = {*site.builder.readers, *site.graph.outputs.values()}
    return all(tensor in known for tensor in outputs)


@op("Tile")
def tile(site: Site) -> Value:
    """Tile, or for few copies a Concat of the same blob."""
    x = site.value(0)
    for dimension, count in enumerate(int(n) for n in site.constant(1).reshape(-1)):
        if count == 1:
            continue
        x, axis = alone(site, x, dimension)
        plain = x.blob.raw
        if count <= _COPIES or not site.dialect.has("Tile"):
            top = site.layer("Concat", *[plain] * count, hint="tile", axis=axis)
        else:
            top = site.layer("Tile", plain, hint="tile", axis=axis, tiles=count)
        x = Value(top, changed(x, axis, dimension, top.shape[axis]))
    return x


@op("BroadcastTo")
def broadcast(site: Site) -> Value:
    """Repeated until it has the shape that the second input says."""
    return filled(site, site.value(0), Tensor(site.node).shape)
