"""Layers that bring data in, and Parameter. Their tops are the model's inputs.

Source: input_layer.cpp, data_layer.cpp, image_data_layer.cpp, memory_data_layer.cpp,
dummy_data_layer.cpp, hdf5_data_layer.cpp, window_data_layer.cpp, parameter_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfcaffe.errors import NetError
from tfcaffe.layers.base import Family, Layer, Layout, Param, Shape, fields, register


class _Source(Family):
    bottoms = (0, 0)
    tops = (1, None)
    source = True

    def check(self, layer: Layer) -> None:
        """Where the numbers come from does not matter: the user feeds them."""


@register("Input")
class Input(_Source):
    """Shapes as written: one for each top, or one for all."""

    field = "input_param"
    reads = fields("shape")

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        shapes = [tuple(shape.dim) for shape in self.options(layer).shape]
        if not shapes:
            return [None] * len(layer.tops)
        if len(shapes) not in (1, len(layer.tops)):
            raise NetError(
                f"{layer}: {len(shapes)} shapes for {len(layer.tops)} tops; give one for all or "
                "one for each"
            )
        return list(shapes if len(shapes) > 1 else shapes * len(layer.tops))


@register("Data", "ImageData", "WindowData")
class ImageSource(_Source):
    """Images from a database or folder: cropped ones have a known size, others do not."""

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        message = layer.message
        options = {
            "Data": message.data_param,
            "ImageData": message.image_data_param,
            "WindowData": message.window_data_param,
        }[layer.type]
        crop = message.transform_param.crop_size or options.crop_size
        batch = options.batch_size or 1
        channels = 1 if message.transform_param.force_gray else 3
        image = (batch, channels, crop, crop) if crop else None
        return [image, (batch,)][: len(layer.tops)] + [None] * (len(layer.tops) - 2)


@register("MemoryData")
class MemoryData(_Source):
    """Data handed over in memory: data and label."""

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        options = layer.message.memory_data_param
        data = (options.batch_size, options.channels, options.height, options.width)
        return [data, (options.batch_size,)][: len(layer.tops)]


@register("HDF5Data")
class HDF5Data(_Source):
    """Data sets of a file, whose shapes only the file knows."""


@register("DummyData")
class DummyData(_Source):
    """Filled blobs of a given shape: one `shape` (or num, channels, height, width) per top."""

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        options = layer.message.dummy_data_param
        shapes: list[Shape] = [tuple(shape.dim) for shape in options.shape] or list(
            zip(options.num, options.channels, options.height, options.width, strict=False)
        )
        if len(shapes) not in (1, len(layer.tops)):
            raise NetError(f"{layer}: {len(shapes)} shapes for {len(layer.tops)} tops")
        return list(shapes if len(shapes) > 1 else shapes * len(layer.tops))


@register("Parameter")
class Parameter(Family):
    """A learnable blob as a top."""

    field = "parameter_param"
    reads = fields("shape")
    bottoms = (0, 0)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        return [tuple(self.options(layer).shape.dim)]

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        shape = tuple(self.options(layer).shape.dim)
        return [Param("weights", shape, Layout.caffe(shape).pattern())]
