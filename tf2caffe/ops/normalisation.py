"""Batch normalisation for inference."""

from __future__ import annotations

import numpy as np

from tf2caffe.ops import op
from tf2caffe.site import Numbers, Site, Value
from tfcaffe.layout import Layout


@op("FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm")
def fused(site: Site) -> Value:
    """x, gamma, beta, mean, variance."""
    if site.attrs.get("is_training"):
        raise site.refusal("normalises by the statistics of the batch (is_training)")
    x = site.image(0)
    return normalised(
        site,
        x,
        mean=lambda: site.constant(3),
        variance=lambda: site.constant(4),
        gamma=lambda: site.constant(1),
        beta=lambda: site.constant(2),
        eps=float(site.attrs["epsilon"]),
    )


@op("batchNorm")
def decomposed(site: Site) -> Value:
    """x, mean, variance, and what the attributes `gamma` and `beta` say, along `axis`."""
    x = site.value(0)
    rank, axis = len(x.tf_shape), site.attrs["axis"]
    if rank > 2 and axis == rank - 1:
        x = site.to(x, Layout.channels_last((x.tf_shape[0], x.tf_shape[-1], *x.tf_shape[1:-1])))
    else:
        x = site.to(x, Layout.caffe(x.tf_shape))

    def number(index: int | None) -> Numbers | None:
        return None if index is None else lambda: site.constant(index).reshape(-1)

    mean, variance = number(1), number(2)
    assert mean is not None and variance is not None
    return normalised(
        site,
        x,
        mean=mean,
        variance=variance,
        gamma=number(site.attrs["gamma"]),
        beta=number(site.attrs["beta"]),
        eps=site.attrs["eps"],
    )


def normalised(
    site: Site,
    x: Value,
    *,
    mean: Numbers,
    variance: Numbers,
    gamma: Numbers | None,
    beta: Numbers | None,
    eps: float,
) -> Value:
    """BatchNorm and, right behind it, its Scale.

    A dialect may want one eps for all; then the variance takes the difference.
    """
    if site.dialect.eps is not None and site.dialect.eps != eps:
        variance, eps = _moved(variance, eps - site.dialect.eps), site.dialect.eps
    top = site.layer(
        "BatchNorm",
        x,
        weights={"mean": mean, "variance": variance},
        hint="bn",
        use_global_stats=True,
        eps=eps,
    )
    channels = x.shape[1]
    ones = np.ones(channels, np.float32)
    scale = site.layer(
        "Scale",
        Value(top, Layout.caffe(x.shape)),
        caffe={
            "gamma": ones if gamma is None else gamma,
            "beta": np.zeros(channels, np.float32) if beta is None else beta,
        },
        hint="scale",
        bias_term=True,
    )
    return site.like(scale, x)


def _moved(variance: Numbers, difference: float) -> Numbers:
    """The variance with an eps in it that no field says."""
    return lambda: (variance() if callable(variance) else variance).astype(float) + difference
