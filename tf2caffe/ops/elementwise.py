"""What works on each number alone."""

from __future__ import annotations

import math
from typing import Any

from tf2caffe.graph import Tensor
from tf2caffe.net import axes
from tf2caffe.net.broadcast import filled
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import no_op, op
from tf2caffe.ops.affine import affine
from tf2caffe.ops.arithmetic import bounded

# Selu's constants. Source: tensorflow/core/kernels/relu_op_functor.h.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_NO_ZERO = 1e-30  # nothing beside any number that 1 + x can be, but for 0


def plain(site: Site, x: Value, kind: str, hint: str = "", **options: Any) -> Value:
    """A layer of Caffe's that works on each number alone."""
    return site.like(site.layer(kind, x, hint=hint or kind.lower(), **options), x)


@op("Relu")
def relu(site: Site) -> Value:
    """ReLU."""
    return plain(site, site.value(), "ReLU")


@op("Relu6")
def relu6(site: Site) -> Value:
    """relu(x) - relu(relu(x) - 6): no type of stock Caffe clips."""
    return bounded(site, relu(site), 6.0, lower=False)


@op("LeakyRelu")
def leaky_relu(site: Site) -> Value:
    """ReLU with a negative slope."""
    return plain(site, site.value(), "ReLU", negative_slope=float(site.attrs["alpha"]))


@op("pRelu")
def prelu(site: Site) -> Value:
    """max(x, 0) + slope · min(x, 0): a PReLU, or relu(x) - slope · relu(-x).

    One slope for all is a ReLU's where a dialect's reader does not take a PReLU's.
    """
    x = site.value()
    rank = len(x.tf_shape)
    shape = axes.ranked(site.node.inputs[1].shape, rank)
    varied = [d for d, size in enumerate(shape) if size != 1]
    if not varied:
        if len(x.shape) > 4 or not site.dialect.allows("PReLU", channel_shared=True):
            return plain(site, x, "ReLU", negative_slope=float(site.constant(1).reshape(())))
        slopes = {"slope": lambda: site.constant(1).reshape(())}
        return plain(site, x, "PReLU", weights=slopes, channel_shared=True)
    if varied == [rank - 1] or varied == [1]:
        axis = x.axis_of(varied[0])
        if axis is None:
            x = site.to(x, x.plain())
            axis = x.axis_of(varied[0])
        if axis == 1 and len(x.shape) <= 4:
            return plain(site, x, "PReLU", weights={"slope": lambda: site.constant(1).reshape(-1)})
    negative = plain(site, site.power(x, scale=-1.0, hint="neg"), "ReLU")
    scaled = affine(site, negative, site.constant(1), learned=True, hint="slope")
    return site.difference(plain(site, x, "ReLU"), scaled)


@op("Elu")
def elu(site: Site) -> Value:
    """ELU; `alpha` where a pattern found another than 1."""
    alpha = site.attrs.get("alpha")
    return _elu(site, 1.0 if alpha is None else float(alpha))


def _elu(site: Site, alpha: float) -> Value:
    """ELU, or relu(x) + alpha · (exp(-relu(-x)) - 1) where a dialect does not have that."""
    x = site.value()
    if site.dialect.has("ELU"):
        return plain(site, x, "ELU", alpha=alpha)
    below = plain(site, site.power(x, scale=-1.0, hint="neg"), "ReLU", "below")
    curve = site.power(_bell(site, below, 1.0), scale=alpha, shift=-alpha, hint="curve")
    return site.sum(plain(site, x, "ReLU"), curve)


@op("Selu")
def selu(site: Site) -> Value:
    """ELU times a number."""
    return site.power(_elu(site, _SELU_ALPHA), scale=_SELU_SCALE, hint="selu")


@op("Sigmoid")
def sigmoid(site: Site) -> Value:
    """Sigmoid."""
    return plain(site, site.value(), "Sigmoid")


@op("Tanh")
def tanh(site: Site) -> Value:
    """TanH."""
    return plain(site, site.value(), "TanH")


@op("Softplus")
def softplus(site: Site) -> Value:
    """BNLL: x + log(1 + exp(-x)) for x > 0, so that nothing overflows (bnll_layer.cpp)."""
    return plain(site, site.value(), "BNLL", "softplus")


