"""Convolution and Deconvolution as Keras layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2tf.layers.training import training
from caffe2tf.site import Site, Tensor, builds, fill
from tfcaffe.geometry import Geometry
from tfcaffe.layout import Pattern

_CHUNKS = 8  # up to so many convolutions stand for a grouped one where XLA is not to be used


@builds("Convolution")
def convolution(site: Site, bottoms: Sequence[Tensor]) -> list[Tensor]:
    """Conv1D, Conv2D, Conv3D or DepthwiseConv2D, after a ZeroPadding where SAME differs."""
    return [_convolve(site, bottom, i) for i, bottom in enumerate(bottoms)]


def _convolve(site: Site, x: Tensor, index: int) -> Tensor:
    shape = site.planned.bottoms[index].shape
    g: Geometry = site.family.geometry(site.layer, shape)
    channels = int(shape[1] or 0)
    group = site.family.groups(site.layer, channels)
    depthwise = site.family.depthwise(site.layer, channels)
    padding = same_or_valid(g, shape[2:], site.planned.tops[index].shape[2:])
    if padding is None:
        x, padding = padded(site, x, [(p, p) for p in g.pad]), "valid"
    return kernel(site, x, g, padding, group, depthwise, site.weight("weights"))


def kernel(
    site: Site,
    x: Tensor,
    g: Geometry,
    padding: str,
    group: int,
    depthwise: bool,
    weights: np.ndarray | None,
) -> Tensor:
    """The convolution itself; strides that Keras refuses are taken by a pooling afterwards."""
    rank = len(g.kernel)
    depthwise = depthwise and rank < 3
    refused = max(g.dilation) > 1 or (depthwise and len(set(g.stride)) > 1)
    sliced = max(g.stride) > 1 and refused
    config: dict[str, Any] = {
        "kernel_size": g.kernel,
        "strides": (1,) * rank if sliced else g.stride,
        "dilation_rate": g.dilation,
        "padding": padding,
    }
    if sliced and padding == "same":
        x, config["padding"] = padded(site, x, [(p, p) for p in g.pad]), "valid"
    if depthwise:
        y = _depthwise(site, x, config, weights, last=not sliced)
    elif group > 1 and site.plain:
        y = _split(site, x, config, weights, group)
    else:
        y = _dense(site, x, config, weights, group, last=not sliced)
    if sliced:  # a maximum over one number, with strides
        y = site.add(f"MaxPooling{rank}D", y, pool_size=1, strides=g.stride)
    return y


def _dense(
    site: Site,
    x: Tensor,
    config: dict[str, Any],
    weights: np.ndarray | None,
    group: int,
    last: bool,
) -> Tensor:
    rank = len(config["kernel_size"])
    if weights is not None and weights.ndim == rank + 2 and group > 1:
        weights = _grouped_layout(site, weights, rank)
    return site.learn(
        f"Conv{rank}D",
        x,
        {"kernel": weights, **bias(site)},
        last=last,
        filters=site.options.num_output,
        groups=group,
        use_bias=site.has("bias"),
        **config,
        **training(site, kernel="weights", bias="bias"),
    )


def _grouped_layout(site: Site, weights: np.ndarray, rank: int) -> np.ndarray:
    """A depthwise kernel that Keras has no depthwise layer for, as a grouped one."""
    out = site.options.num_output
    return weights if weights.shape[-1] == out else weights.reshape(*weights.shape[:rank], 1, out)


def _depthwise(
    site: Site, x: Tensor, config: dict[str, Any], weights: np.ndarray | None, last: bool
) -> Tensor:
    rank = len(config["kernel_size"])
    return site.learn(
        f"DepthwiseConv{rank}D",
        x,
        {"kernel": weights, **bias(site)},
        last=last,
        depth_multiplier=site.options.num_output // x.shape[-1],
        use_bias=site.has("bias"),
        **config,
        **training(site, depthwise="weights", bias="bias"),
    )


def _split(
    site: Site, x: Tensor, config: dict[str, Any], weights: np.ndarray | None, group: int
) -> Tensor:
    """A grouped convolution of plain ones: each takes one group, or a few in a block diagonal."""
    rank = len(config["kernel_size"])
    if weights is None:
        weights = np.zeros((*config["kernel_size"], x.shape[-1] // group, site.options.num_output))
    weights = _grouped_layout(site, weights, rank)
    chunks = max(n for n in range(1, _CHUNKS + 1) if group % n == 0)
    bias_values = site.weight("bias") if site.has("bias") else None
    parts = site.op(site.ops.split, x, chunks, axis=-1)
    kernels = np.split(weights, chunks, axis=-1)
    biases = [None] * chunks if bias_values is None else np.split(bias_values, chunks)
    made = []
    for part, values, term in zip(parts, kernels, biases, strict=True):
        layer = getattr(site.keras.layers, f"Conv{rank}D")(
            filters=values.shape[-1],
            use_bias=term is not None,
            name=site.helper(),
            **config,
        )
        fill(layer, {"kernel": _block_diagonal(values, group // chunks), "bias": term}, part)
        made.append(layer(part))
    return site.add("Concatenate", *made, axis=-1)


def _block_diagonal(kernels: np.ndarray, group: int) -> np.ndarray:
    """Kernels of `group` groups side by side as one dense kernel with zeros between groups."""
    *spatial, inputs, outputs = kernels.shape
    dense = np.zeros((*spatial, inputs * group, outputs), np.float32)
    per = outputs // group
    for i in range(group):
        columns = slice(i * per, (i + 1) * per)
        dense[..., i * inputs : (i + 1) * inputs, columns] = kernels[..., columns]
    return dense


@builds("Deconvolution")
def deconvolution(site: Site, bottoms: Sequence[Tensor]) -> list[Tensor]:
    """ConvTranspose and a crop; with groups or dilation zeros between pixels and a convolution."""
    return [_deconvolve(site, bottom, i) for i, bottom in enumerate(bottoms)]


def _deconvolve(site: Site, x: Tensor, index: int) -> Tensor:
    shape = site.planned.bottoms[index].shape
    g: Geometry = site.family.geometry(site.layer, shape)
    channels = int(shape[1] or 0)
    group = site.family.groups(site.layer, channels)
    rank = len(g.kernel)
    if group == 1 and max(g.dilation) == 1:
        # Keras's VALID answers with at least stride numbers per input; Caffe with kernel.
        crop = [(p, p + max(s - k, 0)) for p, s, k in zip(g.pad, g.stride, g.kernel, strict=True)]
        y = site.learn(
            f"Conv{rank}DTranspose",
            x,
            {"kernel": site.weight("weights"), **bias(site)},
            last=not any(map(any, crop)),
            filters=site.options.num_output,
            kernel_size=g.kernel,
            strides=g.stride,
            padding="valid",
            use_bias=site.has("bias"),
            **training(site, kernel="weights", bias="bias"),
        )
        return cropped(site, y, crop)
    x = _zeros_between(site, x, g)
    ends = [(e - 1 - p,) * 2 for e, p in zip(g.extent, g.pad, strict=True)]
    x = padded(site, x, [(max(a, 0), max(b, 0)) for a, b in ends])
    x = cropped(site, x, [(max(-a, 0), max(-b, 0)) for a, b in ends])
    depthwise = group == channels > 1
    once = Geometry(g.kernel, (1,) * rank, (0,) * rank, g.dilation)
    return kernel(site, x, once, "valid", group, depthwise, _turned(site, group, depthwise, rank))


def _turned(site: Site, group: int, depthwise: bool, rank: int) -> np.ndarray | None:
    """The kernel of the convolution that does what a deconvolution by it does: turned round."""
    values = site.caffe_weight("weights")
    if values is None:
        return None
    axes = {1: "w", 2: "h w", 3: "d h w"}[rank]
    turned = np.flip(values, tuple(range(2, rank + 2)))
    side = f"{axes} g m" if depthwise and rank < 3 else f"{axes} i (g m)"
    caffe = f"g m {axes}" if depthwise and rank < 3 else f"(g i) m {axes}"
    return Pattern(f"{side} -> {caffe}", {"g": group}).to_tf(turned)


def _zeros_between(site: Site, x: Tensor, g: Geometry) -> Tensor:
    """stride - 1 zeros after each pixel but the last, by a reshape, a pad and a reshape."""
    for axis, stride in enumerate(g.stride, 1):
        if stride == 1:
            continue
        size = x.shape[axis]
        shape = list(x.shape)
        x = site.reshaped(x, [*shape[: axis + 1], 1, *shape[axis + 1 :]])
        pads = [(0, 0)] * (len(x.shape) - 2)
        pads[axis] = (0, stride - 1)
        x = padded(site, x, pads)
        x = site.reshaped(
            x, [*shape[:axis], None if size is None else size * stride, *shape[axis + 1 :]]
        )
        crop = [(0, 0)] * (len(shape) - 2)
        crop[axis - 1] = (0, stride - 1)
        x = cropped(site, x, crop)
    return x


def same_or_valid(
    g: Geometry, bottom: Sequence[int | None], top: Sequence[int | None]
) -> str | None:
    """TensorFlow's padding rule that pads as Caffe does here, if there is one.

    SAME pads (ceil(size / stride) - 1) · stride + extent - size in all, the smaller half in front.
    With a stride of 1 that does not depend on the size.
    """
    if not any(g.pad):
        return "valid"
    for size, out, extent, stride, pad in zip(bottom, top, g.extent, g.stride, g.pad, strict=True):
        if stride == 1:
            total = extent - 1
        elif size is None or out is None or out != -(-size // stride):
            return None
        else:
            total = max((out - 1) * stride + extent - size, 0)
        if total != 2 * pad:
            return None
    return "same"


def padded(site: Site, x: Tensor, pads: Sequence[tuple[int, int]]) -> Tensor:
    """Zeros around the spatial axes."""
    if not any(map(any, pads)):
        return x
    if len(pads) > 3:  # Keras's layers end at three axes
        return site.op(site.ops.pad, x, [[0, 0], *map(list, pads), [0, 0]])
    padding: Any = tuple(pads) if len(pads) > 1 else pads[0]
    return site.add(f"ZeroPadding{len(pads)}D", x, padding=padding)


def cropped(site: Site, x: Tensor, crop: Sequence[tuple[int, int]]) -> Tensor:
    """The spatial axes without this many numbers at either end."""
    if not any(map(any, crop)):
        return x
    cropping: Any = tuple(crop) if len(crop) > 1 else crop[0]
    return site.add(f"Cropping{len(crop)}D", x, cropping=cropping)


def bias(site: Site) -> dict[str, np.ndarray | None]:
    """The bias as a Keras weight, if the layer has one."""
    return {"bias": site.weight("bias")} if site.has("bias") else {}
