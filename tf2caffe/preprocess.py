"""What the source wants done to an image first, built into the Caffe net on request.

The model's channels are turned round, then a mean is subtracted, then there is a factor: W · s ·
(x - m) + b is (s · W) · x + (b - s · W · m). A convolution that alone reads the image takes over
what leaves the zeros of its padding zero; the rest is a layer in front of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tf2caffe.graph import Array, Graph, Node, Tensor
from tf2caffe.net import windows
from tf2caffe.options import Options
from tfcaffe.errors import UsageError
from tfcaffe.preprocess import Preprocessing, fitted_mean

_IMAGE_AXES = 4
_PADS = ("Pad", "PadV2", "MirrorPad")
_CHANNELS_LAST = ("LRN", "ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic")


def build_in(graph: Graph, options: Options) -> str:
    """Put the preprocessing that the options say behind the first image input; gives its name.

    Raises:
        UsageError: there is no such input, or the mean does not fit it.
    """
    if options["mean"] is None and options["scale"] is None and options["channel_order"] != "bgr":
        return ""
    title, image = _image(graph)
    told = _channel_axes(graph, image)
    channel = next(iter(told), _IMAGE_AXES - 1)
    steps = _steps(options, title, image, channel)
    if len(told) != 1 and _by_channel(steps):
        raise UsageError(
            f"--mean and --channel-order: no layer that reads the input {title!r} says which of "
            "its dimensions has the channels, or two differ; give one number for the mean, or put "
            "the preprocessing into the model"
        )
    raw = Node(f"{image.node.name}:raw", "Placeholder", [], {}, [image.shape], [image.dtype])
    readers = graph.readers().get(image, [])
    fed = Tensor(raw)
    rest, said = steps, []
    if len(readers) == 1 and image not in graph.outputs.values():
        rest = _into_convolution(graph, readers[0], image, channel, steps)
        said = _names(steps, rest)
    if said:
        graph.notes.append(f"{readers[0]}: takes over preprocessing ({', '.join(said)})")
    new = _in_front(graph, fed, rest, channel, title)
    for node in readers:
        node.inputs = [new if t == image else t for t in node.inputs]
    graph.inputs[title] = fed
    graph.outputs = {name: new if t == image else t for name, t in graph.outputs.items()}
    graph.forget_readers()
    return title


def _image(graph: Graph) -> tuple[str, Tensor]:
    for title, tensor in graph.inputs.items():
        if len(tensor.shape) == _IMAGE_AXES:
            return title, tensor
    raise UsageError("--mean, --scale and --channel-order need an input of images (N, H, W, C)")


def _channel_axes(graph: Graph, image: Tensor) -> set[int]:
    """The dimensions of the image that the first layers which know take for the channels."""
    said: set[int] = set()
    seen: set[Node] = set()
    stack = [(image, tuple(range(_IMAGE_AXES)))]  # a tensor, and which dimensions it has where
    while stack:
        tensor, dims = stack.pop()
        for node in graph.readers().get(tensor, []):
            if node.op == "batchNorm":
                said.add(dims[node.attrs["axis"]])
            elif node.op in _CHANNELS_LAST or node.attrs.get("data_format"):
                said.add(dims[-1 if node.channels_last else 1])
            elif node.op == "Transpose":
                order = graph.constant(node.inputs[1])
                stack.append((Tensor(node), tuple(dims[int(i)] for i in order)))
            elif node not in seen and (node.op in _PADS or node.shapes[0] == tensor.shape):
                stack.append((Tensor(node), dims))
            seen.add(node)
    return said


def _by_channel(steps: Preprocessing) -> bool:
    """Whether what is to be done is not the same for all numbers of the image."""
    return steps.flip or (steps.mean is not None and bool(np.any(steps.mean != steps.mean.flat[0])))


def _steps(options: Options, title: str, image: Tensor, channel: int) -> Preprocessing:
    """What is to be done; the mean as `[C]` or `[C, H, W]`."""
    n, *sizes = image.shape
    count = sizes.pop(channel - 1)
    flip = options["channel_order"] == "bgr"
    if flip and count != 3:
        raise UsageError(f"--channel-order bgr: the input {title!r} has {count} channels, not 3")
    given = options["mean"]
    mean = None if given is None else fitted_mean(given, title, (n, count, *sizes))
    return Preprocessing(title, flip, mean, float(np.float32(options["scale"] or 1.0)))


def _names(steps: Preprocessing, rest: Preprocessing) -> list[str]:
    """For people: what of the steps is not left."""
    gone = {
        "the channels' order": steps.flip and not rest.flip,
        "the mean": steps.mean is not None and rest.mean is None,
        "the scale": steps.scale != 1 and rest.scale == 1,
    }
    return [name for name, there in gone.items() if there]


def _into_convolution(
    graph: Graph, node: Node, image: Tensor, channel: int, steps: Preprocessing
) -> Preprocessing:
    """Have a convolution do what it can; gives what is left to do in front of it."""
    if node.op != "Conv2D" or node.inputs[0] != image or not graph.is_constant(node.inputs[1]):
        return steps
    kernel = node.inputs[1]
    groups = image.shape[channel] // kernel.shape[2]
    image_wise = steps.mean is not None and steps.mean.ndim == 3
    if groups != 1 or image_wise or (steps.mean is not None and _pads(node, image, channel)):
        if groups != 1 or not steps.flip:
            return steps
        done = Preprocessing(steps.blob, flip=True)
        mean = None if steps.mean is None else steps.mean[::-1]
        rest = replace(steps, flip=False, mean=mean)
    else:
        done, rest = steps, Preprocessing(steps.blob)

    def folded() -> Array:
        array = graph.constant(kernel).astype(np.float64) * done.scale
        return np.asarray(array[:, :, ::-1] if done.flip else array, np.float32)

    inputs = [image, graph.later(f"{node.name}:kernel", kernel.shape, folded)]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if done.mean is not None:
        mean = done.mean

        def shifted() -> Array:
            array = graph.constant(kernel).astype(np.float64) * done.scale
            moved = np.einsum("hwio,i->o", array, mean.astype(np.float64))
            return np.asarray((0 if bias is None else graph.constant(bias)) - moved, np.float32)

        inputs.append(graph.later(f"{node.name}:bias", kernel.shape[-1:], shifted))
    elif bias is not None:
        inputs.append(bias)
    node.inputs = inputs
    return rest


def _pads(node: Node, image: Tensor, channel: int) -> bool:
    """Whether a convolution reads zeros around the image."""
    spatial = slice(1, 3) if channel == 3 else slice(2, 4)
    explicit = list(node.attrs.get("explicit_paddings") or [])
    pairs = list(zip(explicit[::2], explicit[1::2], strict=True))[spatial]
    dilations = list(node.attrs.get("dilations") or [1] * _IMAGE_AXES)[spatial]
    kernel = node.inputs[1].shape[:2]
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    strides = list(node.attrs["strides"])[spatial]
    pads = windows.tf_pads(node.attrs["padding"], pairs, image.shape[spatial], extents, strides)
    return any(map(any, pads))


def _in_front(graph: Graph, fed: Tensor, steps: Preprocessing, channel: int, title: str) -> Tensor:
    """The steps as one node of its own: a 1x1 convolution if channels change places."""
    if not steps.flip and steps.mean is None and steps.scale == 1:
        return fed
    count = fed.shape[channel]
    mean = np.zeros(count, np.float32) if steps.mean is None else steps.mean
    shift = -mean.astype(np.float64) * steps.scale
    node = Node(f"{title}:preprocessed", "affine", [fed], {}, [fed.shape], [fed.dtype])
    node.origin = f"{title}_preprocessing"
    if steps.flip:
        kernel = np.eye(count)[::-1] * (steps.scale if mean.ndim == 1 else 1.0)
        node.op = "Conv2D"
        node.inputs.append(graph.leaf(f"{title}:order", kernel[None, None].astype(np.float32)))
        if mean.ndim == 1 and shift.any():
            node.inputs.append(graph.leaf(f"{title}:shift", shift.astype(np.float32)))
        order = "NHWC" if channel == 3 else "NCHW"
        node.attrs = {"strides": [1] * 4, "padding": "VALID", "data_format": order}
        rest = Preprocessing(steps.blob, mean=mean, scale=steps.scale)
        if mean.ndim == 1:
            return Tensor(node)
        return _in_front(graph, Tensor(node), rest, channel, f"{title}_mean")
    if shift.ndim == 3:
        shift = shift if channel == 1 else np.transpose(shift, (1, 2, 0))
    elif channel == 1:
        shift = shift.reshape(-1, 1, 1)
    node.attrs = {
        "steps": [("mul", lambda: np.asarray(steps.scale)), ("add", lambda: shift)],
        "learned": False,
    }
    return Tensor(node)