@op("tanhSoftplus")
def tanh_softplus(site: Site) -> Value:
    """The factor of Mish; u / (2 - u) with u = s · (2 - s), s = sigmoid(x), without a BNLL.

    tanh(log(1 + e)) = ((1 + e)² - 1) / ((1 + e)² + 1), where 1 + e = 1 / (1 - s).
    """
    x = site.value()
    if site.dialect.has("BNLL"):
        return plain(site, plain(site, x, "BNLL", "softplus"), "TanH")
    s = plain(site, x, "Sigmoid")
    u = site.product(s, site.power(s, scale=-1.0, shift=2.0, hint="rest"))
    return site.product(u, site.power(u, scale=-1.0, shift=2.0, power=-1.0, hint="inverse"))


@op("Softsign")
def softsign(site: Site) -> Value:
    """x / (1 + |x|)."""
    x = site.value()
    share = site.power(absolute(site, x), shift=1.0, power=-1.0, hint="inverse")
    return site.product(x, share)


@op("Abs")
def absolute_value(site: Site) -> Value:
    """|x|."""
    return absolute(site, site.value())


def absolute(site: Site, x: Value) -> Value:
    """AbsVal, or relu(x) + relu(-x) where a dialect does not have that."""
    if site.dialect.has("AbsVal"):
        return plain(site, x, "AbsVal", "abs")
    turned = site.power(x, scale=-1.0, hint="neg")
    return site.sum(plain(site, x, "ReLU"), plain(site, turned, "ReLU"), hint="abs")


@op("Neg")
def negative(site: Site) -> Value:
    """-x."""
    return site.power(site.value(), scale=-1.0, hint="neg")


@op("Square")
def square(site: Site) -> Value:
    """x · x."""
    return site.square(site.value())


_POWERS = {"Sqrt": 0.5, "Rsqrt": -0.5, "Reciprocal": -1.0}


@op(*_POWERS)
def root(site: Site) -> Value:
    """Power, which is `pow` of the C library: right for the root of 0."""
    return site.power(site.value(), power=_POWERS[site.node.op], hint=site.node.op.lower())


@op("Pow")
def power(site: Site) -> Value:
    """x to a constant power, or a positive constant to the power of x."""
    if site.is_constant(1):
        exponent = site.graph.number(site.node.inputs[1])
        if exponent is not None:
            x = filled(site, site.value(), Tensor(site.node).shape)
            return x if exponent == 1 else site.power(x, power=exponent, hint="pow")
    elif site.is_constant(0):
        base = site.graph.number(site.node.inputs[0])
        if base is not None and 0 < base < math.inf:
            return plain(
                site, filled(site, site.value(1), Tensor(site.node).shape), "Exp", "pow", base=base
            )
    raise site.refusal(
        "Caffe's Power has one constant power, its Exp one positive base; cut the net before it "
        "with --outputs, or write the power as a constant"
    )


@op("same")
def same(site: Site) -> Value:
    """What a pattern has found to be its input (patterns/activation.py)."""
    return site.value()


@op("Exp")
def exp(site: Site) -> Value:
    """Exp."""
    return plain(site, site.value(), "Exp")


@op("Log")
def log(site: Site) -> Value:
    """Log."""
    return plain(site, site.value(), "Log")


@op("Log1p")
def log1p(site: Site) -> Value:
    """log(u) + (x - (u - 1)) / u of u = 1 + x: with what the rounding of u took from a small x."""
    x = site.value()
    u = site.power(x, shift=1.0, hint="plus_one")
    lost = site.difference(x, site.power(u, shift=-1.0, hint="minus_one"), hint="lost")
    inverse = site.power(u, shift=_NO_ZERO, power=-1.0, hint="inverse")
    return site.sum(plain(site, u, "Log"), site.product(lost, inverse))


