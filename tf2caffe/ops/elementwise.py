"""What works on each number alone."""

from __future__ import annotations

from tf2caffe.ops import op
from tf2caffe.site import Site, Value


@op("Relu")
def relu(site: Site) -> Value:
    """ReLU."""
    x = site.value()
    return site.like(site.layer("ReLU", x, hint="relu"), x)


@op("Relu6")
def relu6(site: Site) -> Value:
    """6 - relu(6 - relu(x)): no type of stock Caffe clips."""
    x = site.value()
    low = site.like(site.layer("ReLU", x, hint="relu"), x)
    turned = site.power(low, scale=-1.0, shift=6.0, hint="six_minus")
    high = site.like(site.layer("ReLU", turned, hint="relu"), x)
    return site.power(high, scale=-1.0, shift=6.0, hint="six_minus")


@op("Sigmoid")
def sigmoid(site: Site) -> Value:
    """Sigmoid."""
    x = site.value()
    return site.like(site.layer("Sigmoid", x, hint="sigmoid"), x)


@op("Tanh")
def tanh(site: Site) -> Value:
    """TanH."""
    x = site.value()
    return site.like(site.layer("TanH", x, hint="tanh"), x)


@op("LeakyRelu")
def leaky_relu(site: Site) -> Value:
    """ReLU with a negative slope."""
    x = site.value()
    slope = float(site.attrs["alpha"])
    return site.like(site.layer("ReLU", x, hint="relu", negative_slope=slope), x)


@op("Elu")
def elu(site: Site) -> Value:
    """ELU with alpha 1."""
    x = site.value()
    return site.like(site.layer("ELU", x, hint="elu"), x)


@op("Softmax")
def softmax(site: Site) -> Value:
    """Over the last dimension."""
    x = site.value()
    axis = x.axis_of(-1)
    if axis is None:
        x = site.to(x, x.plain())
        axis = x.axis_of(-1)
    return site.like(site.layer("Softmax", x, hint="softmax", axis=axis), x)
