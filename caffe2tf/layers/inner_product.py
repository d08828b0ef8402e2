"""InnerProduct and Embed as Dense and Embedding."""

from __future__ import annotations

from collections.abc import Sequence

from caffe2tf.layers.convolution import bias
from caffe2tf.layers.training import training
from caffe2tf.site import Site, Tensor, builds


@builds("InnerProduct")
def inner_product(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Dense over the last dimension, after flattening the axes that are multiplied away."""
    axis = site.family.axis(site.layer, len(site.bottom.axes))
    x = bottoms[0]
    if axis == 0 or len(x.shape) > axis + 1:
        kept = list(x.shape[:axis]) or [1]
        weights = next(p for p in site.planned.params if p.role == "weights")
        rows = weights.shape[0 if site.options.transpose else 1]
        x = site.reshaped(x, [*kept, rows])
    y = site.learn(
        "Dense",
        x,
        {"kernel": site.weight("weights"), **bias(site)},
        units=site.options.num_output,
        last=axis > 0,
        use_bias=site.has("bias"),
        **training(site, kernel="weights", bias="bias"),
    )
    return y if axis else site.reshaped(y, site.top.shape)


@builds("Embed")
def embed(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Embedding; the bias is the same for every row, so it is added to the table."""
    table = site.weight("weights")
    if table is not None and site.has("bias"):
        table = table + site.weight("bias")
    return site.learn(
        "Embedding",
        bottoms[0],
        {"embeddings": table},
        input_dim=site.options.input_dim,
        output_dim=site.options.num_output,
        **training(site, embeddings="weights"),
    )
