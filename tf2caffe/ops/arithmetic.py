"""Sums, products and the like, of two values or of a value and constants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf2caffe import axes
from tf2caffe.graph import Array
from tf2caffe.ops import op
from tf2caffe.site import Numbers, Site, Value
from tfcaffe.layout import Layout


@op("AddV2", "Add")
def add(site: Site) -> Value:
    """x + y."""
    if site.is_constant(0) or site.is_constant(1):
        c = 0 if site.is_constant(0) else 1
        return affine(site, site.value(1 - c), None, site.constant(c))
    a, b = pair(site)
    return site.sum(a, b)


@op("Sub")
def subtract(site: Site) -> Value:
    """x - y."""
    if site.is_constant(1):
        return affine(site, site.value(0), None, -site.constant(1))
    if site.is_constant(0):
        return affine(site, site.value(1), np.asarray(-1.0), site.constant(0))
    a, b = pair(site)
    return site.difference(a, b)


@op("Mul")
def multiply(site: Site) -> Value:
    """x · y."""
    if site.is_constant(0) or site.is_constant(1):
        c = 0 if site.is_constant(0) else 1
        return affine(site, site.value(1 - c), site.constant(c), None)
    if site.node.inputs[0] == site.node.inputs[1]:
        return site.power(site.value(0), power=2.0, hint="square")
    a, b = site.value(0), site.value(1)
    for data, gate in ((a, b), (b, a)):
        if len(gate.tf_shape) == len(data.tf_shape) > 2 and gate.tf_shape != data.tf_shape:
            return gated(site, data, gate)
    a, b = pair(site)
    return site.product(a, b)


@op("RealDiv")
def divide(site: Site) -> Value:
    """x / y for a constant y."""
    if site.is_constant(1):
        return affine(site, site.value(0), 1 / site.constant(1).astype(np.float64), None)
    raise site.refusal("a quotient of two values")


@op("Neg")
def negative(site: Site) -> Value:
    """-x."""
    return site.power(site.value(), scale=-1.0, hint="neg")


@op("Maximum")
def maximum(site: Site) -> Value:
    """The larger of two values."""
    a, b = pair(site)
    return site.like(site.layer("Eltwise", a, b, hint="max", operation="MAX"), a)


@op("BiasAdd")
def bias_add(site: Site) -> Value:
    """x + a number for each channel."""
    x = site.image(0)
    return _scaled(site, x, 1, 1, None, lambda: site.constant(1))


def pair(site: Site) -> tuple[Value, Value]:
    """Both inputs, lying alike."""
    a, b = site.value(0), site.value(1)
    if a.tf_shape != b.tf_shape:
        raise site.refusal(f"Caffe's Eltwise does not broadcast {a.tf_shape} with {b.tf_shape}")
    if a.shape == b.shape and axes.alike(a.layout, b.layout):
        return a, b
    return a, site.to(b, a.layout)


def gated(site: Site, data: Value, gate: Value) -> Value:
    """data · gate, with one number of the gate for each channel: squeeze-and-excitation."""
    data = site.to(data, site.image_layout(data.tf_shape))
    batch, channels = data.shape[:2]
    expected = site.image_layout(gate.tf_shape)
    if expected.shape != (batch, channels) + (1,) * (len(data.shape) - 2):
        raise site.refusal(f"Caffe does not broadcast {gate.tf_shape} over {data.tf_shape}")
    gate = site.to(gate, expected)
    gate = Value(site.reshape(gate, (batch, channels)).blob, Layout.caffe((batch, channels)))
    top = site.layer("Scale", data, gate, hint="scale", axis=0)
    return site.like(top, data)


def affine(site: Site, x: Value, factor: Array | None, term: Array | None) -> Value:
    """x · factor + term: a Power for single numbers, else a Scale over the axes they vary on."""
    given = [np.asarray(a) for a in (factor, term) if a is not None]
    if all(np.all(a == a.flat[0]) for a in given):
        scale = 1.0 if factor is None else float(np.asarray(factor).flat[0])
        shift = 0.0 if term is None else float(np.asarray(term).flat[0])
        return site.power(x, scale=scale, shift=shift)
    rank = len(x.tf_shape)
    full = [a.reshape((1,) * (rank - a.ndim) + a.shape) for a in given]
    varies = [d for d in range(rank) if any(a.shape[d] != 1 for a in full)]
    image = Layout.natural(x.shape) if x.layout.simple else x.layout
    x = site.to(x, image) if axes.alike(x.layout, image) else x
    owner = [a for a, axis in enumerate(x.layout.axes) for _ in axis]
    touched = {owner[i] for d in varies for i in x.layout.dims[d] if x.layout.factors[i] != 1}
    first, last = min(touched), max(touched)

    def laid(array: Array) -> np.ndarray:
        a = np.broadcast_to(
            np.asarray(array, np.float32).reshape((1,) * (rank - np.ndim(array)) + np.shape(array)),
            x.tf_shape,
        )
        caffe = x.layout.pattern().to_caffe(a)
        index = tuple(slice(None) if first <= i <= last else 0 for i in range(caffe.ndim))
        return np.asarray(caffe[index])

    gamma = np.ones((1,) * rank, np.float32) if factor is None else factor
    numbers = {"gamma": laid(gamma)} | ({} if term is None else {"beta": laid(term)})
    return _scale_layer(site, x, first, last - first + 1, numbers)


def _scaled(
    site: Site, x: Value, axis: int, count: int, gamma: Numbers | None, beta: Numbers | None
) -> Value:
    size = x.shape[axis : axis + count]
    numbers: dict[str, Numbers] = {"gamma": np.ones(size, np.float32) if gamma is None else gamma}
    if beta is not None:
        numbers["beta"] = beta
    return _scale_layer(site, x, axis, count, numbers)


def _scale_layer(
    site: Site, x: Value, axis: int, count: int, numbers: Mapping[str, Numbers]
) -> Value:
    plain = Value(x.blob, Layout.caffe(x.shape))
    top = site.layer(
        "Scale",
        plain,
        caffe=numbers,
        hint="scale",
        axis=axis,
        num_axes=count,
        bias_term="beta" in numbers,
    )
    return Value(top, x.layout)