@op("Expm1")
def expm1(site: Site) -> Value:
    """2t / (1 + |t|) · exp(max(x, 0)) of t = tanh(x / 2): exp(x) - 1 has no digits of a small x."""
    x = site.value()
    t = plain(site, site.power(x, scale=0.5, hint="half"), "TanH")
    share = site.power(absolute(site, t), scale=0.5, shift=0.5, power=-1.0, hint="share")
    grown = plain(site, plain(site, x, "ReLU"), "Exp")
    return site.product(site.product(t, share), grown)


_UNKNOWN = (
    "Sign Floor Ceil Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Atan2 Lgamma"
    " Digamma IsFinite IsNan IsInf Erfinv Ndtri Xlogy Xdivy FFT"
)


@no_op(*_UNKNOWN.split())
def unknown(site: Site) -> Value:
    """Refused."""
    raise site.refusal(
        "stock Caffe has no layer for this function, and none that make it up exactly; cut the "
        "net before it with --outputs, or change the layer"
    )


@no_op("Round", "Rint")
def rounded(site: Site) -> Value:
    """Refused, too; most likely a layer that Keras quantised."""
    raise site.refusal(
        "no layer of stock Caffe rounds; if a quantised network does, convert it as it was before "
        "it was quantised, or cut it before this node with --outputs"
    )


_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_P = 0.3275911


def erf_tail(site: Site, x: Value, scale: float, weight: float = 1.0) -> tuple[Value, Value]:
    """|x|, and weight · (1 - erf(|scale · x|)) to 1.5e-7 (Abramowitz and Stegun, 7.1.26).

    t · (a1 + t · (a2 + …)) · exp(-(scale · x)²), t = 1 / (1 + p · |scale · x|).
    """
    size = absolute(site, x)
    t = site.power(size, scale=_ERF_P * abs(scale), shift=1.0, power=-1.0, hint="t")
    *rest, last, first = (a * weight for a in _ERF)
    sum_ = site.power(t, scale=first, shift=last, hint="poly")
    for a in reversed(rest):
        product = site.product(sum_, t, hint="poly")
        sum_ = site.power(product, shift=a, hint="poly")
    sum_ = site.product(sum_, t, hint="poly")
    return size, site.product(sum_, _bell(site, site.square(x), scale**2), hint="tail")


def _bell(site: Site, x: Value, scale: float) -> Value:
    """exp(-scale · x) of an x ≥ 0, or 1 / sigmoid(scale · x) - 1 where a dialect has no Exp."""
    if site.dialect.has("Exp"):
        return plain(site, x, "Exp", scale=-scale)
    x = x if scale == 1 else site.power(x, scale=scale, hint="scale")
    inverse = site.power(plain(site, x, "Sigmoid"), power=-1.0, hint="inverse")
    return site.power(inverse, shift=-1.0, hint="exp")


@op("gelu")
def gelu(site: Site) -> Value:
    """x · Φ(x) = relu(x) - |x|/2 · (1 - erf(|x| / √2)): no digits are lost where x < 0."""
    x = site.value()
    size, tail = erf_tail(site, x, math.sqrt(0.5), weight=0.5)
    return site.difference(plain(site, x, "ReLU"), site.product(size, tail))


@op("geluTanh")
def gelu_tanh(site: Site) -> Value:
    """x · (1 + tanh(x · (a + b · x²))) / 2."""
    x = site.value()
    a, b = math.sqrt(2 / math.pi), 0.044715 * math.sqrt(2 / math.pi)
    inner = site.power(site.square(x), scale=b, shift=a, hint="inner")
    inner = site.product(x, inner, hint="inner")
    gate = site.power(plain(site, inner, "TanH"), scale=0.5, shift=0.5, hint="gate")
    return site.product(x, gate)


@op("Erf", "Erfc")
def erf(site: Site) -> Value:
    """sign(x) · (1 - tail); the sign is 2 · [x > 0] - 1."""
    x = site.value()
    _, tail = erf_tail(site, x, 1.0)
    sign = site.power(plain(site, x, "Threshold"), scale=2.0, shift=-1.0, hint="sign")
    rest = site.power(tail, scale=-1.0, shift=1.0, hint="one_minus")
    y = site.product(sign, rest)
    return site.power(y, scale=-1.0, shift=1.0, hint="erfc") if site.node.op == "Erfc" else y
