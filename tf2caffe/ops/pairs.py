"""Products of two values that sum up numbers: a product of each pair, then a sum."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod

from tf2caffe.net import axes
from tf2caffe.net.broadcast import eltwise
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops.reduction import reduce

Labels = Sequence[Hashable]  # one for each dimension, as Einsum's letters


def multiplied(site: Site, one: Labels, two: Labels, answer: Labels) -> Value:
    """The sum over the labels that `answer` lacks, of what the two values have there.

    Raises:
        UnsupportedError: there are more pairs than numbers: these are matrices.
    """
    values = [site.value(0), site.value(1)]
    sizes: dict[Hashable, int] = {}
    for value, labels in zip(values, (one, two), strict=True):
        for label, size in zip(labels, value.tf_shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    summed = [label for label in sizes if label not in answer]
    order = [*answer, *summed]
    most = max(*(prod(v.tf_shape) for v in values), prod(sizes[label] for label in answer))
    plain = all(len({*labels}) == len(labels) for labels in (one, two, answer))
    if not plain or prod(sizes.values()) > most:
        raise site.refusal(
            "is a product of two matrices that are not weights (as in attention), which no layer "
            "of stock Caffe multiplies; cut the net before it with --outputs"
        )
    a, b = (_laid(v, labels, order) for v, labels in zip(values, (one, two), strict=True))
    y = eltwise(site, a, b, "PROD")
    over = range(len(answer), len(order))
    y = reduce(site, y, list(over), "sum")
    layout = axes.reshaped(y.layout, [sizes[label] for label in answer])
    assert layout is not None  # the dimensions that go are of size 1
    return Value(y.blob, layout)


def _laid(value: Value, labels: Labels, order: Labels) -> Value:
    """A dimension for each label of `order`, of size 1 where the value lacks it."""
    have = [label for label in order if label in labels]
    layout = axes.transposed(value.layout, [list(labels).index(label) for label in have])
    sizes = dict(zip(labels, value.tf_shape, strict=True))
    opened = axes.reshaped(layout, [sizes.get(label, 1) for label in order])
    assert opened is not None  # no factor is torn apart
    return Value(value.blob, opened)
