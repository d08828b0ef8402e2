"""Values without their mean, perhaps divided by their deviation."""

from __future__ import annotations

from tf2caffe.net.broadcast import eltwise
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.reduction import reduce
from tfcaffe.layout import Layout


@op("meanVariance")
def mean_variance(site: Site) -> Value:
    """MVN `over` these dimensions, H and W or all but the batch; without `eps` only the mean.

    Source: mvn_layer.cpp, which adds eps behind the root.
    """
    x, over, eps = site.value(), site.attrs["over"], site.attrs["eps"]
    if not site.dialect.has("MVN"):
        return _in_steps(site, x, over, eps)
    image = Layout.caffe(x.tf_shape)
    if over == [1, 2]:
        n, h, w, c = x.tf_shape
        image = Layout.channels_last((n, c, h, w))
    x = site.to(x, x.plain() if len(over) == 3 else image)
    options = {"normalize_variance": False} if eps is None else {"eps": eps}
    top = site.layer(
        "MVN",
        x.blob.raw,
        hint="mvn",
        across_channels=len(over) == 3,
        **options,
    )
    return site.like(top, x)


def _in_steps(site: Site, x: Value, over: list[int], eps: float | None) -> Value:
    """Means, spread over x again."""
    centred = eltwise(site, x, reduce(site, x, over, "mean"), "SUB")
    if eps is None:
        return centred
    variance = reduce(site, site.square(centred), over, "mean")
    deviation = site.power(variance, power=0.5, hint="deviation")
    inverse = site.power(deviation, shift=eps, power=-1.0, hint="inverse")
    return eltwise(site, centred, inverse, "PROD")
